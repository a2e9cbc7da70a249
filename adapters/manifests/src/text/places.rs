//! Places for problems: from a field's path to the line, column and snippet that its author needs.

use pilothouse_core::registry::Problem;

use super::document::Document;
use super::fields::Fields;
use super::manifest::{Manifest, join};
use super::snippet::{Place, Source};

/// Looks up places in one file. A document is read with positions at most once, and only if it is asked for.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    source: Source<'a>,
    last: Option<(Document<'a>, Option<Fields>)>,
}

impl<'a> Places<'a> {
    /// Places in `source`.
    pub(crate) fn of(source: Source<'a>) -> Self {
        Self { source, last: None }
    }

    /// The file.
    pub(crate) fn source(&self) -> Source<'a> {
        self.source
    }

    /// The same problems, each with where its field stands.
    pub(crate) fn explain(
        &mut self,
        manifest: &Manifest<'a>,
        problems: Vec<Problem>,
    ) -> Vec<Problem> {
        self.explain_at(manifest.document, &manifest.path, manifest.line, problems)
    }

    pub(super) fn explain_at(
        &mut self,
        document: Document<'a>,
        part: &str,
        line: usize,
        problems: Vec<Problem>,
    ) -> Vec<Problem> {
        let mut explained = problems;
        for problem in &mut explained {
            let place = self
                .place(document, &join(part, &problem.path))
                .unwrap_or(Place { line, column: 1 });
            problem.what = self.source.explain(&problem.what, place);
        }
        explained
    }

    /// Where the field at `path` of `document` stands; `None` where the document cannot be read with positions.
    pub(super) fn place(&mut self, document: Document<'a>, path: &str) -> Option<Place> {
        let known = self
            .last
            .as_ref()
            .is_some_and(|(last, _)| *last == document);
        if !known {
            self.last = Some((document, Fields::of(&document)));
        }
        let (_, fields) = self.last.as_ref()?;
        fields.as_ref().map(|fields| fields.place(path))
    }
}
