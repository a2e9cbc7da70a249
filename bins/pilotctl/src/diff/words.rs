//! What a changed resource means, in plain words, for what people change most; anything else gets a general sentence.

mod clusters;
mod routes;

use std::collections::BTreeSet;

use serde_json::Value;

use super::fields::{Field, fields};

/// What is said of a resource of a type (`rds`, `cds`, ...) that differs, or is there on one side only.
///
/// Each sentence can be continued with whom it concerns.
pub fn words(resource_type: &str, name: &str, before: &Value, after: &Value) -> Vec<String> {
    match resource_type {
        "rds" => routes::words(name, before, after),
        "cds" => clusters::cluster(name, before, after),
        "eds" => clusters::endpoints(name, before, after),
        "lds" => listener(name, before, after),
        _ => vec!["the names that clients look up change".to_owned()],
    }
}

fn listener(name: &str, before: &Value, after: &Value) -> Vec<String> {
    vec![match (before, after) {
        (Value::Null, _) => format!("listener {name} is added"),
        (_, Value::Null) => format!("listener {name} is removed"),
        _ => format!("listener {name} changes: {}", heads(&fields(before, after))),
    }]
}

/// The first fields of these paths, without what is inside of them.
fn heads(fields: &[Field]) -> String {
    let head = |path: &str| -> String {
        let mut depth = 0_usize;
        path.chars()
            .take_while(|c| {
                match c {
                    '[' => depth += 1,
                    ']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                *c != '.' || depth > 0
            })
            .collect()
    };
    let heads: BTreeSet<_> = fields.iter().map(|field| head(&field.path)).collect();
    heads.into_iter().collect::<Vec<_>>().join(", ")
}

/// The fields' own names with what becomes of them: `consecutive_5xx 3 → 5`.
fn leaves(fields: &[&Field]) -> String {
    let leaf = |field: &&Field| {
        let path = field.path.rsplit('.').next().unwrap_or_default().to_owned();
        Field {
            path,
            ..(*field).clone()
        }
        .to_string()
    };
    fields.iter().map(leaf).collect::<Vec<_>>().join(", ")
}

/// A host without what every host of a platform ends in.
fn short(host: &str) -> &str {
    host.strip_suffix(".svc.cluster.local").unwrap_or(host)
}

/// Port, subset and host of a cluster of a service: `outbound|80|v1|web.test`, or `outbound_.80_.v1_.web.test`.
fn service(cluster: &str) -> Option<(&str, &str, &str)> {
    let separated = |separator| {
        let mut parts = cluster.splitn(4, separator);
        let direction = parts.next()?;
        let (port, subset, host) = (parts.next()?, parts.next()?, parts.next()?);
        (direction == "outbound" && !host.is_empty()).then_some((port, subset, host))
    };
    separated("|").or_else(|| separated("_."))
}

/// What a cluster is.
fn named(cluster: &str) -> String {
    match service(cluster) {
        Some((port, "", host)) => format!("{}:{port}", short(host)),
        Some((port, subset, host)) => format!("subset {subset} of {}:{port}", short(host)),
        None => cluster.to_owned(),
    }
}

fn list<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}
