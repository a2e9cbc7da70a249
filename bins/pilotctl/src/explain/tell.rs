//! A walk as people read it: a line for each step, and below it what was not taken.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use pilothouse_xds::evaluate::{ClusterStep, Considered, HttpStep, Outcome, Walk};

use super::address::Destination;
use super::request::Parsed;
use super::rules::{Rules, Used};

const STEP: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// How many things that were not taken are told of one step.
const MOST: usize = 20;

/// Writes it.
pub(super) fn text(
    out: &mut dyn Write,
    request: &Parsed,
    destination: &Destination,
    walk: &Walk,
    rules: &Rules,
) -> io::Result<()> {
    writeln!(out, "{STEP}{}{STEP:#}", request.line)?;
    let because = &destination.because;
    step(out, "to", &destination.address.to_string(), Some(because))?;
    if let Some(listener) = &walk.listener {
        let by = listener.handed_over_by.as_ref();
        let by = by.map(|by| format!("handed over by {by}"));
        step(out, "listener", &listener.name, by.as_deref())?;
        rule(out, rules.step("listener"))?;
        let mut detected = vec![listener.detected.transport_protocol.clone()];
        let name = listener.detected.server_name.iter();
        detected.extend(name.map(|name| format!("server name {name}")));
        detected.extend(listener.detected.application_protocols.iter().cloned());
        more(out, &format!("the connection is {}", detected.join(", ")))?;
    }
    if let Some(chain) = &walk.chain {
        let name = match (chain.name.as_str(), chain.default) {
            ("", _) => "none".to_owned(),
            (name, true) => format!("{name}, for what no other takes"),
            (name, false) => name.to_owned(),
        };
        let tls = chain.terminates_tls.then_some("ends TLS");
        step(out, "chain", &name, tls)?;
        rule(out, rules.step("chain"))?;
        considered(out, &chain.considered)?;
    }
    if let Some(http) = &walk.http {
        self::http(out, http, rules)?;
    }
    if let Some(cluster) = &walk.cluster {
        self::cluster(out, walk, cluster, rules)?;
    }
    outcome(out, &walk.outcome)?;
    if !rules.others.is_empty() {
        writeln!(out, "{STEP}other rules for this host{STEP:#}")?;
        for other in &rules.others {
            let at = other
                .at
                .as_ref()
                .map_or(String::new(), |at| format!(" ({at})"));
            writeln!(out, "  {}{FAINT}{at}{FAINT:#}: {}", other.object, other.why)?;
        }
    }
    Ok(())
}

fn http(out: &mut dyn Write, http: &HttpStep, rules: &Rules) -> io::Result<()> {
    let inline = http.inline.then_some("part of the listener");
    step(out, "routes", &http.route_configuration, inline)?;
    let Some(host) = &http.virtual_host else {
        return Ok(());
    };
    let domain = http.domain.as_ref();
    let domain = domain.map(|domain| format!("its domain {domain}"));
    step(out, "host", host, domain.as_deref())?;
    considered(out, &http.virtual_hosts_considered)?;
    step(
        out,
        "route",
        http.route.as_deref().unwrap_or("none"),
        Some(&http.matched),
    )?;
    rule(out, rules.step("route"))?;
    considered(out, &http.routes_considered)?;
    for fault in &http.faults {
        let applies = if fault.applies {
            ""
        } else {
            ", not of this one"
        };
        let percent = fault.percent;
        more(
            out,
            &format!("fault: {} of {percent} %{applies}", fault.what),
        )?;
    }
    for edit in &http.request_headers {
        let value = &edit.value;
        more(
            out,
            &format!("request header: {} {} {value}", edit.operation, edit.name),
        )?;
    }
    for edit in &http.response_headers {
        let value = &edit.value;
        more(
            out,
            &format!("answer's header: {} {} {value}", edit.operation, edit.name),
        )?;
    }
    for mirror in &http.mirrors {
        more(
            out,
            &format!("{} % copied to {}", mirror.percent, mirror.cluster),
        )?;
    }
    if let Some(timeout) = &http.timeout {
        more(out, &format!("time-out: {timeout}"))?;
    }
    if let Some(retries) = &http.retries {
        let each = retries.per_try_timeout.as_ref();
        let each = each.map_or(String::new(), |each| format!(", {each} each"));
        more(
            out,
            &format!(
                "tried again {} times{each}, after {}",
                retries.attempts, retries.on
            ),
        )?;
    }
    Ok(())
}

