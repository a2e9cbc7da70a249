//! From the text of one file to manifests: objects as written, each with the line it stands on.
//!
//! ```text
//! text ──documents──► YAML or JSON ──lists──► manifest (meta, body) or fault (what is wrong, where, with a snippet)
//! ```
//!
//! A document that does not parse is one fault and never keeps the others of its file from being read. Nothing here knows
//! a kind of object, and nothing here does I/O.

mod document;
mod fields;
mod json;
mod manifest;
mod meta;
mod places;
mod snippet;
mod yaml;

pub(crate) use manifest::Manifest;
pub(crate) use places::Places;
pub(crate) use snippet::Source;

use pilothouse_core::registry::{ObjectKey, Problem};
use serde::de::IgnoredAny;
use serde_json::Value;

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Documents between lines of `---`.
    Yaml,
    /// Values one after another.
    Json,
}

impl Format {
    /// How a file of this name is written.
    pub fn of(path: &str) -> Self {
        let json = path
            .rsplit_once('.')
            .is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("json"));
        if json { Self::Json } else { Self::Yaml }
    }

    /// How a text without a name is written.
    pub fn of_text(text: &str) -> Self {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
        let is_json = text.trim_start().starts_with('{') && values.all(|value| value.is_ok());
        if is_json { Self::Json } else { Self::Yaml }
    }
}

/// Something in a file that is not an object, and of which only its author knows what it should have been.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    /// Which object it is, if that much could be read.
    pub(crate) key: Option<ObjectKey>,
    /// The line in the file.
    pub(crate) line: usize,
    /// What is wrong with it.
    pub(crate) problems: Vec<Problem>,
}

/// What is wrong with the value of a file that is not made of objects, as far as `check` can tell.
pub(crate) fn value(
    source: Source<'_>,
    check: impl FnOnce(&Value) -> Vec<Problem>,
) -> Result<Vec<Problem>, Fault> {
    let (document, value) = yaml::value(source)?;
    let problems = check(&value);
    Ok(Places::of(source).explain_at(document, "", document.line, problems))
}

/// Everything that a file contains, in order.
pub(crate) fn read<'a>(
    places: &mut Places<'a>,
    format: Format,
) -> Vec<Result<Manifest<'a>, Fault>> {
    let mut all = Vec::new();
    match format {
        Format::Yaml => yaml::read(places, &mut all),
        Format::Json => json::read(places, &mut all),
    }
    all
}
