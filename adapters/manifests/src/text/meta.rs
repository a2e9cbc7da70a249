//! `metadata`, read so that every problem in it is found.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pilothouse_core::model::Labels;
use pilothouse_core::registry::{Kind, Meta, ObjectKey, Problem};
use serde_json::{Map, Value};

/// The namespace of what names none.
const DEFAULT_NAMESPACE: &str = "default";

/// The identity of an object.
pub(super) fn key(kind: &str, namespace: Option<&str>, name: &str) -> ObjectKey {
    let namespace = namespace
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or(DEFAULT_NAMESPACE);
    ObjectKey::new(Kind::new(kind), namespace.into(), name)
}

/// `metadata`, as far as it can be read; `None` without a name.
pub(super) fn meta(
    kind: &str,
    written: Option<&Value>,
    problems: &mut Vec<Problem>,
) -> Option<Meta> {
    let empty = Map::new();
    let fields = match written {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(fields)) => fields,
        Some(other) => {
            problems.push(Problem::error(
                "metadata",
                format!("expected an object, found {}", article(other)),
            ));
            return None;
        }
    };
    let namespace = text(fields, "namespace", problems);
    let labels = texts(fields, "labels", problems);
    let annotations = texts(fields, "annotations", problems);
    let created = text(fields, "creationTimestamp", problems).and_then(|text| {
        match text.parse::<Timestamp>() {
            Ok(time) => Some(time),
            Err(_) => {
                let problem = Problem::error(
                    "metadata.creationTimestamp",
                    format!("`{text}` is not a time"),
                );
                problems.push(problem.hint("expected a time such as 2026-01-31T12:00:00Z"));
                None
            }
        }
    });
    let generation = match fields.get("generation") {
        None | Some(Value::Null) => 0,
        Some(value) => value.as_i64().unwrap_or_else(|| {
            problems.push(Problem::error(
                "metadata.generation",
                format!("expected a whole number, found {}", article(value)),
            ));
            0
        }),
    };
    let Some(name) = text(fields, "name", problems) else {
        if !problems
            .iter()
            .any(|problem| problem.path == "metadata.name")
        {
            problems.push(Problem::error("metadata.name", "is missing"));
        }
        return None;
    };
    Some(Meta {
        key: key(kind, namespace, name),
        labels,
        annotations,
        generation,
        created,
        domain: None,
        kept_addresses: None,
    })
}

/// A text that may be absent; an empty one is absent.
fn text<'v>(
    fields: &'v Map<String, Value>,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<&'v str> {
    match fields.get(field) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.as_str()).filter(|text| !text.is_empty()),
        Some(other) => {
            let problem = Problem::error(
                format!("metadata.{field}"),
                format!("expected text, found {}", article(other)),
            );
            problems.push(problem.hint("put it in quotes"));
            None
        }
    }
}

fn texts(fields: &Map<String, Value>, field: &str, problems: &mut Vec<Problem>) -> Labels {
    let written = match fields.get(field) {
        None | Some(Value::Null) => return Labels::default(),
        Some(Value::Object(written)) => written,
        Some(other) => {
            problems.push(Problem::error(
                format!("metadata.{field}"),
                format!("expected an object, found {}", article(other)),
            ));
            return Labels::default();
        }
    };
    let mut labels = BTreeMap::new();
    for (key, value) in written {
        if let Value::String(text) = value {
            labels.insert(key.clone(), text.clone());
        } else {
            let problem = Problem::error(
                format!("metadata.{field}[{key}]"),
                format!("expected text, found {}", article(value)),
            );
            problems.push(problem.hint("put it in quotes"));
        }
    }
    labels.into()
}

/// What a value is, for people.
pub(super) fn article(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("the truth value `{value}`"),
        Value::Number(value) => format!("the number `{value}`"),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
