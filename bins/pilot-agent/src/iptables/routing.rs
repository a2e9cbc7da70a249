//! What stands beside rules: the route by which TPROXY's mark brings packets to this machine, and the address that Envoy connects from in
//! IPv6. All of it is marked as ours, so that nothing else is ever removed.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::backend::in_path;
use super::host::SOURCE_V6;
use super::rules::Family;

/// The number that says who has made a route or a routing rule; the kernel keeps it with them.
const PROTOCOL: &str = "133";

/// Where packets with a mark go: to this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MarkedRoute {
    /// The mark.
    pub(super) mark: u32,
    /// The table that has the route.
    pub(super) table: u32,
}

/// What is ours: routing rules, with the place of each, and tables with our route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    rules: Vec<(u64, MarkedRoute)>,
    tables: Vec<u32>,
}

impl MarkedRoute {
    /// The arguments of `ip` that make it.
    pub(super) fn commands(&self, family: Family) -> [Vec<String>; 2] {
        let Self { mark, table } = self;
        let ip = family.option();
        [
            format!("{ip} rule add fwmark {mark:#x} lookup {table} protocol {PROTOCOL}"),
            format!("{ip} route add local default dev lo table {table} protocol {PROTOCOL}"),
        ]
        .map(|text| words(&text))
    }
}

/// The one that is ours.
pub(super) fn ours(family: Family) -> Result<Option<MarkedRoute>> {
    if in_path("ip").is_none() {
        return Ok(None);
    }
    Ok(seen(family)?.rules.first().map(|(_, route)| *route))
}

/// The arguments of `ip` that add [`SOURCE_V6`].
pub(super) fn add_source_v6() -> Vec<String> {
    words(&format!("-6 addr add {SOURCE_V6}/128 dev lo"))
}

/// The arguments of `ip` that remove [`SOURCE_V6`].
pub(super) fn remove_source_v6() -> Vec<String> {
    words(&format!("-6 addr del {SOURCE_V6}/128 dev lo"))
}

/// The commands that make this what is ours in one version of IP, from what there is.
pub(super) fn changes(family: Family, wanted: Option<MarkedRoute>) -> Result<Vec<Vec<String>>> {
    if wanted.is_none() && in_path("ip").is_none() {
        // Nothing of ours can be there without it.
        return Ok(Vec::new());
    }
    Ok(difference(family, &seen(family)?, wanted))
}

/// Runs `ip`. That something is there already, made by somebody else, is as good.
pub(super) fn run(args: &[String]) -> Result<()> {
    match ip(args) {
        Ok(_) => Ok(()),
        Err(error) if error.to_string().contains("File exists") => Ok(()),
        Err(error) => Err(error),
    }
}

fn difference(family: Family, seen: &Seen, wanted: Option<MarkedRoute>) -> Vec<Vec<String>> {
    let ip = family.option();
    let mut commands = Vec::new();
    let mut found = None;
    for (place, rule) in &seen.rules {
        if Some(*rule) == wanted && found.is_none() {
            found = Some(*rule);
        } else {
            let MarkedRoute { mark, table } = rule;
            commands.push(words(&format!(
                "{ip} rule del priority {place} fwmark {mark:#x} lookup {table}"
            )));
        }
    }
    for table in &seen.tables {
        if wanted.map(|wanted| wanted.table) != Some(*table) {
            commands.push(words(&format!(
                "{ip} route del local default dev lo table {table} protocol {PROTOCOL}"
            )));
        }
    }
    if let Some(wanted) = wanted {
        let [rule, route] = wanted.commands(family);
        // The route first: a mark without one would lead elsewhere.
        if !seen.tables.contains(&wanted.table) {
            commands.push(route);
        }
        if found.is_none() {
            commands.push(rule);
        }
    }
    commands
}

fn seen(family: Family) -> Result<Seen> {
    let option = family.option();
    let rules = list(&format!("-N -j {option} rule show"))?;
    let tables = list(&format!(
        "-N -j {option} route show table all protocol {PROTOCOL}"
    ))?;
    Ok(Seen {
        rules: rules.iter().filter_map(our_rule).collect(),
        tables: tables
            .iter()
            .filter_map(|route| route["table"].as_str()?.parse().ok())
            .collect(),
    })
}

fn our_rule(rule: &Value) -> Option<(u64, MarkedRoute)> {
    if rule["protocol"] != PROTOCOL {
        return None;
    }
    let mark = rule["fwmark"].as_str()?.strip_prefix("0x")?;
    let route = MarkedRoute {
        mark: u32::from_str_radix(mark, 16).ok()?,
        table: rule["table"].as_str()?.parse().ok()?,
    };
    Some((rule["priority"].as_u64()?, route))
}

fn list(args: &str) -> Result<Vec<Value>> {
    let text = ip(&words(args))?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&text).with_context(|| format!("ip {args}: reading {text:?}"))
}

fn ip(args: &[String]) -> Result<String> {
    let program = in_path("ip").context("there is no ip in PATH: install the package iproute2")?;
    let output = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .output()
        .context("running ip")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let advice = match said.contains("device is not up") {
            true => "; the loopback interface is down: ip link set lo up",
            false => "",
        };
        bail!("ip {}: {}{advice}", args.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROUTE: MarkedRoute = MarkedRoute {
        mark: 1337,
        table: 133,
    };
    const ADD_RULE: &str = "-4 rule add fwmark 0x539 lookup 133 protocol 133";
    const ADD_ROUTE: &str = "-4 route add local default dev lo table 133 protocol 133";

    fn check(
        rules: &[(u64, MarkedRoute)],
        tables: &[u32],
        wanted: Option<MarkedRoute>,
        expected: &[&str],
    ) {
        let seen = Seen {
            rules: rules.to_vec(),
            tables: tables.to_vec(),
        };
        let commands: Vec<_> = difference(Family::V4, &seen, wanted)
            .iter()
            .map(|args| args.join(" "))
            .collect();
        assert_eq!(commands, expected);
    }

    #[test]
    fn only_what_differs_is_changed() {
        let other = MarkedRoute { table: 7, ..ROUTE };
        check(&[], &[], None, &[]);
        check(&[], &[], Some(ROUTE), &[ADD_ROUTE, ADD_RULE]);
        check(&[(9, ROUTE)], &[133], Some(ROUTE), &[]);
        check(&[(9, ROUTE)], &[], Some(ROUTE), &[ADD_ROUTE]);
        check(
            &[(9, ROUTE), (8, ROUTE)],
            &[133],
            Some(ROUTE),
            &["-4 rule del priority 8 fwmark 0x539 lookup 133"],
        );
        check(
            &[(9, other)],
            &[7],
            Some(ROUTE),
            &[
                "-4 rule del priority 9 fwmark 0x539 lookup 7",
                "-4 route del local default dev lo table 7 protocol 133",
                ADD_ROUTE,
                ADD_RULE,
            ],
        );
    }

    #[test]
    fn rules_of_others_are_not_ours() {
        let ours = json!({"priority": 32765, "src": "all", "fwmark": "0x539", "table": "133", "protocol": "133"});
        assert_eq!(our_rule(&ours), Some((32765, ROUTE)));
        for (key, value) in [("protocol", json!("3")), ("fwmark", json!("0x539/0xff"))] {
            let mut theirs = ours.clone();
            theirs[key] = value;
            assert_eq!(our_rule(&theirs), None, "{key}");
        }
    }
}
