//! What changed clusters and endpoints mean: who can be reached, and how the load is spread and limited.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::fields::{Field, address, fields, short as shown};
use super::{heads, leaves, list, named};

/// Fields of load balancing beside its name.
const LOAD_BALANCING: [&str; 6] = [
    "least_request_lb_config",
    "round_robin_lb_config",
    "ring_hash_lb_config",
    "maglev_lb_config",
    "common_lb_config",
    "load_balancing_policy",
];

/// What is said of a cluster.
pub(super) fn cluster(name: &str, before: &Value, after: &Value) -> Vec<String> {
    let who = named(name);
    match (before, after) {
        (Value::Null, _) => return vec![format!("a cluster for {who} is added")],
        (_, Value::Null) => return vec![format!("the cluster for {who} is removed")],
        _ => {}
    }
    let all = fields(before, after);
    let mut topics: BTreeMap<Topic, Vec<&Field>> = BTreeMap::new();
    for field in &all {
        topics
            .entry(Topic::of(&field.path))
            .or_default()
            .push(field);
    }
    topics
        .iter()
        .filter(|(topic, _)| {
            **topic != Topic::Names || all.iter().all(|f| Topic::of(&f.path) == Topic::Names)
        })
        .map(|(topic, fields)| match topic {
            Topic::LoadBalancing if before["lb_policy"] != after["lb_policy"] => {
                let policy = |cluster: &Value| {
                    shown(cluster.get("lb_policy").unwrap_or(&"ROUND_ROBIN".into()))
                };
                format!(
                    "load balancing of {who} becomes {} ({} before)",
                    policy(after),
                    policy(before)
                )
            }
            Topic::LoadBalancing => format!("load balancing of {who} changes: {}", leaves(fields)),
            Topic::Limits => format!("circuit breakers of {who} change: {}", leaves(fields)),
            Topic::Outliers => match (&before["outlier_detection"], &after["outlier_detection"]) {
                (Value::Null, _) => format!("bad endpoints of {who} are ejected"),
                (_, Value::Null) => format!("bad endpoints of {who} are not ejected"),
                _ => format!("outlier detection of {who} changes: {}", leaves(fields)),
            },
            Topic::Tls => match (&before["transport_socket"], &after["transport_socket"]) {
                (Value::Null, Value::Object(_)) => format!("connections to {who} use TLS"),
                (Value::Object(_), Value::Null) => format!("connections to {who} use no TLS"),
                _ => format!("TLS of connections to {who} changes"),
            },
            Topic::Names => format!("who the cluster for {who} is made from changes"),
            Topic::Other => {
                let fields: Vec<_> = fields.iter().map(|field| (*field).clone()).collect();
                format!("the cluster for {who} changes: {}", heads(&fields))
            }
        })
        .collect()
}

/// What is said of a load assignment.
pub(super) fn endpoints(name: &str, before: &Value, after: &Value) -> Vec<String> {
    let who = named(name);
    let (old, new) = (reached(before), reached(after));
    match (before, after) {
        (Value::Null, _) if new.is_empty() => return vec![format!("{who} has no endpoints")],
        (Value::Null, _) => return vec![format!("{who} has {}", number(new.len()))],
        // What is said of its cluster is enough.
        (_, Value::Null) => return Vec::new(),
        _ => {}
    }
    let only = |a: &BTreeMap<String, &Value>, b: &BTreeMap<String, &Value>| {
        a.keys().filter(|address| !b.contains_key(*address)).count()
    };
    let (added, removed) = (only(&new, &old), only(&old, &new));
    let changed = new
        .iter()
        .filter(|(address, endpoint)| old.get(*address).is_some_and(|before| before != *endpoint));
    let counts = [
        (added, "added"),
        (removed, "removed"),
        (changed.count(), "changed"),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if counts.is_empty() {
        return vec![format!(
            "the weights or places of the endpoints of {who} change"
        )];
    }
    vec![format!(
        "endpoints of {who} change: {} ({} before)",
        counts.join(", "),
        old.len()
    )]
}

/// What a field of a cluster is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    LoadBalancing,
    Limits,
    Outliers,
    Tls,
    Other,
    /// Who it is made from.
    Names,
}

impl Topic {
    fn of(path: &str) -> Self {
        let head = path.split(['.', '[']).next().unwrap_or_default();
        match head {
            "lb_policy" => Self::LoadBalancing,
            head if LOAD_BALANCING.contains(&head) => Self::LoadBalancing,
            "circuit_breakers" => Self::Limits,
            "outlier_detection" => Self::Outliers,
            "transport_socket" | "transport_socket_matches" => Self::Tls,
            "metadata" | "alt_stat_name" => Self::Names,
            _ => Self::Other,
        }
    }
}

fn reached(assignment: &Value) -> BTreeMap<String, &Value> {
    list(assignment, "endpoints")
        .iter()
        .flat_map(|locality| list(locality, "lb_endpoints"))
        .filter_map(|endpoint| Some((address(endpoint)?, endpoint)))
        .collect()
}

fn number(endpoints: usize) -> String {
    format!(
        "{endpoints} endpoint{}",
        if endpoints == 1 { "" } else { "s" }
    )
}
