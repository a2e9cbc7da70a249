//! Where in a document each field stands.
//!
//! Positions cost time and memory, and only a field with a problem needs one: a document is read a second time, with
//! positions, when there is something to point at.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::snippet::Place;
use super::{document::Document, yaml};

/// A document's fields with their places.
#[derive(Debug)]
pub(super) struct Fields {
    root: Node,
    before: usize,
}

#[derive(Debug)]
struct Node {
    line: usize,
    column: usize,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Scalar,
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Fields {
    /// The fields of `document`; `None` if it cannot be read.
    pub(super) fn of(document: &Document<'_>) -> Option<Self> {
        let root = yaml::decode::<Node>(document.text).ok()?;
        Some(Self {
            root,
            before: document.before,
        })
    }

    /// Where the field at `path`, such as `spec.ports[0].number`, stands: its value, or for a field that is missing the
    /// innermost one around it that is there.
    pub(super) fn place(&self, path: &str) -> Place {
        let (mut node, mut rest) = (&self.root, path);
        while let Some((inner, after)) = node.step(rest) {
            (node, rest) = (inner, after);
        }
        Place {
            line: node.line + self.before,
            column: node.column,
        }
    }
}

impl Node {
    /// The part that `path` leads to first, and the path from there.
    fn step<'p>(&self, path: &'p str) -> Option<(&Node, &'p str)> {
        match &self.inner {
            Inner::Scalar => None,
            Inner::List(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                Some((items.get(index.parse::<usize>().ok()?)?, rest))
            }
            // Keys contain dots and slashes (`app.kubernetes.io/name`): the longest that fits is meant.
            Inner::Map(entries) => {
                let path = path.strip_prefix('.').unwrap_or(path);
                let fits = |key: &str| {
                    let bracketed = path
                        .strip_prefix('[')
                        .and_then(|path| path.strip_prefix(key)?.strip_prefix(']'));
                    let plain = path
                        .strip_prefix(key)
                        .filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
                    bracketed.or(plain)
                };
                let all = entries
                    .iter()
                    .filter_map(|(key, node)| Some((node, fits(key)?)));
                all.min_by_key(|(_, rest)| rest.len())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned {
            value, referenced, ..
        } = Spanned::<Inner>::deserialize(deserializer)?;
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Ok(Self {
            line: number(referenced.line()),
            column: number(referenced.column()),
            inner: value,
        })
    }
}

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InnerVisitor)
    }
}

struct InnerVisitor;

/// Scalars of every type are the same here.
macro_rules! scalars {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E>(self, _: $type) -> Result<Inner, E> {
            Ok(Inner::Scalar)
        })*
    };
}

impl<'de> Visitor<'de> for InnerVisitor {
    type Value = Inner;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128, visit_f64: f64, visit_str: &str, visit_bytes: &[u8]);

    fn visit_unit<E>(self) -> Result<Inner, E> {
        Ok(Inner::Scalar)
    }

    fn visit_none<E>(self) -> Result<Inner, E> {
        Ok(Inner::Scalar)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Inner, D::Error> {
        Inner::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Inner, D::Error> {
        Inner::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Inner, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Inner::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Inner, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            all.push(entry);
        }
        Ok(Inner::Map(all))
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, data: A) -> Result<Inner, A::Error> {
        let (IgnoredAny, _) = data.variant()?;
        Ok(Inner::Scalar)
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::split;
    use super::*;

    const TEXT: &str = "kind: A\n---\nmetadata:\n  labels:\n    app.kubernetes.io/name: web\n    app: 1\nspec:\n  ports:\n  - number: 80\n    name: http\n  - {number: 81, name: ~}\n  hosts: []\n";

    fn check(path: &str, line: usize, column: usize) {
        let document = split(TEXT)[1];
        let place = Fields::of(&document)
            .expect("the text is valid")
            .place(path);
        assert_eq!(place, Place { line, column }, "of {path}");
    }

    #[test]
    fn fields_are_found_by_their_path() {
        check("", 3, 1);
        check("spec", 8, 3);
        check("spec.ports[0].number", 9, 13);
        check("spec.ports[1].number", 11, 14);
        check("spec.ports[1].name", 11, 24);
        check("spec.hosts", 12, 10);
    }

    #[test]
    fn keys_with_dots_are_found() {
        check("metadata.labels.app.kubernetes.io/name", 5, 29);
        check("metadata.labels[app.kubernetes.io/name]", 5, 29);
        check("metadata.labels.app", 6, 10);
    }

    #[test]
    fn a_missing_field_is_placed_at_what_should_contain_it() {
        check("spec.ports[0].targetPort", 9, 5);
        check("status", 3, 1);
    }
}
