//! `proxy-config log`: the log levels of a running Envoy, shown and set.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::Value;

use super::super::Output;
use super::super::json::text;
use super::super::peer::{Peer, encoded};
use super::super::table::{Cell, Table, Tone};
use super::source;

const LEVELS: [&str; 7] = [
    "trace", "debug", "info", "warning", "error", "critical", "off",
];

/// Show the log levels of a running Envoy, or set them until it ends.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl proxy-config log\n  pilotctl proxy-config log --level http:debug,router:trace\n  pilotctl proxy-config log --level warning\n  pilotctl proxy-config log --reset"
)]
pub struct LogArgs {
    /// The address of Envoy's admin page, as with --proxy-admin.
    #[arg(value_name = "ADDR")]
    pub proxy: Option<String>,
    /// The address of Envoy's admin page [default: 127.0.0.1:15000].
    #[arg(long, value_name = "ADDR", conflicts_with = "proxy")]
    pub proxy_admin: Option<String>,
    /// Levels to set: NAME:LEVEL,..., or LEVEL for all. Levels are trace, debug, info, warning, error, critical, off.
    #[arg(long, value_name = "LEVELS")]
    pub level: Option<String>,
    /// Sets the levels that Envoy was started with.
    #[arg(short, long, conflicts_with = "level")]
    pub reset: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

pub(super) async fn run(args: &LogArgs, out: &mut dyn Write) -> Result<()> {
    let envoy = source::envoy(args.proxy.as_deref(), args.proxy_admin.as_deref())?;
    let started: Value;
    let wanted = match (&args.level, args.reset) {
        (Some(level), _) => Wanted::parse(level)?,
        (None, true) => {
            started = envoy.get_json("/server_info").await?;
            Wanted::started_with(&started["command_line_options"])?
        }
        (None, false) => Wanted::default(),
    };
    let mut page = post(&envoy, "").await?;
    if let Some(unknown) = wanted.named.keys().find(|name| !page.contains_key(**name)) {
        let known: Vec<_> = page.keys().map(String::as_str).collect();
        bail!(
            "this Envoy has no logger {unknown:?}; it has: {}",
            known.join(", ")
        );
    }
    if let Some(level) = wanted.all {
        page = post(&envoy, &format!("?level={level}")).await?;
    }
    for (name, level) in &wanted.named {
        page = post(&envoy, &format!("?{}={level}", encoded(name))).await?;
    }
    if !args.output.data(&page, out)? {
        print(&page, out)?;
    }
    Ok(())
}

/// The levels by the loggers' names.
type Levels = BTreeMap<String, String>;

#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted<'a> {
    all: Option<&'static str>,
    named: BTreeMap<&'a str, &'static str>,
}

impl<'a> Wanted<'a> {
    fn parse(list: &'a str) -> Result<Self> {
        let mut wanted = Self::default();
        for item in list.split(',').map(str::trim) {
            match item.split_once(':') {
                None => wanted.all = Some(level(item)?),
                Some((name, to)) if name.trim() == "all" => wanted.all = Some(level(to)?),
                Some((name, to)) => {
                    wanted.named.insert(name.trim(), level(to)?);
                }
            }
        }
        Ok(wanted)
    }

    /// What its command line says: a level for all, and others for some.
    fn started_with(options: &'a Value) -> Result<Self> {
        let mut wanted = match text(&options["component_log_level"]) {
            "" => Self::default(),
            some => Self::parse(some)?,
        };
        wanted.all = Some(match text(&options["log_level"]) {
            "" => "info",
            all => level(all)?,
        });
        Ok(wanted)
    }
}

fn level(text: &str) -> Result<&'static str> {
    let text = match text.trim() {
        "none" => "off",
        "warn" => "warning",
        text => text,
    };
    match LEVELS.into_iter().find(|known| *known == text) {
        Some(known) => Ok(known),
        None => bail!(
            "{text:?} is no log level: write NAME:LEVEL,... or LEVEL, with a level of {}",
            LEVELS.join(", ")
        ),
    }
}

/// Envoy changes nothing on GET, and shows levels only on POST.
async fn post(envoy: &Peer, query: &str) -> Result<Levels> {
    let body = envoy.post(&format!("/logging{query}")).await?;
    let levels = read(&String::from_utf8_lossy(&body));
    if levels.is_empty() {
        bail!("{}", envoy.no_json("/logging"));
    }
    Ok(levels)
}

/// Reads `active loggers:` and a line `NAME: LEVEL` for each.
fn read(page: &str) -> Levels {
    page.lines()
        .filter_map(|line| line.trim().split_once(": "))
        .map(|(name, level)| (name.trim().to_owned(), level.trim().to_owned()))
        .collect()
}

fn print(levels: &Levels, out: &mut dyn Write) -> Result<()> {
    let mut table = Table::new(&["LOGGER", "LEVEL"]);
    for (name, level) in levels {
        let tone = match level.as_str() {
            "trace" | "debug" => Tone::Waiting,
            _ => Tone::Plain,
        };
        table.row([Cell::from(name.as_str()), Cell::new(level, tone)]);
    }
    table.write(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_of_levels() {
        let wanted = Wanted::parse("warn, http:debug,all:none,router:trace").unwrap();
        assert_eq!(wanted.all, Some("off"));
        assert_eq!(
            wanted.named,
            BTreeMap::from([("http", "debug"), ("router", "trace")])
        );
        for wrong in ["", "loud", "http:", "http:loud", "http=debug"] {
            let error = Wanted::parse(wrong).unwrap_err().to_string();
            assert!(error.contains("is no log level"), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_it_was_started_with() {
        for (options, all, named) in [
            (json!({}), "info", BTreeMap::new()),
            (
                json!({ "log_level": "warning", "component_log_level": "misc:error,http:off" }),
                "warning",
                BTreeMap::from([("misc", "error"), ("http", "off")]),
            ),
        ] {
            let wanted = Wanted::started_with(&options).unwrap();
            assert_eq!((wanted.all, wanted.named), (Some(all), named), "{options}");
        }
    }

    #[test]
    fn the_page() {
        let levels = read("active loggers:\n  admin: info\n  http2: debug\n\n");
        let expected = [("admin", "info"), ("http2", "debug")]
            .map(|(name, level)| (name.to_owned(), level.to_owned()));
        assert_eq!(levels, Levels::from(expected));
    }
}
