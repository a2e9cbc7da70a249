//! How the table of the canonical form is made from descriptors, and the proof that it is up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use prost_reflect::{Kind, MessageDescriptor};

use crate::json;

/// Messages that have a map or an `Any` somewhere within, by name.
fn table() -> String {
    let all: BTreeMap<String, MessageDescriptor> = json::pool()
        .all_messages()
        .filter(|m| !m.is_map_entry())
        .map(|m| (m.full_name().to_owned(), m))
        .collect();
    let mut concerned: BTreeSet<&str> = all
        .iter()
        .filter(|(name, m)| *name == "google.protobuf.Any" || m.fields().any(|f| f.is_map()))
        .map(|(name, _)| name.as_str())
        .collect();
    loop {
        let contains = |m: &MessageDescriptor| {
            m.fields()
                .any(|f| matches!(f.kind(), Kind::Message(c) if concerned.contains(c.full_name())))
        };
        let more: Vec<&str> = all
            .iter()
            .filter(|(name, m)| !concerned.contains(name.as_str()) && contains(m))
            .map(|(name, _)| name.as_str())
            .collect();
        if more.is_empty() {
            break;
        }
        concerned.extend(more);
    }
    let lines: BTreeMap<&str, usize> = concerned
        .iter()
        .enumerate()
        .map(|(line, name)| (*name, line))
        .collect();
    let line_of = |kind: Kind| {
        kind.as_message()
            .and_then(|message| lines.get(message.full_name()).copied())
    };
    let mut text = String::new();
    for name in &concerned {
        text.push_str(name);
        for field in all[*name].fields() {
            if let Kind::Message(entry) = field.kind()
                && field.is_map()
            {
                let value = line_of(entry.map_entry_value_field().kind())
                    .map(|line| line.to_string())
                    .unwrap_or_default();
                write!(text, " {}*{value}", field.number()).unwrap();
            } else if let Some(line) = line_of(field.kind()) {
                write!(text, " {}>{line}", field.number()).unwrap();
            }
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_table_is_that_of_the_descriptors() {
    let file = json::asset::path("canonical.txt");
    let expected = table();
    if json::asset::bless() {
        std::fs::write(&file, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap();
    assert!(
        found == expected,
        "{} is out of date: run this test with PILOTHOUSE_BLESS=1",
        file.display()
    );
}
