//! Where the documents of a YAML file begin and end.
//!
//! A line that begins with `---` or `...` is a marker wherever it stands, in block and quoted scalars too (YAML 1.2.2,
//! 9.1.2), so documents can be told apart before any of them is parsed, and one that is broken costs only itself.

/// One document of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Document<'a> {
    /// Its text, with the marker before it.
    pub(crate) text: &'a str,
    /// How many lines of the file stand before `text`.
    pub(crate) before: usize,
    /// The line of the file on which its content begins, counted from 1.
    pub(crate) line: usize,
}

/// The documents of `text` that have content.
pub(crate) fn split(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let mut open = Open::default();
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let begins = marker(line, "---") && !open.only_directives;
        if begins || (open.ended && !marker(line, "---")) {
            documents.extend(open.close(text, at));
            open = Open {
                start: at,
                before: number,
                ..Open::default()
            };
        }
        open.take(line, number);
        at += line.len();
    }
    documents.extend(open.close(text, at));
    documents
}

/// The document that is being collected.
struct Open {
    start: usize,
    before: usize,
    content: Option<usize>,
    /// Nothing but comments and directives, which belong to the document that the next marker begins.
    only_directives: bool,
    ended: bool,
}

impl Default for Open {
    fn default() -> Self {
        Self {
            start: 0,
            before: 0,
            content: None,
            only_directives: true,
            ended: false,
        }
    }
}

impl Open {
    fn take(&mut self, line: &str, number: usize) {
        if marker(line, "---") {
            self.only_directives = false;
            let rest = line.get(3..).unwrap_or_default().trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                self.content.get_or_insert(number + 1);
            }
        } else if marker(line, "...") {
            self.ended = true;
        } else if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            let directive = self.only_directives && line.starts_with('%');
            if !directive {
                self.only_directives = false;
                self.content.get_or_insert(number + 1);
            }
        }
    }

    fn close<'a>(&self, text: &'a str, end: usize) -> Option<Document<'a>> {
        let text = text.get(self.start..end)?;
        Some(Document {
            text,
            before: self.before,
            line: self.content?,
        })
    }
}

fn marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every document is shown as `lines before/content line/text`.
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = split(text)
            .iter()
            .map(|found| format!("{}/{}/{}", found.before, found.line, found.text))
            .collect();
        assert_eq!(found, expected, "in {text:?}");
    }

    #[test]
    fn documents_are_told_apart_by_their_markers() {
        check("", &[]);
        check("# nothing\n\n---\n...\n", &[]);
        check("a: 1\n", &["0/1/a: 1\n"]);
        check("a: 1", &["0/1/a: 1"]);
        check("a: 1\n---\nb: 2\n", &["0/1/a: 1\n", "1/3/---\nb: 2\n"]);
        check(
            "---\n\n# about b\nb: 2\n---\n---\nc: 3",
            &["0/4/---\n\n# about b\nb: 2\n", "5/7/---\nc: 3"],
        );
        check(
            "a: 1\r\n---\r\nb: 2\r\n",
            &["0/1/a: 1\r\n", "1/3/---\r\nb: 2\r\n"],
        );
        check(
            "--- {a: 1}\n--- # two\nb: 2\n",
            &["0/1/--- {a: 1}\n", "1/3/--- # two\nb: 2\n"],
        );
    }

    #[test]
    fn directives_and_leading_comments_belong_to_what_follows() {
        check("%YAML 1.2\n---\na: 1\n", &["0/3/%YAML 1.2\n---\na: 1\n"]);
        check("# licence\n---\na: 1\n", &["0/3/# licence\n---\na: 1\n"]);
        check(
            "a: 1\n...\n%YAML 1.2\n---\nb: 2\n",
            &["0/1/a: 1\n...\n", "2/5/%YAML 1.2\n---\nb: 2\n"],
        );
    }

    #[test]
    fn what_only_looks_like_a_marker_is_text() {
        check(
            "a: |\n  ---\nb: ----\n----\n",
            &["0/1/a: |\n  ---\nb: ----\n----\n"],
        );
    }
}
