//! Objects as written, whatever their kind, and lists of such objects.

use pilothouse_core::registry::{Meta, ObjectKey, Problem};
use serde_json::{Map, Value};

use super::Fault;
use super::document::Document;
use super::meta::{article, meta};
use super::places::Places;

/// An object as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest<'a> {
    /// Such as `networking.istio.io/v1`.
    pub(crate) api_version: String,
    /// Its identity and labels.
    pub(crate) meta: Meta,
    /// The line of the file that it begins on.
    pub(crate) line: usize,
    /// All of its fields.
    pub(crate) fields: Map<String, Value>,
    /// The document it stands in.
    pub(super) document: Document<'a>,
    /// Its path in that document: empty, or `items[3]`.
    pub(super) path: String,
}

/// Adds to `all` what `value`, the content of `document`, is: an object, a list of objects, or a fault.
pub(super) fn read<'a>(
    places: &mut Places<'a>,
    document: Document<'a>,
    value: Value,
    all: &mut Vec<Result<Manifest<'a>, Fault>>,
) {
    let part = Part {
        document,
        value,
        path: String::new(),
        line: document.line,
    };
    part.read(places, None, all);
}

/// A value in a document that should be an object or a list.
struct Part<'a> {
    document: Document<'a>,
    value: Value,
    path: String,
    line: usize,
}

impl<'a> Part<'a> {
    /// `list` is the version and kind of the list around it, for items that leave theirs out.
    fn read(
        self,
        places: &mut Places<'a>,
        list: Option<(&str, &str)>,
        all: &mut Vec<Result<Manifest<'a>, Fault>>,
    ) {
        let Value::Object(mut fields) = self.value else {
            let what = format!("expected an object, found {}", article(&self.value));
            let problem =
                Problem::error("", what).hint("an object has `apiVersion`, `kind` and `metadata`");
            all.push(Err(fault(
                places,
                self.document,
                &self.path,
                self.line,
                None,
                vec![problem],
            )));
            return;
        };
        let text = |field: &str| {
            fields
                .get(field)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let inherited =
            |inherit: fn((&str, &str)) -> String| list.map(inherit).filter(|text| !text.is_empty());
        let api_version = text("apiVersion")
            .or_else(|| inherited(|(version, _)| version.to_owned()))
            .unwrap_or_default();
        let kind = text("kind")
            .or_else(|| inherited(|(_, kind)| kind.to_owned()))
            .unwrap_or_default();

        if let Some(of) = kind.strip_suffix("List")
            && let Some(Value::Array(items)) = fields.get_mut("items").map(Value::take)
        {
            // A plain `List` may hold anything and hands nothing down.
            let inherit = (!of.is_empty()).then_some((api_version.as_str(), of));
            for (index, value) in items.into_iter().enumerate() {
                let path = join(&self.path, &format!("items[{index}]"));
                let line = places
                    .place(self.document, &path)
                    .map_or(self.line, |place| place.line);
                Part {
                    document: self.document,
                    value,
                    path,
                    line,
                }
                .read(places, inherit, all);
            }
            return;
        }
        let mut problems = Vec::new();
        for (field, text) in [("apiVersion", &api_version), ("kind", &kind)] {
            if text.is_empty() {
                problems.push(
                    Problem::error(field, "is missing")
                        .hint("every object says what it is, as in Kubernetes"),
                );
            }
        }
        let meta = meta(&kind, fields.get("metadata"), &mut problems);
        match meta {
            Some(meta) if problems.is_empty() => {
                all.push(Ok(Manifest {
                    api_version,
                    meta,
                    line: self.line,
                    fields,
                    document: self.document,
                    path: self.path,
                }));
            }
            meta => {
                let key = meta
                    .map(|meta| meta.key)
                    .filter(|key| !key.kind.as_str().is_empty());
                all.push(Err(fault(
                    places,
                    self.document,
                    &self.path,
                    self.line,
                    key,
                    problems,
                )));
            }
        }
    }
}

fn fault<'a>(
    places: &mut Places<'a>,
    document: Document<'a>,
    path: &str,
    line: usize,
    key: Option<ObjectKey>,
    problems: Vec<Problem>,
) -> Fault {
    Fault {
        key,
        line,
        problems: places.explain_at(document, path, line, problems),
    }
}

/// A path within a part.
pub(super) fn join(outer: &str, inner: &str) -> String {
    match (outer, inner) {
        ("", path) | (path, "") => path.to_owned(),
        (outer, inner) => format!("{outer}.{inner}"),
    }
}
