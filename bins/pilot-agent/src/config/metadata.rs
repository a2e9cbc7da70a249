//! What a proxy tells discovery of itself beside its name: labels, and what the environment says.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A variable with this prefix is metadata under the rest of its name, as text.
const TEXT: &str = "ISTIO_META_";
/// The same with JSON for a value. Istio writes the first.
const JSON: [&str; 2] = ["ISTIO_METAJSON_", "ISTIO_META_JSON_"];

/// Metadata from the environment.
///
/// # Errors
/// A value that should be JSON is not; the text names the variable.
pub(super) fn from_environment(
    environment: &BTreeMap<String, String>,
) -> Result<Map<String, Value>, String> {
    let mut metadata = Map::new();
    for (name, value) in environment {
        if let Some(key) = JSON.iter().find_map(|prefix| name.strip_prefix(prefix)) {
            let value = serde_json::from_str(value)
                .map_err(|error| format!("the environment's {name} is not JSON: {error}"))?;
            metadata.insert(key.to_owned(), value);
        } else if let Some(key) = name.strip_prefix(TEXT).filter(|key| !key.is_empty()) {
            metadata
                .entry(key)
                .or_insert_with(|| Value::String(value.clone()));
        }
    }
    Ok(metadata)
}

/// Labels from a file's text: lines `key="value"` as the downward API writes them, with Go's escapes, or `key=value`.
///
/// # Errors
/// The first line that is neither, by its number.
pub(super) fn labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut labels = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = line
            .split_once('=')
            .filter(|(key, _)| !key.trim().is_empty())
            .and_then(|(key, value)| Some((key.trim().to_owned(), unquote(value.trim())?)));
        let Some((key, value)) = entry else {
            return Err(format!(
                "line {}: {line:?} is neither key=\"value\" nor key=value",
                number + 1
            ));
        };
        labels.insert(key, value);
    }
    Ok(labels)
}

fn unquote(text: &str) -> Option<String> {
    if text.starts_with('"') {
        // What Go quotes in a label's value, JSON quotes alike.
        serde_json::from_str(text).ok()
    } else {
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_by_their_prefix() {
        let environment = [
            ("ISTIO_META_CLUSTER_ID", "east"),
            ("ISTIO_METAJSON_LABELS", "{\"app\":\"web\"}"),
            ("ISTIO_META_JSON_PORTS", "[80]"),
            ("ISTIO_META_PORTS", "80"),
            ("ISTIO_META_", "nothing"),
            ("PATH", "/bin"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            Value::Object(from_environment(&environment.into()).unwrap()),
            json!({ "CLUSTER_ID": "east", "LABELS": { "app": "web" }, "PORTS": [80] })
        );
        let wrong = [("ISTIO_METAJSON_X".to_owned(), "{".to_owned())];
        let problem = from_environment(&wrong.into()).unwrap_err();
        assert!(problem.contains("ISTIO_METAJSON_X"), "{problem}");
    }

    #[test]
    fn both_forms_of_labels() {
        let read =
            labels("app=\"web\"\n\n# a comment\nversion=v1\nempty=\"\"\nnote=\"a \\\"b\\\"\"\n");
        let expected = [
            ("app", "web"),
            ("empty", ""),
            ("note", "a \"b\""),
            ("version", "v1"),
        ];
        assert_eq!(
            read.unwrap(),
            expected
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into()
        );
        for (text, line) in [
            ("app", "line 1"),
            ("a=b\n=x", "line 2"),
            ("a=\"b", "line 1"),
        ] {
            let problem = labels(text).unwrap_err();
            assert!(problem.contains(line), "{problem}");
        }
    }
}
