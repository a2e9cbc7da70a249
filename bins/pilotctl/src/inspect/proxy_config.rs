//! `proxy-config`: what an Envoy has, from itself or from a dump of it.

mod all;
mod bootstrap;
mod cluster;
mod endpoint;
mod listener;
mod log;
mod route;
mod source;

use std::io::{self, Write};

use anyhow::Result;
use clap::{Args, Subcommand};

use super::dump::{Dump, Section, State};
use super::json::text;
use super::table::{Tone, visible};

pub use all::AllArgs;
pub use bootstrap::BootstrapArgs;
pub use cluster::ClusterArgs;
pub use endpoint::EndpointArgs;
pub use listener::ListenerArgs;
pub use log::LogArgs;
pub use route::RouteArgs;
pub use source::Source;
pub(crate) use source::dump_of;

/// Show what an Envoy has: clusters, listeners, routes, endpoints, bootstrap, log levels.
///
/// It is read from the admin page of a running Envoy (127.0.0.1:15000 when nothing is said), or from a dump that was taken
/// of it: `curl 'http://127.0.0.1:15000/config_dump?include_eds'`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl proxy-config cluster\n  pilotctl proxy-config listener 10.0.0.7:15000 --port 80\n  pilotctl proxy-config all -f dump.json"
)]
pub struct ProxyConfigArgs {
    /// What to show.
    #[command(subcommand)]
    pub kind: Kind,
}

/// A part of what an Envoy has.
#[derive(Debug, Clone, Subcommand)]
pub enum Kind {
    #[allow(missing_docs, reason = "documented on its type")]
    #[command(visible_aliases = ["clusters", "c"])]
    Cluster(ClusterArgs),
    #[allow(missing_docs, reason = "documented on its type")]
    #[command(visible_aliases = ["listeners", "l"])]
    Listener(ListenerArgs),
    #[allow(missing_docs, reason = "documented on its type")]
    #[command(visible_aliases = ["routes", "r"])]
    Route(RouteArgs),
    #[allow(missing_docs, reason = "documented on its type")]
    #[command(visible_aliases = ["endpoints", "ep"])]
    Endpoint(EndpointArgs),
    #[allow(missing_docs, reason = "documented on its type")]
    #[command(visible_alias = "b")]
    Bootstrap(BootstrapArgs),
    #[allow(missing_docs, reason = "documented on its type")]
    #[command(visible_alias = "o")]
    Log(LogArgs),
    #[allow(missing_docs, reason = "documented on its type")]
    #[command(visible_alias = "a")]
    All(AllArgs),
}

/// Prints what was asked for.
///
/// # Errors
/// There is no Envoy, no dump, or not in it what was asked for; the text says what to do about it.
pub async fn run(args: &ProxyConfigArgs, out: &mut dyn Write) -> Result<()> {
    match &args.kind {
        Kind::Cluster(args) => cluster::run(args, out).await,
        Kind::Listener(args) => listener::run(args, out).await,
        Kind::Route(args) => route::run(args, out).await,
        Kind::Endpoint(args) => endpoint::run(args, out).await,
        Kind::Bootstrap(args) => bootstrap::run(args, out).await,
        Kind::Log(args) => log::run(args, out).await,
        Kind::All(args) => all::run(args, out).await,
    }
}

/// Says below a table which of its resources are not in use, and which updates Envoy has refused.
fn write_notes(dump: &Dump, section: Section, out: &mut dyn Write) -> io::Result<()> {
    let mut notes = Vec::new();
    let noun = section.noun().trim_end_matches('s');
    for failed in dump.failed(section) {
        let at = match failed.at.as_str() {
            "" => String::new(),
            at => format!(" (last tried {at})"),
        };
        let text = format!("{noun} {}: {}{at}", failed.name, failed.why);
        notes.push((Tone::Bad, "REFUSED", text));
    }
    for held in dump.held(section) {
        let name = text(&held.resource["name"]);
        match held.state {
            State::Warming => notes.push((
                Tone::Waiting,
                "WARMING",
                format!("{noun} {name}: waits for what it needs and is not in use"),
            )),
            State::Draining => notes.push((
                Tone::Waiting,
                "DRAINING",
                format!("{noun} {name}: takes no new connections"),
            )),
            State::Static | State::Active => {}
        }
    }
    if !notes.is_empty() {
        writeln!(out)?;
    }
    for (tone, word, text) in notes {
        writeln!(out, "{} {}", tone.paint(word), visible(&text))?;
    }
    Ok(())
}

/// Whether a resource is in use.
fn in_use(state: State) -> bool {
    matches!(state, State::Static | State::Active)
}

/// Whether a filter that may be absent lets something through.
fn passes<T: PartialEq + ?Sized, W: AsRef<T>>(wanted: Option<&W>, is: &T) -> bool {
    wanted.is_none_or(|wanted| wanted.as_ref() == is)
}
