//! The lines of a file around a place, for people.

use std::fmt::Write;

use pilothouse_core::registry::Origin;

/// The text of one file and what it is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The path as its author knows it.
    pub(crate) path: &'a str,
    /// The whole text.
    pub(crate) text: &'a str,
}

/// A place in a file; both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Longer lines are cut: minified JSON would bury the message.
const WIDTH: usize = 100;

impl Source<'_> {
    /// The origin of what stands on `line`.
    pub(crate) fn origin(&self, line: usize) -> Origin {
        Origin::new(format!("{}:{line}", self.path))
    }

    /// `what`, followed by the place and the line with a caret under the column.
    pub(crate) fn explain(&self, what: &str, place: Place) -> String {
        let Place { line, column } = place;
        let mut message = format!("{what}\n  --> {}:{line}:{column}", self.path);
        let above = line
            .checked_sub(2)
            .and_then(|above| self.text.lines().nth(above));
        let width = line.to_string().len();
        if let Some(above) = above.filter(|above| !above.trim().is_empty()) {
            let _ = write!(message, "\n{:>width$} | {}", line - 1, cut(above, 0).0);
        }
        if let Some(text) = self.text.lines().nth(line.saturating_sub(1)) {
            let (shown, skipped) = cut(text, column.saturating_sub(1));
            let caret = column.saturating_sub(1).saturating_sub(skipped);
            let _ = write!(
                message,
                "\n{line:>width$} | {shown}\n{:>width$} | {:>caret$}^",
                "", ""
            );
        }
        message
    }
}

/// The part of `line` to show so that `column` (from 0) is in it, and how many characters stand before that part.
fn cut(line: &str, column: usize) -> (String, usize) {
    // A control character would move the caret away, and a terminal's escapes do not belong into a log.
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let start = if column < WIDTH {
        0
    } else {
        column - WIDTH / 2
    };
    (
        line.chars().skip(start).take(WIDTH).map(clean).collect(),
        start,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, line: usize, column: usize, expected: &str) {
        let source = Source {
            path: "mesh.yaml",
            text,
        };
        assert_eq!(source.explain("wrong", Place { line, column }), expected);
    }

    #[test]
    fn a_caret_stands_under_the_place() {
        check(
            "a: 1\nb: [\n",
            2,
            4,
            "wrong\n  --> mesh.yaml:2:4\n1 | a: 1\n2 | b: [\n  |    ^",
        );
        check(
            "ä: ß{",
            1,
            5,
            "wrong\n  --> mesh.yaml:1:5\n1 | ä: ß{\n  |     ^",
        );
        check(
            "\ta: 1",
            1,
            2,
            "wrong\n  --> mesh.yaml:1:2\n1 |  a: 1\n  |  ^",
        );
    }

    #[test]
    fn a_place_outside_the_text_is_only_named() {
        check("a: 1\n", 3, 1, "wrong\n  --> mesh.yaml:3:1");
        check("", 1, 1, "wrong\n  --> mesh.yaml:1:1");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = format!("{}x{}", "-".repeat(1000), "-".repeat(1000));
        let expected = format!(
            "wrong\n  --> mesh.yaml:1:1001\n1 | {}x{}\n  | {}^",
            "-".repeat(50),
            "-".repeat(49),
            " ".repeat(50)
        );
        check(&text, 1, 1001, &expected);
    }
}
