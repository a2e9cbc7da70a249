//! What changed routes mean: where requests go, how long they may take, and how often they are tried.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::fields::{Field, aligned, fields, short as shown};
use super::{heads, list, named, service, short};

/// What is said of a route configuration.
pub(super) fn words(name: &str, before: &Value, after: &Value) -> Vec<String> {
    match (before, after) {
        (Value::Null, _) => return vec![format!("route configuration {name} is added")],
        (_, Value::Null) => return vec![format!("route configuration {name} is removed")],
        _ => {}
    }
    let mut said = Vec::new();
    let (old, new) = (list(before, "virtual_hosts"), list(after, "virtual_hosts"));
    for (a, b) in aligned("virtual_hosts", old, new) {
        match (item(old, a), item(new, b)) {
            (Value::Null, host) => said.push(format!(
                "requests to {} have routes of their own",
                host_of(host)
            )),
            (host, Value::Null) => said.push(format!(
                "requests to {} have no routes of their own",
                host_of(host)
            )),
            (a, b) if a != b => virtual_host(a, b, &mut said),
            _ => {}
        }
    }
    let mut rest = fields(before, after);
    rest.retain(|field| !field.path.starts_with("virtual_hosts"));
    if !rest.is_empty() {
        said.push(format!(
            "route configuration {name} changes: {}",
            heads(&rest)
        ));
    }
    said
}

fn virtual_host(before: &Value, after: &Value, said: &mut Vec<String>) {
    let host = host_of(after);
    let (old, new) = (list(before, "routes"), list(after, "routes"));
    let mut last = None;
    let mut moved = false;
    for (a, b) in aligned("routes", old, new) {
        if a.is_some() && b.is_some() {
            moved |= a < last;
            last = a;
        }
        match (item(old, a), item(new, b)) {
            (Value::Null, route) => {
                let to = destination(route, host);
                said.push(format!("a new route takes {}{to}", requests(route, host)));
            }
            (route, Value::Null) => {
                said.push(format!("the route of {} is removed", requests(route, host)));
            }
            (a, b) if a != b => route(a, b, host, said),
            _ => {}
        }
    }
    if moved {
        said.push(format!("the routes of {} have another order", short(host)));
    }
    let mut rest = fields(before, after);
    rest.retain(|field| !field.path.starts_with("routes"));
    if !rest.is_empty() {
        said.push(format!(
            "the virtual host of {} changes: {}",
            short(host),
            heads(&rest)
        ));
    }
}

