//! Messages as people read them: the place first, as compilers write it, so that editors find it.

use std::fmt;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use pilothouse_core::registry::Severity;

use super::messages::{Message, Named};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const PLACE: Style = Style::new().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const FAINT: Style = Style::new().dimmed();

/// Writes one message with what stands around its place.
pub(super) fn message(out: &mut dyn Write, message: &Message) -> io::Result<()> {
    let (style, word) = match message.severity {
        Severity::Error => (ERROR, "error"),
        Severity::Warning => (WARNING, "warning"),
    };
    write!(
        out,
        "{PLACE}{}{PLACE:#}: {style}{word}{style:#}: ",
        Place(message)
    )?;
    if let Some(Named {
        kind,
        namespace,
        name,
    }) = &message.object
    {
        write!(out, "{kind} {namespace}/{name}: ")?;
    }
    if !message.field.is_empty() {
        write!(out, "{}: ", message.field)?;
    }
    writeln!(out, "{}", message.what)?;
    for line in message.snippet.lines() {
        writeln!(out, "  {FAINT}{line}{FAINT:#}")?;
    }
    if !message.hint.is_empty() {
        writeln!(out, "  {HINT}hint{HINT:#}: {}", message.hint)?;
    }
    Ok(())
}

/// How many there are of each: `2 errors and 1 warning`; empty if there are none.
pub(super) fn count(messages: &[Message]) -> String {
    let of = |severity: Severity, word: &str| {
        let n = messages.iter().filter(|m| m.severity == severity).count();
        (n > 0).then(|| number(n, word))
    };
    let counts = [
        of(Severity::Error, "error"),
        of(Severity::Warning, "warning"),
    ];
    counts
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" and ")
}

/// `1 file`, `2 files`.
pub(super) fn number(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

struct Place<'a>(&'a Message);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.file)?;
        for number in [self.0.line, self.0.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        Ok(())
    }
}
