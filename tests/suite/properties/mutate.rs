//! What people, and programs that write files, do to objects: leave out, empty, exaggerate, confuse.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// Something is done at a place; each number of the path picks one of what is there.
#[derive(Debug, Clone)]
pub(super) struct Mutation {
    path: Vec<usize>,
    change: Change,
}

#[derive(Debug, Clone)]
enum Change {
    Remove,
    Empty,
    Replace(Json),
    Insert(String, Json),
    Repeat(usize),
}

pub(super) fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let change = prop_oneof![
        2 => Just(Change::Remove),
        2 => Just(Change::Empty),
        3 => odd().prop_map(Change::Replace),
        1 => ("[a-zA-Z_]{0,9}", odd()).prop_map(|(key, value)| Change::Insert(key, value)),
        1 => (2usize..120).prop_map(Change::Repeat),
    ];
    let path = prop::collection::vec(0usize..8, 1..6);
    let one = (path, change).prop_map(|(path, change)| Mutation { path, change });
    prop::collection::vec(one, 1..4)
}

/// Values that somebody could put anywhere.
fn odd() -> impl Strategy<Value = Json> {
    let texts = [
        "",
        "*",
        "*.",
        ".",
        "~",
        "/",
        "0",
        "-1",
        "65536",
        "NaN",
        "1e999",
        "0s",
        "-5s",
        "999999999999999999s",
        "~/*",
        "*/*",
        "unix:///a",
        "::1",
        "10.0.0.0/0",
        "10.0.1.1",
        "web.amber.test",
        "*.test",
        "(((",
        "%REQ(",
        "\u{0}",
        "ü.test",
        "[",
        "ALLOW_ANY",
    ];
    prop_oneof![
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::from),
        1 => any::<i64>().prop_map(Json::from),
        1 => any::<f64>().prop_map(Json::from),
        1 => Just(json!(u64::MAX)),
        1 => Just(json!(65536)),
        6 => prop::sample::select(texts.to_vec()).prop_map(Json::from),
        1 => ".{0,12}".prop_map(Json::from),
        1 => Just(Json::from("x".repeat(100_000))),
        1 => Just(json!([])),
        1 => Just(json!({})),
        1 => Just(json!([null, {}, [], ""])),
        1 => Just(json!({"": {"": [{}]}})),
    ]
}

/// Does it, where there is such a place.
pub(super) fn mutate(value: &mut Json, mutation: &Mutation) {
    at(value, &mutation.path, &mutation.change);
}

fn at(value: &mut Json, path: &[usize], change: &Change) {
    let Some((pick, rest)) = path.split_first() else {
        return;
    };
    let deeper = |value: &Json| !rest.is_empty() && (value.is_object() || value.is_array());
    match value {
        Json::Object(fields) if !fields.is_empty() => {
            let keys: Vec<_> = fields.keys().cloned().collect();
            let Some(key) = keys.get(pick % keys.len()) else {
                return;
            };
            match (fields.get_mut(key), change) {
                (Some(field), _) if deeper(field) => at(field, rest, change),
                (_, Change::Remove) => drop(fields.remove(key)),
                (_, Change::Insert(name, new)) => drop(fields.insert(name.clone(), new.clone())),
                (Some(field), change) => here(field, change),
                (None, _) => {}
            }
        }
        Json::Array(items) if !items.is_empty() => {
            let index = pick % items.len();
            match change {
                Change::Remove if rest.is_empty() => drop(items.remove(index)),
                Change::Repeat(times) if rest.is_empty() => {
                    let item = items.swap_remove(index);
                    *items = vec![item; *times];
                }
                change => match items.get_mut(index) {
                    Some(item) if deeper(item) => at(item, rest, change),
                    Some(item) => here(item, change),
                    None => {}
                },
            }
        }
        _ => {}
    }
}

fn here(value: &mut Json, change: &Change) {
    match change {
        Change::Remove | Change::Empty => {
            *value = match value {
                Json::Array(_) => json!([]),
                Json::Object(_) => json!({}),
                Json::String(_) => json!(""),
                Json::Number(_) => json!(0),
                _ => Json::Null,
            }
        }
        Change::Replace(new) | Change::Insert(_, new) => *value = new.clone(),
        Change::Repeat(times) => *value = Json::from(vec![value.take(); *times]),
    }
}