fn route(before: &Value, after: &Value, host: &str, said: &mut Vec<String>) {
    let who = requests(after, host);
    let (old, new) = (shares(before), shares(after));
    let both = !old.is_empty() && !new.is_empty();
    for (cluster, share) in &new {
        let was = old.get(cluster).copied().unwrap_or_default();
        if both && *share > was {
            let from = if was > 0.0 {
                format!(" ({} % before)", number(was))
            } else {
                String::new()
            };
            let to = target(cluster, host);
            said.push(format!("{} % of {who} moves to {to}{from}", number(*share)));
        }
    }
    let (old, new) = (&before["route"], &after["route"]);
    if both && old["timeout"] != new["timeout"] {
        let (a, b) = (timeout(&old["timeout"]), timeout(&new["timeout"]));
        said.push(format!("the timeout of {who} becomes {b} ({a} before)"));
    }
    if both && old["retry_policy"] != new["retry_policy"] {
        said.push(retries(&who, &old["retry_policy"], &new["retry_policy"]));
    }
    let told = |field: &Field| {
        let of_route = [
            "route.weighted_clusters",
            "route.cluster",
            "route.timeout",
            "route.retry_policy",
        ];
        // Who has written it, and what it is called, is no change of what happens.
        let of_names = ["metadata", "decorator", "name"];
        let is = |name: &&str| {
            let rest = field.path.strip_prefix(*name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        (both && of_route.iter().any(&is)) || of_names.iter().any(is)
    };
    let mut rest = fields(before, after);
    rest.retain(|field| !told(field));
    for field in &mut rest {
        if both && let Some(inner) = field.path.strip_prefix("route.") {
            field.path = inner.to_owned();
        }
    }
    if !rest.is_empty() {
        said.push(format!("the route of {who} changes: {}", heads(&rest)));
    }
}

fn retries(who: &str, before: &Value, after: &Value) -> String {
    let count = |policy: &Value| match policy {
        Value::Null => "none".to_owned(),
        policy => policy["num_retries"].as_u64().unwrap_or(1).to_string(),
    };
    let (a, b) = (count(before), count(after));
    if a != b {
        return format!("retries of {who} become {b} ({a} before)");
    }
    format!(
        "the retries of {who} change: {}",
        heads(&fields(before, after))
    )
}

/// Envoy's 0 is no limit, and nothing said is its default.
fn timeout(value: &Value) -> String {
    match value.as_str() {
        Some("0s") => "none".to_owned(),
        Some(text) => text.to_owned(),
        None => "15s".to_owned(),
    }
}

/// The share of each cluster in percent.
fn shares(route: &Value) -> BTreeMap<String, f64> {
    let action = &route["route"];
    if let Some(cluster) = action["cluster"].as_str() {
        return [(cluster.to_owned(), 100.0)].into();
    }
    let weight = |cluster: &Value| cluster["weight"].as_f64().unwrap_or_default();
    let clusters = list(&action["weighted_clusters"], "clusters");
    let total: f64 = clusters.iter().map(weight).sum();
    let mut shares = BTreeMap::new();
    for cluster in clusters.iter().filter(|_| total > 0.0) {
        let name = cluster["name"].as_str().unwrap_or_default().to_owned();
        *shares.entry(name).or_default() += weight(cluster) * 100.0 / total;
    }
    shares
}

/// Which requests a route takes.
fn requests(route: &Value, host: &str) -> String {
    let wanted = &route["match"];
    let path = ["path", "prefix", "path_separated_prefix"]
        .iter()
        .find_map(|kind| wanted[*kind].as_str().map(str::to_owned))
        .or_else(|| {
            Some(format!(
                "paths like {}",
                wanted["safe_regex"]["regex"].as_str()?
            ))
        });
    let conditions = ["headers", "query_parameters"]
        .iter()
        .flat_map(|kind| list(wanted, kind))
        .filter_map(|condition| condition["name"].as_str());
    let conditions: Vec<_> = conditions.collect();
    let with = if conditions.is_empty() {
        String::new()
    } else {
        format!(" with {}", conditions.join(", "))
    };
    match path.as_deref() {
        None | Some("/") => format!("all requests to {}{with}", short(host)),
        Some(path) => format!("{path} on {}{with}", short(host)),
    }
}

fn destination(route: &Value, host: &str) -> String {
    let shares = shares(route);
    if shares.is_empty() {
        let action = ["redirect", "direct_response"];
        let action = action.iter().find(|action| route[**action].is_object());
        return action.map_or(String::new(), |action| {
            format!(" and answers with {}", shown(&route[*action]))
        });
    }
    let one = |(cluster, share): (&String, &f64)| match shares.len() {
        1 => target(cluster, host),
        _ => format!("{} ({} %)", target(cluster, host), number(*share)),
    };
    let all: Vec<_> = shares.iter().map(one).collect();
    format!(" to {}", all.join(", "))
}

/// A cluster as seen from the requests for a host.
fn target(cluster: &str, host: &str) -> String {
    match service(cluster) {
        Some((_, subset, own)) if own == host && !subset.is_empty() => format!("subset {subset}"),
        _ => named(cluster),
    }
}

/// The host of a virtual host: its name without the port.
fn host_of(virtual_host: &Value) -> &str {
    let name = virtual_host["name"].as_str().unwrap_or_default();
    match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => name,
    }
}

fn number(percent: f64) -> String {
    let rounded = (percent * 10.0).round() / 10.0;
    rounded.to_string()
}

fn item(list: &[Value], place: Option<usize>) -> &Value {
    place
        .and_then(|place| list.get(place))
        .unwrap_or(&Value::Null)
}
