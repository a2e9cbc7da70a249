//! One object as it comes: its metadata, and its text.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::version::Version;

/// Annotations that repeat the object, and are of no use to anybody here.
const REPEATS: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object as it came. Its text lives as long as its conversion.
#[derive(Debug, Clone)]
pub struct Raw<'a> {
    /// Its metadata.
    pub metadata: Metadata,
    /// All of it, metadata as well: JSON, of which nothing but the metadata has been read. Objects of lists need not say their kind.
    pub text: &'a RawValue,
}

/// The metadata of an object, as far as they are of use: what is missing, `null` or of the wrong type is as if it was not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Its name.
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    /// Where it belongs; empty for what belongs to no namespace.
    #[serde(deserialize_with = "lenient")]
    pub namespace: String,
    /// What tells it from an earlier one of the same name.
    #[serde(deserialize_with = "lenient")]
    pub uid: String,
    /// Which state of the object this is.
    #[serde(deserialize_with = "lenient")]
    pub resource_version: String,
    /// How often what it asks for has changed; 0 where that is not counted.
    #[serde(deserialize_with = "lenient")]
    pub generation: i64,
    /// When it was created.
    #[serde(rename = "creationTimestamp", deserialize_with = "lenient")]
    pub created: Option<Timestamp>,
    /// When it was asked to go.
    #[serde(rename = "deletionTimestamp", deserialize_with = "lenient")]
    pub deleted: Option<Timestamp>,
    /// Its labels.
    #[serde(deserialize_with = "texts")]
    pub labels: BTreeMap<String, String>,
    /// Its annotations, without the ones that repeat the object.
    #[serde(deserialize_with = "texts")]
    pub annotations: BTreeMap<String, String>,
}

impl Metadata {
    pub(super) fn version(&self) -> Option<Version> {
        Version::new(&self.resource_version)
    }
}

/// What of an object is read here.
#[derive(Deserialize)]
struct Object {
    metadata: Option<Metadata>,
}

/// The metadata of an object, or why it has none.
pub(super) fn metadata(text: &RawValue) -> Result<Metadata, String> {
    let object: Object = serde_json::from_str(text.get()).map_err(|error| error.to_string())?;
    object.metadata.ok_or_else(|| "it has no metadata".into())
}

/// An object with the name that it must have, or why it cannot be read.
pub(super) fn object(text: &RawValue) -> Result<Raw<'_>, String> {
    let metadata = metadata(text)?;
    if metadata.name.is_empty() {
        return Err("it has no metadata.name".into());
    }
    Ok(Raw { metadata, text })
}

/// A value of this type, or one of any other.
#[derive(Deserialize)]
#[serde(untagged)]
enum Maybe<T> {
    Is(T),
    Other(serde::de::IgnoredAny),
}

pub(super) fn lenient<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(match Maybe::deserialize(from)? {
        Maybe::Is(value) => value,
        Maybe::Other(_) => T::default(),
    })
}

fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let all: BTreeMap<String, Maybe<String>> = lenient(from)?;
    let text = |(key, value)| match value {
        Maybe::Is(text) if key != REPEATS => Some((key, text)),
        _ => None,
    };
    Ok(all.into_iter().filter_map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Metadata, String> {
        object(serde_json::from_str(text).unwrap()).map(|raw| raw.metadata)
    }

    #[test]
    fn all_that_is_of_use_is_read() {
        let metadata = read(
            r#"{"kind": "Pod", "metadata": {"name": "web", "namespace": "shop", "uid": "1-2", "resourceVersion": "7", "generation": 3,
            "creationTimestamp": "2026-01-31T12:00:00Z", "deletionTimestamp": "2026-01-31T13:00:00Z", "managedFields": [{}],
            "labels": {"app": "web"}, "annotations": {"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"}}, "spec": {}}"#,
        );
        let expected = Metadata {
            name: "web".into(),
            namespace: "shop".into(),
            uid: "1-2".into(),
            resource_version: "7".into(),
            generation: 3,
            created: Some("2026-01-31T12:00:00Z".parse().unwrap()),
            deleted: Some("2026-01-31T13:00:00Z".parse().unwrap()),
            labels: [("app".into(), "web".into())].into(),
            annotations: [("a".into(), "b".into())].into(),
        };
        assert_eq!(metadata, Ok(expected));
    }

    #[test]
    fn what_is_null_missing_or_wrong_is_not_there() {
        let web = Metadata {
            name: "web".into(),
            ..Metadata::default()
        };
        let check = |text: &str, labels: &[&str]| {
            let labels = labels.iter().map(|key| (key.to_string(), "x".to_string()));
            let expected = Metadata {
                labels: labels.collect(),
                ..web.clone()
            };
            assert_eq!(read(text), Ok(expected), "{text}");
        };
        check(r#"{"metadata": {"name": "web"}}"#, &[]);
        check(
            r#"{"metadata": {"name": "web", "namespace": null, "uid": null, "resourceVersion": null, "generation": null,
            "creationTimestamp": null, "deletionTimestamp": null, "labels": null, "annotations": null}, "spec": null}"#,
            &[],
        );
        check(
            r#"{"metadata": {"name": "web", "namespace": [], "uid": 1, "resourceVersion": {}, "generation": "x",
            "creationTimestamp": "yesterday", "labels": {"a": null, "b": 1, "c": "x"}, "annotations": []}}"#,
            &["c"],
        );
    }

    #[test]
    fn without_a_name_it_is_not_an_object() {
        let check = |text: &str, expected: &str| {
            let why = read(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        };
        check("{}", "no metadata");
        check(r#"{"metadata": null}"#, "no metadata");
        check(r#"{"metadata": {}}"#, "no metadata.name");
        check(r#"{"metadata": {"name": null}}"#, "no metadata.name");
        check(r#"{"metadata": []}"#, "no metadata.name");
        check("[]", "invalid length");
        check("null", "null");
    }
}
