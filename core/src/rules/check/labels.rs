//! Labels and selectors, by the rules that Kubernetes has for them.

use crate::model::Labels;
use crate::rules::at::At;
use crate::rules::spec::{WorkloadSelector, excerpt};

/// The labels of a workload.
pub(super) fn labels(at: &At<'_>, labels: &Labels) {
    for (key, value) in labels.iter() {
        let here = at.key(key);
        if !is_key(key) {
            here.error_hint(
                "is not a label's key",
                "letters, digits, '-', '_' and '.' within, at most 63 characters, optionally after a DNS name and '/'",
            );
        }
        label_value(&here, value);
    }
}

/// The value of a label.
pub(super) fn label_value(at: &At<'_>, value: &str) {
    if !value.is_empty() && !is_name(value) {
        at.error_hint(
            format!("{:?} is not a label's value", excerpt(value)),
            "letters, digits, '-', '_' and '.' within, at most 63 characters",
        );
    }
}

/// The annotations of an object: keys as labels have them, and any text.
pub(super) fn annotations(at: &At<'_>, annotations: &Labels) {
    for (key, _) in annotations.iter() {
        if !is_key(key) {
            at.key(key).error_hint(
                "is not an annotation's key",
                "letters, digits, '-', '_' and '.' within, at most 63 characters, optionally after a DNS name and '/'",
            );
        }
    }
}

/// A selector of workloads.
pub(super) fn selector(at: &At<'_>, selector: &WorkloadSelector) {
    if selector.labels.is_empty() {
        at.warning("selects nothing: it has no labels");
    }
    let at = at.field("labels");
    for (key, value) in selector.labels.iter() {
        let here = at.key(key);
        if key.is_empty() {
            here.error("has no key");
        } else if key.contains('*') || value.contains('*') {
            here.error("selectors have no wildcards");
        }
    }
}

pub(super) fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => {
            prefix.len() <= 253 && prefix.split('.').all(super::name::is_label) && is_name(name)
        }
        None => is_name(key),
    }
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= 63
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
