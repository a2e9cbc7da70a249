//! The fields in which two versions of a resource differ, in Envoy's terms.
//!
//! What is in a list is found again by what tells it apart: virtual hosts and filters by name, routes by what they match,
//! endpoints by address. Where nothing does, what is equal at both ends of the list stays, and the rest is compared by place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// How much of a value a line shows.
const SHOWN: usize = 100;

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// Where, such as `virtual_hosts[web.test:80].routes[0].route.timeout`.
    pub path: String,
    /// What it was; `None` where it was not there.
    pub before: Option<Value>,
    /// What it would be.
    pub after: Option<Value>,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            before,
            after,
        } = self;
        match (before, after) {
            (Some(before), Some(after)) => write!(f, "{path} {} → {}", short(before), short(after)),
            (None, Some(after)) => write!(f, "{path} + {}", short(after)),
            (Some(before), None) => write!(f, "{path} - {}", short(before)),
            (None, None) => f.write_str(path),
        }
    }
}

/// A value on one line, cut if it is long.
pub(super) fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= SHOWN {
        return text;
    }
    let cut: String = text.chars().take(SHOWN).collect();
    format!("{cut}…")
}

/// All differences, in the order of the fields' names.
pub fn fields(before: &Value, after: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    compare("", "", before, after, &mut found);
    found
}

/// The items of two lists that are the same item, by places; `None` where one list lacks it.
pub(super) fn aligned(
    list: &str,
    before: &[Value],
    after: &[Value],
) -> Vec<(Option<usize>, Option<usize>)> {
    let keyed = |items: &[Value]| -> Option<BTreeMap<String, usize>> {
        let keys: Option<BTreeMap<_, _>> = items
            .iter()
            .enumerate()
            .map(|(place, item)| Some((key(list, item)?, place)))
            .collect();
        keys.filter(|keys| keys.len() == items.len())
    };
    let (Some(old), Some(new)) = (keyed(before), keyed(after)) else {
        return by_place(before, after);
    };
    let gone = old.iter().filter(|(key, _)| !new.contains_key(*key));
    let mut all: Vec<_> = gone.map(|(_, place)| (Some(*place), None)).collect();
    all.extend(
        new.iter()
            .map(|(key, place)| (old.get(key).copied(), Some(*place))),
    );
    all.sort_by_key(|(old, new)| (new.or(*old), new.is_some()));
    all
}

fn compare(path: &str, name: &str, before: &Value, after: &Value, found: &mut Vec<Field>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) if old.get("@type") == new.get("@type") => {
            objects(path, old, new, found);
        }
        (Value::Array(old), Value::Array(new)) => lists(path, name, old, new, found),
        _ => found.push(Field {
            path: path.to_owned(),
            before: Some(before.clone()),
            after: Some(after.clone()),
        }),
    }
}

fn objects(path: &str, old: &Map<String, Value>, new: &Map<String, Value>, found: &mut Vec<Field>) {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for name in names {
        let inner = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => compare(&inner, name, old, new, found),
            (before, after) => found.push(Field {
                path: inner,
                before: before.cloned(),
                after: after.cloned(),
            }),
        }
    }
}

fn lists(path: &str, name: &str, before: &[Value], after: &[Value], found: &mut Vec<Field>) {
    let pairs = aligned(name, before, after);
    let mut last = None;
    let mut moved = false;
    for (old, new) in &pairs {
        let (old_item, new_item) = (
            old.and_then(|place| before.get(place)),
            new.and_then(|place| after.get(place)),
        );
        let Some(item) = new_item.or(old_item) else {
            continue;
        };
        let inner = format!(
            "{path}{}",
            label(name, item, new.or(*old).unwrap_or_default())
        );
        match (old_item, new_item) {
            (Some(a), Some(b)) => {
                moved |= *old < last;
                last = *old;
                compare(&inner, "", a, b, found);
            }
            _ => found.push(Field {
                path: inner,
                before: old_item.cloned(),
                after: new_item.cloned(),
            }),
        }
    }
    if moved {
        found.push(Field {
            path: format!("{path} (order)"),
            before: None,
            after: None,
        });
    }
}

/// By place within what is left when equal items at both ends are taken away.
fn by_place(before: &[Value], after: &[Value]) -> Vec<(Option<usize>, Option<usize>)> {
    let shorter = before.len().min(after.len());
    let same = |(a, b): &(&Value, &Value)| a == b;
    let head = before.iter().zip(after).take_while(same).count();
    let tail = before.iter().rev().zip(after.iter().rev());
    let tail = tail.take(shorter - head).take_while(same).count();
    let (old, new) = (before.len() - tail, after.len() - tail);
    let kept = (0..head).map(|place| (Some(place), Some(place)));
    let middle = (head..old.max(new)).map(|place| {
        (
            (place < old).then_some(place),
            (place < new).then_some(place),
        )
    });
    let rest = (0..tail).map(|place| (Some(old + place), Some(new + place)));
    kept.chain(middle).chain(rest).collect()
}

/// What tells an item of a list apart.
fn key(list: &str, item: &Value) -> Option<String> {
    let fields = match item {
        Value::String(text) => return Some(text.clone()),
        Value::Object(fields) => fields,
        _ => return None,
    };
    let written = |name: &str| fields.get(name).map(ToString::to_string);
    match list {
        "routes" => written("match"),
        "lb_endpoints" => address(item),
        "endpoints" => {
            let priority = written("priority").unwrap_or_default();
            Some(format!(
                "{} {priority}",
                written("locality").unwrap_or_default()
            ))
        }
        "filter_chains" => written("name").or_else(|| written("filter_chain_match")),
        "thresholds" => Some(written("priority").unwrap_or_default()),
        _ => written("name"),
    }
}

/// How an item is named in a path.
fn label(list: &str, item: &Value, place: usize) -> String {
    match (list, item) {
        (_, Value::String(_)) => String::new(),
        ("routes" | "clusters", _) => format!("[{place}]"),
        ("lb_endpoints", _) => format!("[{}]", address(item).unwrap_or_else(|| place.to_string())),
        (_, item) => match item["name"].as_str() {
            Some(name) => format!("[{name}]"),
            None => format!("[{place}]"),
        },
    }
}

/// Where an endpoint is reached.
pub(super) fn address(endpoint: &Value) -> Option<String> {
    let address = &endpoint["endpoint"]["address"];
    let socket = &address["socket_address"];
    match (socket["address"].as_str(), &socket["port_value"]) {
        (Some(ip), port) => Some(format!("{ip}:{port}")),
        (None, _) => address.as_object().map(|_| address.to_string()),
    }
}
