//! YAML into manifests.
//!
//! Values are decoded without a schema and then read as JSON, as Kubernetes does, so that `yes`, `0755` and `1e3` mean
//! what they mean there.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::{Budget, MessageFormatter, Options, UserMessageFormatter};

use super::document::{Document, split};
use super::manifest;
use super::meta;
use super::places::Places;
use super::snippet::{Place, Source};
use super::{Fault, Manifest};
use pilothouse_core::registry::{ObjectKey, Problem};

/// Adds to `all` everything that the file contains, in order.
pub(super) fn read<'a>(places: &mut Places<'a>, all: &mut Vec<Result<Manifest<'a>, Fault>>) {
    for document in split(places.source().text) {
        match decode::<Value>(document.text) {
            Ok(Value::Null) => {}
            Ok(value) => manifest::read(places, document, value, all),
            Err(error) => all.push(Err(fault(places.source(), &document, &error))),
        }
    }
}

/// The value of a file that is not made of objects: `null` where it says nothing.
pub(super) fn value<'a>(source: Source<'a>) -> Result<(Document<'a>, Value), Fault> {
    let mut documents = split(source.text).into_iter();
    let document = documents.next().unwrap_or(Document {
        text: source.text,
        before: 0,
        line: 1,
    });
    if let Some(second) = documents.next() {
        let place = Place {
            line: second.line,
            column: 1,
        };
        let what = source.explain("a second document begins here; only one is read", place);
        return Err(Fault {
            key: None,
            line: second.line,
            problems: vec![Problem::error("", what)],
        });
    }
    match decode::<Option<Value>>(document.text) {
        Ok(value) => Ok((document, value.unwrap_or(Value::Null))),
        Err(error) => Err(fault(source, &document, &error)),
    }
}

/// One document as a `T`, within limits that no honest file meets.
pub(super) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(text, options())
}

fn options() -> Options {
    // A `List` of 10,000 services has some 600,000 nodes. Aliases are what lets a short file become a large value.
    serde_saphyr::options! {
        budget: Some(budget()),
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 200_000,
            max_replay_stack_depth: 16,
        },
        legacy_octal_numbers: true,
        with_snippet: false,
    }
}

fn budget() -> Budget {
    let mut budget = Budget::default();
    budget.max_events = 10_000_000;
    budget.max_nodes = 5_000_000;
    budget.max_aliases = 10_000;
    // One anchor used a hundred times is ordinary; the limit of replayed events covers what this one is for.
    budget.enforce_alias_anchor_ratio = false;
    budget
}

fn fault(source: Source<'_>, document: &Document<'_>, error: &serde_saphyr::Error) -> Fault {
    let error = error.without_snippet();
    let what = UserMessageFormatter
        .format_message(error)
        .escape_debug()
        .to_string()
        .replace("\\'", "'")
        .replace("\\\"", "\"");
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let place = error.location().map_or(
        Place {
            line: document.line,
            column: 1,
        },
        |location| Place {
            line: number(location.line()) + document.before,
            column: number(location.column()),
        },
    );
    Fault {
        key: glimpse(document.text),
        line: place.line,
        problems: vec![Problem::error(
            "",
            source.explain(&format!("not valid YAML: {what}"), place),
        )],
    }
}

/// Which object a document that cannot be parsed is about, as far as its lines tell.
fn glimpse(text: &str) -> Option<ObjectKey> {
    let (mut kind, mut name, mut namespace) = (None, None, None);
    let mut within = "";
    let mut inset = None;
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let indent = key.len() - key.trim_start().len();
        if indent == 0 {
            (within, inset) = (key.trim(), None);
            if within == "kind" {
                kind = scalar(value);
            }
        } else if within == "metadata" && *inset.get_or_insert(indent) == indent {
            match key.trim() {
                "name" => name = scalar(value),
                "namespace" => namespace = scalar(value),
                _ => {}
            }
        }
    }
    Some(meta::key(kind?, namespace, name?))
}

/// A plain or quoted value on one line.
fn scalar(value: &str) -> Option<&str> {
    let value = value.split(" #").next().unwrap_or_default().trim();
    let value = value.trim_matches(['"', '\'']);
    let name = !value.is_empty()
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    name.then_some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_mean_what_they_mean_to_kubernetes() {
        let check = |text: &str, expected: Value| {
            assert_eq!(decode::<Value>(text).ok(), Some(expected), "{text}")
        };
        check("a: yes", json!({"a": true}));
        check("a: off", json!({"a": false}));
        check("a: 0755", json!({"a": 493}));
        check("a: 10s", json!({"a": "10s"}));
        check("a: \"80\"", json!({"a": "80"}));
        check("a: ~", json!({"a": null}));
        check(
            "a: 2024-01-01T00:00:00Z",
            json!({"a": "2024-01-01T00:00:00Z"}),
        );
        check(
            "base: &b {x: 1}\na: {<<: *b, y: 2}",
            json!({"base": {"x": 1}, "a": {"x": 1, "y": 2}}),
        );
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let refused = |text: &str| assert!(decode::<Value>(text).is_err());
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let inner = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        refused(&bomb);
        refused(&"[".repeat(100_000));
        refused(&format!("a: {}", "{a: ".repeat(10_000)));
        refused(
            &(0..5_000)
                .map(|depth| format!("{}a:\n", " ".repeat(depth)))
                .collect::<String>(),
        );
    }

    #[test]
    fn a_broken_document_is_named_as_far_as_it_can_be_read() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(
                glimpse(text).map(|key| key.to_string()).as_deref(),
                expected,
                "{text}"
            );
        };
        check(
            "kind: ServiceEntry\nmetadata:\n  name: web # the shop\n  namespace: 'shop'\nspec: [",
            Some("ServiceEntry shop/web"),
        );
        check(
            "---\nkind: \"WorkloadEntry\"\nmetadata:\n    labels:\n      name: no\n    name: vm-1\n",
            Some("WorkloadEntry default/vm-1"),
        );
        check("kind: ServiceEntry\nspec:\n  name: web\n", None);
        check("metadata:\n  name: web\n", None);
        check("kind: [\nmetadata: {name: web}\n", None);
        check("", None);
    }
}
