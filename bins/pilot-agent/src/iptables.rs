//! Rules of the kernel that bring traffic to Envoy, and their removal.
//!
//! ```text
//! flags, machine → settings → rules (text, per version of IP and table) ─┐
//! iptables-save → saved (what is ours there) ────────────────────────────┴→ transition → iptables-restore
//! ```
//!
//! What is ours is known by names: chains of Istio's names with the jumps to them, and routes with our number. So running twice
//! changes nothing, running with other flags changes what differs, and cleaning needs no flags. Each table changes in one step; when one
//! cannot be changed, all go back to what they were.

mod apply;
mod args;
mod backend;
mod host;
mod routing;
mod rule;
mod rules;
mod ruleset;
mod saved;
mod settings;
mod transition;
mod validation;

use std::io::Write as _;

use anyhow::{Context, Result, bail};

use apply::Wanted;
pub use args::{Args, CleanArgs, Mode};
use host::Host;
use routing::MarkedRoute;
use rules::Family;
use ruleset::{Chain, Rules, Table};
use settings::Settings;

/// Captures traffic as the flags say.
///
/// # Errors
/// Flags are wrong, or the kernel or a program refuses; then nothing has changed.
pub fn run(args: &Args) -> Result<()> {
    for warning in args.inert.warnings() {
        tracing::warn!("{warning}");
    }
    if !args.network_namespace.is_empty() {
        bail!(
            "--network-namespace {0}: this works only in the namespace that it runs in; run it there, such as by nsenter --net={0}",
            args.network_namespace
        );
    }
    if args.cleanup_only {
        return clean_up(args.dry_run);
    }
    let settings = Settings::resolve(args, &Host::read()?)
        .map_err(|problems| anyhow::anyhow!("the flags are wrong:\n  {}", problems.join("\n  ")))?;
    if settings.is_idle() {
        tracing::warn!(
            "nothing will be captured: -b '*' captures inbound connections, -i '*' outbound ones, --redirect-dns names"
        );
    }
    let wanted = Family::ALL.map(|family| wanted(&settings, family));
    if args.dry_run {
        return print(&plan(&wanted));
    }
    if !args.skip_rule_apply {
        apply::apply(wanted)?;
    }
    if args.run_validation {
        validation::run(&settings, args.iptables_probe_port, args.probe_timeout)?;
    }
    Ok(())
}

/// Removes what [`run`] has set up, whatever its flags were and however far it came.
///
/// # Errors
/// The kernel or a program refuses.
pub fn clean(args: &CleanArgs) -> Result<()> {
    clean_up(args.dry_run)
}

fn wanted(settings: &Settings, family: Family) -> Wanted {
    if family == Family::V6 && !settings.v6 {
        return Wanted::default();
    }
    let mut rules = rules::ruleset(settings, family);
    if family == Family::V6 {
        rules.chain(Table::Nat, Chain::Address);
    }
    Wanted {
        rules,
        route: rules::needs_route(settings).then_some(MarkedRoute {
            mark: settings.mark,
            table: settings.table,
        }),
    }
}

/// What would be given to the programs where nothing of ours is there yet.
fn plan(wanted: &[Wanted; 2]) -> String {
    let mut text = String::new();
    for (family, wanted) in Family::ALL.into_iter().zip(wanted) {
        let mut tables = String::new();
        for table in Table::ALL {
            let none = Rules::default();
            tables.extend(transition::restore(
                table,
                &none,
                &wanted.rules.table(table),
            ));
        }
        if !tables.is_empty() {
            let prefix = if family == Family::V4 { "" } else { "6" };
            text.push_str(&format!("# ip{prefix}tables-restore --noflush\n{tables}"));
        }
        if wanted.rules.has(Table::Nat, Chain::Address) {
            text.push_str(&format!("ip {}\n", routing::add_source_v6().join(" ")));
        }
        for command in wanted.route.iter().flat_map(|route| route.commands(family)) {
            text.push_str(&format!("ip {}\n", command.join(" ")));
        }
    }
    text
}

fn clean_up(dry_run: bool) -> Result<()> {
    if dry_run {
        print(&apply::removal()?)
    } else {
        apply::remove()
    }
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("writing to standard output")
}
