//! One event of `tracing` as one line, of text or of JSON. What peers and files put into a line cannot break out of it:
//! control characters are escaped, long values are cut.

use std::fmt::{self, Write};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};

use crate::causes;

/// Longer texts are cut; a proxy chooses some of them.
const LONGEST: usize = 4096;

/// Fields of an event or a span, in the order they were written.
#[derive(Debug, Default, Clone)]
pub(super) struct Fields(pub(super) Vec<(&'static str, Value)>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, Value::String(cut(format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, Value::String(cut(value.to_owned())));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.push(field, Value::String(cut(causes(value))));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value.into());
    }
}

impl Fields {
    fn push(&mut self, field: &Field, value: Value) {
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, old)) => *old = value,
            None => self.0.push((field.name(), value)),
        }
    }
}

/// What a line is made from.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) at: Timestamp,
    pub(super) level: &'static str,
    pub(super) scope: &'static str,
    /// The event's own fields, its message among them, then those of the spans around it.
    pub(super) fields: &'a [(&'static str, Value)],
    /// A stack trace, where one is wanted.
    pub(super) stack: Option<String>,
}

impl Line<'_> {
    /// Time, level, scope, message and `key=value` pairs, with tabs between them.
    pub(super) fn text(&self) -> String {
        let mut line = format!("{:.6}\t{}\t{}\t", self.at, self.level, self.scope);
        if let Some((_, message)) = self.fields.iter().find(|(name, _)| *name == MESSAGE) {
            escape(&mut line, &plain(message));
        }
        let mut blank = '\t';
        for (name, value) in self.fields.iter().filter(|(name, _)| !apart(name)) {
            let value = plain(value);
            line.push(blank);
            blank = ' ';
            line.push_str(name);
            line.push('=');
            let quoted = value.is_empty() || value.contains([' ', '"', '=']);
            if quoted {
                line.push('"');
                escape(&mut line, &value.replace('\\', "\\\\").replace('"', "\\\""));
                line.push('"');
            } else {
                escape(&mut line, &value);
            }
        }
        line.push('\n');
        let snippet = self.fields.iter().find(|(name, _)| *name == SNIPPET);
        let blocks = snippet.map(|(_, text)| plain(text)).into_iter();
        for part in blocks.chain(self.stack.clone()).flat_map(|block| {
            block
                .lines()
                .map(|part| part.trim_end().to_owned())
                .collect::<Vec<_>>()
        }) {
            // Continuation lines begin with a tab and a bar: no text can pass for a line of its own.
            line.push_str("\t| ");
            escape(&mut line, &part);
            line.push('\n');
        }
        line
    }

    /// An object a line, with Istio's keys `time`, `level`, `scope` and `msg`.
    pub(super) fn json(&self) -> String {
        let mut object = Map::new();
        for (name, value) in self.fields {
            let name = if *name == MESSAGE { "msg" } else { *name };
            object.entry(name).or_insert_with(|| value.clone());
        }
        object.insert("time".into(), format!("{:.6}", self.at).into());
        object.insert("level".into(), self.level.into());
        object.insert("scope".into(), self.scope.into());
        if let Some(stack) = &self.stack {
            object.insert("stack".into(), stack.clone().into());
        }
        format!("{}\n", Value::Object(object))
    }
}

const MESSAGE: &str = "message";
/// A field that is shown below the line, as it stands in a file.
const SNIPPET: &str = "snippet";

fn apart(name: &str) -> bool {
    name == MESSAGE || name == SNIPPET
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Appends `text` without anything that moves a terminal or begins a line.
fn escape(line: &mut String, text: &str) {
    for c in text.chars() {
        // The two separators end a line for some readers.
        if c.is_control() || c == '\u{2028}' || c == '\u{2029}' {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let mut end = LONGEST;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let rest = text.len() - end;
        text.truncate(end);
        let _ = write!(text, "... ({rest} bytes more)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(fields: &'a [(&'static str, Value)]) -> Line<'a> {
        Line {
            at: Timestamp::UNIX_EPOCH,
            level: "warn",
            scope: "ads",
            fields,
            stack: None,
        }
    }

    #[test]
    fn text_has_message_and_fields() {
        let fields = [
            ("message", "stream closed".into()),
            ("proxy", "web-1".into()),
            ("reason", "too slow".into()),
            ("resources", 3.into()),
        ];
        assert_eq!(
            line(&fields).text(),
            "1970-01-01T00:00:00.000000Z\twarn\tads\tstream closed\tproxy=web-1 reason=\"too slow\" resources=3\n"
        );
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let evil = "a\r\n2026-01-01T00:00:00.000000Z\terror\tads\tfake \u{1b}[31m\0\u{2028}\"";
        let fields = [("message", evil.into()), ("node", evil.into())];
        let text = line(&fields).text();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            !text.trim_end().chars().any(|c| c.is_control() && c != '\t'),
            "{text:?}"
        );
        assert_eq!(text.matches('\t').count(), 4, "{text:?}");
        let json = line(&fields).json();
        assert_eq!(json.lines().count(), 1, "{json}");
        let read: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["node"], evil);
        assert_eq!(read["msg"], evil);
    }

    #[test]
    fn a_snippet_stands_below_its_line() {
        let fields = [
            ("message", "does not parse".into()),
            ("snippet", "1 | kind: [\n  |       ^\n".into()),
        ];
        assert_eq!(
            line(&fields).text(),
            "1970-01-01T00:00:00.000000Z\twarn\tads\tdoes not parse\n\t| 1 | kind: [\n\t|   |       ^\n"
        );
    }

    #[test]
    fn json_keys_cannot_be_taken_by_fields() {
        let fields = [("message", "m".into()), ("level", "debug".into())];
        let read: Value = serde_json::from_str(&line(&fields).json()).unwrap();
        assert_eq!(read["level"], "warn");
    }

    #[test]
    fn long_values_are_cut() {
        let text = cut("é".repeat(LONGEST));
        assert!(text.len() < LONGEST + 40);
        assert!(text.ends_with("... (4096 bytes more)"), "{text}");
    }
}
