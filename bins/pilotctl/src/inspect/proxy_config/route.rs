//! `proxy-config route`: a line for each route of each virtual host.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::super::Output;
use super::super::dump::{Dump, Section};
use super::super::json::{list, managed_by, text};
use super::super::table::{Cell, Table};
use super::{Source, in_use, passes, write_notes};

/// Show the route tables of an Envoy: which request goes where.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl proxy-config route --name 80\n  pilotctl proxy-config route 127.0.0.1:15000 -o json\n  curl -s 'http://127.0.0.1:15000/config_dump' | pilotctl proxy-config route -f -"
)]
pub struct RouteArgs {
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub source: Source,
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub filter: Filter,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Which route tables.
#[derive(Debug, Clone, Default, Args)]
pub struct Filter {
    /// Only the table of this name, such as 80.
    #[arg(long)]
    pub name: Option<String>,
}

pub(super) async fn run(args: &RouteArgs, out: &mut dyn Write) -> Result<()> {
    let dump = args.source.dump(&[Section::Routes]).await?;
    if !args.output.data(&data(&dump, &args.filter), out)? {
        print(&dump, &args.filter, out)?;
    }
    Ok(())
}

/// The route tables as Envoy has them, by name.
pub(super) fn data<'a>(dump: &'a Dump, filter: &Filter) -> Vec<&'a Value> {
    let held = dump.held(Section::Routes).into_iter();
    let mut tables: Vec<_> = held
        .filter(|held| in_use(held.state))
        .map(|held| held.resource)
        .filter(|table| passes(filter.name.as_ref(), text(&table["name"])))
        .collect();
    tables.sort_by_key(|table| text(&table["name"]));
    tables
}

/// The table.
pub(super) fn print(dump: &Dump, filter: &Filter, out: &mut dyn Write) -> Result<()> {
    let mut table = Table::new(&["NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"]);
    for routes in data(dump, filter) {
        for host in list(&routes["virtual_hosts"]) {
            let cells = |matches: String, object: String| {
                [
                    Cell::from(text(&routes["name"])),
                    Cell::from(text(&host["name"])),
                    domains(host).into(),
                    matches.into(),
                    object.into(),
                ]
            };
            let all = list(&host["routes"]);
            for route in all {
                table.row(cells(matches(route), managed_by(route)));
            }
            if all.is_empty() {
                table.row(cells("-".to_owned(), "404".to_owned()));
            }
        }
    }
    table.write(out)?;
    write_notes(dump, Section::Routes, out)?;
    Ok(())
}

/// The domains of a virtual host in short: the first, and how many more. Those that differ from it in their port alone, or
/// in the dot at their end, do not count.
pub(super) fn domains(host: &Value) -> String {
    let mut names: Vec<&str> = Vec::new();
    for domain in list(&host["domains"]).iter().map(text) {
        let bare = match domain.rsplit_once(':') {
            Some((name, port)) if port == "*" || port.parse::<u16>().is_ok() => name,
            _ => domain,
        };
        // What is left of `::1` would be no address.
        let bare = if domain.starts_with('[') || !bare.contains(':') {
            bare
        } else {
            domain
        };
        let bare = match bare.strip_suffix('.') {
            Some(name) if !name.is_empty() => name,
            _ => bare,
        };
        if !names.contains(&bare) {
            names.push(bare);
        }
    }
    match names.as_slice() {
        [] => "-".to_owned(),
        [one] => (*one).to_owned(),
        [first, more @ ..] => format!("{first} + {} more...", more.len()),
    }
}

/// What the path of a request has to be.
pub(super) fn matches(route: &Value) -> String {
    let of = &route["match"];
    let mut parts = Vec::new();
    let mut add = |value: &Value, form: fn(&str) -> String| {
        if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
            parts.push(form(text));
        }
    };
    add(&of["prefix"], |prefix| format!("{prefix}*"));
    add(&of["path_separated_prefix"], |prefix| {
        format!("PathPrefix:{prefix}")
    });
    add(&of["path"], str::to_owned);
    add(&of["safe_regex"]["regex"], |regex| format!("regex {regex}"));
    add(
        &of["path_match_policy"]["typed_config"]["path_template"],
        |template| format!("template {template}"),
    );
    if of["connect_matcher"].is_object() {
        parts.push("CONNECT".to_owned());
    }
    if parts.is_empty() {
        return "-".to_owned();
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn domains_in_short() {
        for (of, expected) in [
            (json!(["*"]), "*"),
            (json!([]), "-"),
            (json!(null), "-"),
            (
                json!(["a.test", "a.test.", "a.test:80", "a.test:*"]),
                "a.test",
            ),
            (
                json!(["web.shop", "web.shop:80", "web", "10.0.0.1"]),
                "web.shop + 2 more...",
            ),
            (json!(["::1", "[::1]", "[::1]:80"]), "::1 + 1 more..."),
        ] {
            assert_eq!(domains(&json!({ "domains": of })), expected, "{of}");
        }
    }

    #[test]
    fn paths() {
        for (of, expected) in [
            (json!({ "prefix": "/" }), "/*"),
            (json!({ "path": "/a" }), "/a"),
            (json!({ "path_separated_prefix": "/a" }), "PathPrefix:/a"),
            (json!({ "safe_regex": { "regex": "/a.*" } }), "regex /a.*"),
            (json!({ "connect_matcher": {} }), "CONNECT"),
            (json!({ "something_new": {} }), "-"),
        ] {
            assert_eq!(matches(&json!({ "match": of })), expected, "{of}");
        }
    }
}
