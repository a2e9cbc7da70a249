//! Two JSON forms of one message, field by field.

use serde::Serialize;
use serde_json::Value;

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in super::super) struct Changed {
    /// Where it is: `filter_chains[0].filters[1].name`.
    pub(in super::super) path: String,
    /// What discovery holds, if anything.
    pub(in super::super) discovery: Option<Value>,
    /// What Envoy has, if anything.
    pub(in super::super) envoy: Option<Value>,
}

/// What Envoy puts in place of a secret.
const REDACTED: &str = "[redacted]";

/// The fields that differ, in the order of their paths.
pub(super) fn changes(discovery: &Value, envoy: &Value) -> Vec<Changed> {
    let mut changes = Vec::new();
    walk("", Some(discovery), Some(envoy), &mut changes);
    changes
}

fn walk(path: &str, discovery: Option<&Value>, envoy: Option<&Value>, into: &mut Vec<Changed>) {
    match (discovery, envoy) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let mut keys: Vec<_> = a.keys().chain(b.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let path = match path {
                    "" => key.clone(),
                    path => format!("{path}.{key}"),
                };
                walk(&path, a.get(key), b.get(key), into);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for n in 0..a.len().max(b.len()) {
                walk(&format!("{path}[{n}]"), a.get(n), b.get(n), into);
            }
        }
        (Some(a), Some(b)) if same(a, b) => {}
        (discovery, envoy) => into.push(Changed {
            path: path.to_owned(),
            discovery: discovery.cloned(),
            envoy: envoy.cloned(),
        }),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    if a == b || b == REDACTED {
        return true;
    }
    match (a, b) {
        (Value::String(a), Value::String(b)) => duration(a).is_some_and(|a| Some(a) == duration(b)),
        (Value::Number(_), _) | (_, Value::Number(_)) => {
            figure(a).is_some_and(|a| Some(a) == figure(b))
        }
        _ => false,
    }
}

/// A number, or the text in which protobuf's JSON writes one of 64 bits.
fn figure(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    }
}

/// `1.500s` without the zeros at its end.
fn duration(text: &str) -> Option<&str> {
    let number = text.strip_suffix('s')?;
    number.parse::<f64>().ok()?;
    match number.contains('.') {
        true => Some(number.trim_end_matches('0').trim_end_matches('.')),
        false => Some(number),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(discovery: Value, envoy: Value, expected: &[&str]) {
        let paths: Vec<_> = changes(&discovery, &envoy)
            .into_iter()
            .map(|change| change.path)
            .collect();
        assert_eq!(paths, expected, "{discovery} {envoy}");
    }

    #[test]
    fn two_ways_of_writing_are_the_same() {
        for (a, b) in [
            (json!(5), json!("5")),
            (json!(1), json!(1.0)),
            (json!("0.1s"), json!("0.100s")),
            (json!("10s"), json!("10s")),
            (json!("secret"), json!("[redacted]")),
        ] {
            check(json!({ "x": a }), json!({ "x": b }), &[]);
        }
    }

    #[test]
    fn what_differs_is_named() {
        check(json!({ "x": "10s" }), json!({ "x": "1s" }), &["x"]);
        check(json!({ "x": "10" }), json!({ "x": "1.0" }), &["x"]);
        check(json!({ "x": 1 }), json!({ "x": true }), &["x"]);
        check(json!({ "x": {} }), json!({}), &["x"]);
        check(
            json!({ "a": [{ "b": 1 }, 2], "same": null }),
            json!({ "a": [{ "b": 2 }], "c": 3, "same": null }),
            &["a[0].b", "a[1]", "c"],
        );
    }
}
