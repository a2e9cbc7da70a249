//! What a rule of a kind may say: its schema, told by the reader of the kind itself.
//!
//! A reader that is asked, instead of given an object, names every field that it would look for and what it would take there.
//! There is no second description of the fields that could differ from the first. With the feature `schema` fields have a
//! text beside them: the documentation of the Rust types.

#[cfg(feature = "schema")]
mod about;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::RuleKind;
use super::at::Report;

/// What may be written somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schema {
    /// An object with fields that are known.
    Object(ObjectSchema),
    /// Values of one kind by names that their author gives.
    Map(Box<Self>),
    /// Values of one kind.
    List(Box<Self>),
    /// A text.
    Text,
    /// True or false.
    Bool,
    /// A whole number within these limits, which belong to it.
    Whole(i64, i64),
    /// A number with a fraction.
    Number,
    /// A time, as [`DURATION`] says.
    Duration,
    /// One of these names.
    OneOf(Vec<&'static str>),
    /// An object that nothing is known of.
    Open,
    /// Anything: it is known and has no effect.
    Any,
}

/// An object with fields that are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSchema {
    /// The Rust type that it is read into, by its path below `rules::spec`, such as `virtual_service::http::HttpRoute`.
    pub type_name: &'static str,
    /// Its fields, in the order in which they are read.
    pub fields: Vec<FieldSchema>,
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSchema {
    /// Its name in camel case.
    pub name: &'static str,
    /// What it is, in a sentence or two; empty without the feature `schema`.
    pub about: String,
    /// What may be written there.
    pub schema: Schema,
}

/// A regular expression (RE2) for what durations look like; the longest ones are refused besides.
pub const DURATION: &str = r"^(0|(([0-9]{1,21}(\.[0-9]{0,9})?|\.[0-9]{1,9})(ns|us|µs|ms|s|m|h))+)$";

/// What the `spec` of a rule of this kind may say.
pub fn schema(kind: &RuleKind) -> Schema {
    let report = Report::asking();
    let at = report.root("spec");
    (kind.read)(&Value::Null, &at);
    let schema = at.answered();
    #[cfg(feature = "schema")]
    let schema = about::with_texts(kind.name, schema);
    schema
}

/// A type's path below `rules::spec`.
pub(super) fn type_name<T>() -> &'static str {
    let full = std::any::type_name::<T>();
    full.split_once("::spec::").map_or(full, |(_, path)| path)
}
