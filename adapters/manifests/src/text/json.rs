//! JSON into manifests: one value after another, with whatever space between them.

use serde_json::Value;

use super::document::Document;
use super::places::Places;
use super::snippet::Place;
use super::{Fault, Manifest, manifest};
use pilothouse_core::registry::Problem;

/// Adds to `all` everything that the file contains, in order. What follows a syntax error cannot be told apart and is part
/// of the fault.
pub(super) fn read<'a>(places: &mut Places<'a>, all: &mut Vec<Result<Manifest<'a>, Fault>>) {
    let text = places.source().text;
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut start = 0;
    let mut before = Lines {
        text,
        at: 0,
        count: 0,
    };
    while let Some(value) = values.next() {
        let begin = start
            + text
                .get(start..)
                .map_or(0, |rest| rest.len() - rest.trim_start().len());
        let lines = before.until(begin);
        match value {
            Ok(Value::Null) => {}
            Ok(value) => {
                let text = text.get(begin..values.byte_offset()).unwrap_or_default();
                manifest::read(
                    places,
                    Document {
                        text,
                        before: lines,
                        line: lines + 1,
                    },
                    value,
                    all,
                );
            }
            Err(error) => {
                let place = Place {
                    line: error.line().max(1),
                    column: error.column().max(1),
                };
                let suffix = format!(" at line {} column {}", error.line(), error.column());
                let what = error.to_string();
                let what = what.strip_suffix(&suffix).unwrap_or(&what);
                let problem = Problem::error(
                    "",
                    places
                        .source()
                        .explain(&format!("not valid JSON: {what}"), place),
                );
                all.push(Err(Fault {
                    key: None,
                    line: place.line,
                    problems: vec![problem],
                }));
                return;
            }
        }
        start = values.byte_offset();
    }
}

/// Counts line breaks, going forward only.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    count: usize,
}

impl Lines<'_> {
    fn until(&mut self, end: usize) -> usize {
        let between = self.text.get(self.at..end).unwrap_or_default();
        self.count += between.bytes().filter(|byte| *byte == b'\n').count();
        self.at = end;
        self.count
    }
}