fn cluster(
    out: &mut dyn Write,
    walk: &Walk,
    cluster: &ClusterStep,
    rules: &Rules,
) -> io::Result<()> {
    let total: u64 = walk
        .candidates
        .iter()
        .map(|one| u64::from(one.weight))
        .sum();
    let chosen = walk.candidates.iter().find(|candidate| candidate.chosen);
    let weight = chosen
        .filter(|_| walk.candidates.len() > 1)
        .map(|chosen| format!("weight {} of {total}", chosen.weight));
    step(out, "cluster", &cluster.name, weight.as_deref())?;
    rule(out, rules.step("cluster"))?;
    for other in walk.candidates.iter().filter(|other| !other.chosen) {
        more(
            out,
            &format!("or {}: weight {} of {total}", other.cluster, other.weight),
        )?;
    }
    let mut words = vec![cluster.discovery.clone(), cluster.load_balancing.clone()];
    words.extend(
        cluster
            .subset
            .iter()
            .map(|subset| format!("subset {subset}")),
    );
    if let Some(tls) = &cluster.tls {
        words.push(match (tls.server_name.as_str(), tls.mutual) {
            ("", false) => "TLS".into(),
            ("", true) => "mutual TLS".into(),
            (name, false) => format!("TLS as {name}"),
            (name, true) => format!("mutual TLS as {name}"),
        });
    }
    let limits = cluster.limits.iter();
    words.extend(limits.map(|(name, limit)| format!("at most {limit} {name}")));
    words.extend(cluster.ejects.then(|| "ejects what fails".to_owned()));
    more(out, &words.join(", "))?;
    for group in &cluster.endpoints {
        for endpoint in &group.endpoints {
            let mut words = vec![endpoint.health.to_ascii_lowercase()];
            if cluster.endpoints.len() > 1 || group.priority > 0 {
                words.push(format!("priority {} with {} %", group.priority, group.load));
            }
            if !group.locality.is_empty() {
                words.push(group.locality.clone());
            }
            words.extend(endpoint.weight.map(|weight| format!("weight {weight}")));
            step(out, "endpoint", &endpoint.address, Some(&words.join(", ")))?;
        }
    }
    Ok(())
}

fn outcome(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let (style, text) = match outcome {
        Outcome::Forwarded { cluster, request } => match request {
            Some(request) => {
                let authority = request.authority.as_deref();
                let host = authority.unwrap_or("the endpoint's name");
                let text = format!("{} {} of {host} to {cluster}", request.method, request.path);
                (GOOD, text)
            }
            None => (GOOD, format!("forwarded to {cluster}")),
        },
        Outcome::Answered {
            status,
            flag,
            why,
            headers,
            ..
        } => {
            let location = headers.get("location");
            let location = location.map_or(String::new(), |to| format!(" to {to}"));
            match flag.as_str() {
                "-" => (GOOD, format!("{status}{location}: {why}")),
                flag => (BAD, format!("{status} {flag}: {why}")),
            }
        }
        Outcome::Closed { flag, why } => match flag.as_str() {
            "-" => (BAD, format!("the connection is closed: {why}")),
            flag => (BAD, format!("the connection is closed ({flag}): {why}")),
        },
        Outcome::Refused { why } => (BAD, format!("nobody takes the connection: {why}")),
        Outcome::Unknown { why } => (BAD, format!("unknown: {why}")),
    };
    writeln!(out, "{STEP}{:<9}{STEP:#} {style}{text}{style:#}", "result")
}

fn step(out: &mut dyn Write, what: &str, name: &str, more: Option<&str>) -> io::Result<()> {
    let more = more.filter(|more| !more.is_empty());
    let more = more.map_or(String::new(), |more| format!("  ({more})"));
    writeln!(out, "{STEP}{what:<9}{STEP:#} {name}{FAINT}{more}{FAINT:#}")
}

fn more(out: &mut dyn Write, text: &str) -> io::Result<()> {
    writeln!(out, "{:<9} {FAINT}  {}{FAINT:#}", "", text.trim_end())
}

fn rule(out: &mut dyn Write, used: Option<&Used>) -> io::Result<()> {
    let Some(used) = used else { return Ok(()) };
    let field = used
        .field
        .as_ref()
        .map_or(String::new(), |field| format!(" {field}"));
    let at = used
        .at
        .as_ref()
        .map_or(String::new(), |at| format!(" ({at})"));
    writeln!(
        out,
        "{:<9}   by {}{field}{FAINT}{at}{FAINT:#}",
        "", used.object
    )
}

fn considered(out: &mut dyn Write, all: &[Considered]) -> io::Result<()> {
    for one in all.iter().take(MOST) {
        more(out, &format!("not {}: {}", one.name, one.why))?;
    }
    match all.len().saturating_sub(MOST) {
        0 => Ok(()),
        left => more(out, &format!("and not {left} others")),
    }
}
