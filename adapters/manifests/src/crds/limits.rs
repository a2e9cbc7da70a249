//! What an API server refuses at once: sizes, ranges, what is missing and what does not go together.
//!
//! Limits are said of Rust types and of places in them, wherever a type occurs. An API server estimates what its expressions
//! cost and refuses definitions that could cost too much: expressions stand where few or limited lists are around them, and
//! deeper down the means are those of plain schemas.

mod routing;
mod security;
mod services;

use serde_json::{Value, json};

/// What is said of a place.
pub(super) enum Limit {
    /// These fields are there.
    Required(&'static [&'static str]),
    /// At most one of these fields is there.
    AtMostOne(&'static [&'static str]),
    /// Exactly one of these fields is there.
    ExactlyOne(&'static [&'static str]),
    /// A list has so many items.
    Items(u32, u32),
    /// A list has this many items at least.
    AtLeastItems(u32),
    /// A map has no more entries.
    Entries(u32),
    /// A text has so many characters.
    Length(u32, u32),
    /// A number is between these, which belong to it.
    Range(u32, u32),
    /// A number is no less.
    AtLeast(u32),
    /// A text looks like this regular expression.
    Pattern(&'static str),
    /// Items of a list are told apart by this field.
    Keyed(&'static str),
    /// An expression in CEL holds; otherwise the message is what the author reads.
    Rule(&'static str, &'static str),
}

/// What is said of a place in a type.
pub(super) struct On {
    /// The type: its path below `rules::spec`; or a kind, for its objects as a whole.
    pub(super) type_name: &'static str,
    /// The place: empty for the type itself, a field, `field[]` for the items of a list, `field{}` for the values of a map.
    pub(super) place: &'static str,
    limits: &'static [Limit],
}

const fn on(type_name: &'static str, place: &'static str, limits: &'static [Limit]) -> On {
    On {
        type_name,
        place,
        limits,
    }
}

/// A port's number.
const PORT: &[Limit] = &[Limit::Range(1, 65535)];
/// A share of a whole.
const PERCENT: &[Limit] = &[Limit::Range(0, 100)];
/// One label of a DNS name.
const LABEL: &[Limit] = &[
    Limit::Length(1, 63),
    Limit::Pattern("^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"),
];
/// An object without a `spec` says nothing.
const SPEC: &[Limit] = &[Limit::Required(&["spec"])];

/// All that is said of any type.
pub(super) fn all() -> impl Iterator<Item = &'static On> {
    [routing::ALL, security::ALL, services::ALL]
        .into_iter()
        .flatten()
}

/// Adds to a schema what is said of its type.
pub(super) fn apply(type_name: &str, schema: &mut Value) {
    for on in all().filter(|on| on.type_name == type_name) {
        if let Some(place) = find(schema, on.place) {
            for limit in on.limits {
                add(limit, place);
            }
        }
    }
}

/// The schema of a place.
pub(super) fn find<'a>(schema: &'a mut Value, place: &str) -> Option<&'a mut Value> {
    if place.is_empty() {
        return Some(schema);
    }
    let (field, below) = match (place.strip_suffix("[]"), place.strip_suffix("{}")) {
        (Some(field), _) => (field, Some("items")),
        (_, Some(field)) => (field, Some("additionalProperties")),
        _ => (place, None),
    };
    let field = schema.get_mut("properties")?.get_mut(field)?;
    match below {
        Some(below) => field.get_mut(below),
        None => Some(field),
    }
}

fn add(limit: &Limit, schema: &mut Value) {
    match limit {
        Limit::Required(names) => schema["required"] = json!(names),
        Limit::AtMostOne(names) => add_choice(schema, names, true),
        Limit::ExactlyOne(names) => add_choice(schema, names, false),
        Limit::Items(least, most) => {
            set_unless_zero(schema, "minItems", *least);
            schema["maxItems"] = json!(most);
        }
        Limit::AtLeastItems(least) => schema["minItems"] = json!(least),
        Limit::Entries(most) => schema["maxProperties"] = json!(most),
        Limit::Length(least, most) => {
            set_unless_zero(schema, "minLength", *least);
            schema["maxLength"] = json!(most);
        }
        Limit::Range(least, most) => {
            schema["minimum"] = json!(least);
            schema["maximum"] = json!(most);
        }
        Limit::AtLeast(least) => schema["minimum"] = json!(least),
        Limit::Pattern(pattern) => schema["pattern"] = json!(pattern),
        Limit::Keyed(field) => {
            schema["x-kubernetes-list-type"] = json!("map");
            schema["x-kubernetes-list-map-keys"] = json!([field]);
        }
        Limit::Rule(message, rule) => push(
            schema,
            "x-kubernetes-validations",
            json!({"message": message, "rule": rule}),
        ),
    }
}

/// One of the fields is there, or none if that is allowed.
fn add_choice(schema: &mut Value, names: &[&str], may_lack: bool) {
    let mut choices: Vec<_> = names
        .iter()
        .map(|name| json!({"required": [name]}))
        .collect();
    if may_lack {
        choices.insert(0, json!({"not": {"anyOf": choices}}));
    }
    push(schema, "allOf", json!({"oneOf": choices}));
}

fn push(schema: &mut Value, name: &str, item: Value) {
    match schema.get_mut(name).and_then(Value::as_array_mut) {
        Some(items) => items.push(item),
        None => schema[name] = json!([item]),
    }
}

fn set_unless_zero(schema: &mut Value, name: &str, number: u32) {
    if number > 0 {
        schema[name] = json!(number);
    }
}
