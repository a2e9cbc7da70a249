//! Tables as kubectl has them: columns without borders, a heading, one line for each row.
//!
//! Colours are always written; the stream drops them where nobody would see them. What others wrote cannot steer a terminal:
//! control characters are shown and not sent.

use std::io::{self, BufWriter, Write};

use anstyle::{AnsiColor, Effects, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table as Layout};

/// The blanks between two columns.
const GAP: u16 = 3;
/// What is longer than this is cut: the whole of it is in JSON.
const LONGEST: usize = 2000;

/// A table that is being filled.
#[derive(Debug)]
pub(crate) struct Table {
    heading: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

/// One line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

/// What a colour is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing.
    Plain,
    /// It stands above others.
    Heading,
    /// All is well.
    Good,
    /// It may become well by itself.
    Waiting,
    /// Somebody has to act.
    Bad,
    /// Nobody needs to look at it.
    Faint,
}

impl Table {
    /// An empty one.
    pub(crate) fn new(heading: &[&str]) -> Self {
        let heading = heading
            .iter()
            .map(|text| Cell::new(text, Tone::Heading))
            .collect();
        Self {
            heading,
            rows: Vec::new(),
        }
    }

    /// One more line.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes it.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut layout = Layout::new();
        layout
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(texts(&self.heading));
        layout.add_rows(self.rows.iter().map(|row| texts(row)));
        for column in layout.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        let rows = std::iter::once(&self.heading).chain(&self.rows);
        let mut out = BufWriter::new(out);
        for (line, row) in layout.lines().zip(rows) {
            paint(&line, row, &mut out)?;
        }
        out.flush()
    }
}

impl Cell {
    /// A text in a tone.
    pub(crate) fn new(text: &str, tone: Tone) -> Self {
        let mut text = visible(text.trim());
        if let Some((end, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(end);
            text.push('…');
        }
        Self { text, tone }
    }

    /// The text, or a dash.
    pub(crate) fn or_dash(text: &str) -> Self {
        match text {
            "" => Self::from("-"),
            text => Self::from(text),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text, Tone::Plain)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Option<u16>> for Cell {
    fn from(port: Option<u16>) -> Self {
        match port {
            None | Some(0) => Self::from("-"),
            Some(port) => Self::from(port.to_string()),
        }
    }
}

impl Tone {
    /// The text in this tone's colour.
    pub(crate) fn paint(self, text: &str) -> String {
        let style = self.style();
        format!("{style}{text}{style:#}")
    }

    fn style(self) -> Style {
        let colour = |colour: AnsiColor| colour.on_default();
        match self {
            Self::Plain => Style::new(),
            Self::Heading => Style::new().effects(Effects::BOLD),
            Self::Good => colour(AnsiColor::Green),
            Self::Waiting => colour(AnsiColor::Yellow),
            Self::Bad => colour(AnsiColor::Red),
            Self::Faint => Style::new().effects(Effects::DIMMED),
        }
    }
}

/// A text on one line, without anything that steers a terminal.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(' '),
            '\r' => {}
            // Also what turns the direction of writing.
            c if c.is_control()
                || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                shown.extend(c.escape_unicode());
            }
            c => shown.push(c),
        }
    }
    shown
}

fn texts(row: &[Cell]) -> Vec<&str> {
    row.iter().map(|cell| cell.text.as_str()).collect()
}

/// Writes a line that was laid out, each cell of it in its colour.
fn paint(line: &str, row: &[Cell], out: &mut dyn Write) -> io::Result<()> {
    let mut rest = line.trim_end();
    for cell in row {
        let blanks = rest.len() - rest.trim_start().len();
        let Some(after) = rest
            .trim_start()
            .strip_prefix(&cell.text)
            .filter(|_| !cell.text.is_empty())
        else {
            continue;
        };
        write!(out, "{:blanks$}{}", "", cell.tone.paint(&cell.text))?;
        rest = after;
    }
    writeln!(out, "{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(table: &Table) -> String {
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn plain(table: &Table) -> String {
        anstream::adapter::strip_str(&written(table)).to_string()
    }

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::new(&["NAME", "STATE", "VERSION"]);
        table.row([
            Cell::from("a-long-name"),
            Cell::new("SYNCED", Tone::Good),
            Cell::from("1.0"),
        ]);
        table.row([Cell::from("süß"), Cell::from(""), Cell::from("1.0")]);
        table.row([Cell::from("日本"), Cell::from("x"), Cell::from("")]);
        assert_eq!(
            plain(&table),
            "NAME          STATE    VERSION\n\
             a-long-name   SYNCED   1.0\n\
             süß                    1.0\n\
             日本          x\n"
        );
    }

    #[test]
    fn only_words_are_coloured() {
        let mut table = Table::new(&["A", "B"]);
        table.row([Cell::new("x", Tone::Bad), Cell::from("y")]);
        assert_eq!(
            written(&table),
            "\u{1b}[1mA\u{1b}[0m   \u{1b}[1mB\u{1b}[0m\n\u{1b}[31mx\u{1b}[0m   y\n"
        );
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let mut table = Table::new(&["A", "B"]);
        table.row([Cell::from("a\u{1b}[2J\nb\u{202e}"), Cell::from("c")]);
        assert_eq!(
            plain(&table),
            "A                      B\na\\u{1b}[2J b\\u{202e}   c\n"
        );
    }

    #[test]
    fn a_table_without_rows_has_a_heading() {
        assert_eq!(plain(&Table::new(&["A", "B"])), "A   B\n");
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let mut table = Table::new(&["A", "B"]);
        table.row([Cell::from("x".repeat(100_000)), Cell::from("y")]);
        let text = plain(&table);
        assert!(text.ends_with("x…   y\n"));
        assert!(text.len() < 3 * LONGEST);
    }
}
