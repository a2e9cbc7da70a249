//! Findings with their places: what files say one by one, what the store says, and what analyzers find.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use pilothouse_core::analysis::{self, Code, Level, SUPPRESS};
use pilothouse_core::mesh::Mesh;
use pilothouse_core::registry::{Object, ObjectKey, Problem};
use pilothouse_core::status::Status;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::offline::messages::{Message, Named};
use crate::offline::sources::Sources;

const PLACE: Style = Style::new().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub(super) message: Message,
    pub(super) code: Code,
}

/// All of them, by file and place.
pub(super) fn all(sources: &Sources, status: &Status, mesh: &Mesh) -> Vec<Line> {
    let objects: BTreeMap<&ObjectKey, &Object> = sources
        .files
        .iter()
        .flat_map(|file| &file.objects)
        .map(|object| (&object.meta.key, object))
        .collect();
    let found = analysis::analyze(mesh);
    let analyzed: BTreeSet<(Code, Named)> = found
        .iter()
        .map(|finding| (finding.code, Named::of(&finding.object)))
        .collect();

    let mut messages = sources.messages();
    messages.add_told(&sources.files, status);
    // What an analyzer tells of an object in more words is told once.
    let is_news = |line: &Line| {
        let object = line.message.object.clone();
        object.is_none_or(|object| !analyzed.contains(&(line.code, object)))
    };
    let told = messages
        .sorted()
        .into_iter()
        .map(|message| Line {
            code: message.code.unwrap_or(Code::SchemaWarning),
            message,
        })
        .filter(is_news);

    let placed = found.into_iter().filter_map(|finding| {
        let at = &objects.get(&finding.object)?.origin;
        let problem = Problem::warning(finding.path, finding.what).hint(finding.hint);
        Some(Line {
            message: Message::new(at, Some(&finding.object), &problem),
            code: finding.code,
        })
    });
    let mut lines: Vec<_> = told.chain(placed).collect();
    lines.retain(|line| !is_suppressed(&objects, line));
    lines.sort();
    lines.dedup();
    lines
}

/// Whether the object's author does not want to be told.
fn is_suppressed(objects: &BTreeMap<&ObjectKey, &Object>, line: &Line) -> bool {
    let Some(named) = &line.message.object else {
        return false;
    };
    let is_it = |key: &ObjectKey| Named::of(key) == *named;
    let object = objects.iter().find(|(key, _)| is_it(key));
    let text = object.and_then(|(_, object)| object.meta.annotations.get(SUPPRESS));
    let is_one = |code: &str| code == "*" || code == line.code.id();
    text.is_some_and(|text| text.split(',').map(str::trim).any(is_one))
}

/// How a level is called.
pub(super) fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "info",
    }
}

impl Line {
    /// Writes it as people read it: the place first, as compilers write it.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Message {
            file,
            line,
            column,
            object,
            field,
            what,
            hint,
            ..
        } = &self.message;
        let level = self.code.level();
        let color = match level {
            Level::Error => AnsiColor::Red,
            Level::Warning => AnsiColor::Yellow,
            Level::Info => AnsiColor::Blue,
        };
        let style = color.on_default().bold();
        write!(out, "{PLACE}{file}")?;
        for number in [line, column].into_iter().flatten() {
            write!(out, ":{number}")?;
        }
        let (word, id) = (word(level), self.code.id());
        write!(out, "{PLACE:#}: {style}{word} [{id}]{style:#}: ")?;
        if let Some(named) = object {
            write!(out, "{} {}/{}: ", named.kind, named.namespace, named.name)?;
        }
        if !field.is_empty() {
            write!(out, "{field}: ")?;
        }
        writeln!(out, "{what}")?;
        if !hint.is_empty() {
            writeln!(out, "  {HINT}hint{HINT:#}: {hint}")?;
        }
        Ok(())
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = &self.message;
        let mut all = serializer.serialize_struct("Finding", 10)?;
        all.serialize_field("code", self.code.id())?;
        all.serialize_field("name", self.code.name())?;
        all.serialize_field("level", word(self.code.level()))?;
        all.serialize_field("file", &message.file)?;
        all.serialize_field("line", &message.line)?;
        all.serialize_field("column", &message.column)?;
        all.serialize_field("object", &message.object)?;
        all.serialize_field("field", &message.field)?;
        all.serialize_field("what", &message.what)?;
        all.serialize_field("hint", &message.hint)?;
        all.end()
    }
}
