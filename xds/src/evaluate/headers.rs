//! Headers, and what routes change of them.

use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::walk::HeaderEdit;

/// Headers in the order in which they were added. Names are kept in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All values of a header, joined by commas as Envoy does before it matches them.
    pub fn get(&self, name: &str) -> Option<String> {
        let all: Vec<&str> = self
            .0
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        (!all.is_empty()).then(|| all.join(","))
    }

    /// Adds a value beside those that are there.
    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_ascii_lowercase(), value.into()));
    }

    /// Replaces all values.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.add(name, value);
    }

    /// Removes all values.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(all: T) -> Self {
        let mut headers = Self::default();
        for (name, value) in all {
            headers.add(name.as_ref(), value);
        }
        headers
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            list.serialize_element(&format!("{name}: {value}"))?;
        }
        list.end()
    }
}

/// What one level of the configuration changes: first it removes, then it adds.
pub(super) struct Level<'a> {
    pub(super) add: &'a [HeaderValueOption],
    pub(super) remove: &'a [String],
}

impl Level<'_> {
    /// The changes in words. `value` fills in what a format refers to.
    pub(super) fn edits(&self, value: impl Fn(&str) -> String) -> Vec<HeaderEdit> {
        let removed = self.remove.iter().map(|name| HeaderEdit {
            operation: "remove",
            name: name.to_ascii_lowercase(),
            value: String::new(),
        });
        let added = self.add.iter().filter_map(|option| {
            let header = option.header.as_ref()?;
            Some(HeaderEdit {
                operation: operation(option),
                name: header.key.to_ascii_lowercase(),
                value: value(&header.value),
            })
        });
        removed.chain(added).collect()
    }
}

impl HeaderEdit {
    /// Makes the change.
    pub fn apply(&self, headers: &mut Headers) {
        let is_there = headers.get(&self.name).is_some();
        match self.operation {
            "remove" => headers.remove(&self.name),
            "add" => headers.add(&self.name, &self.value),
            "default" if is_there => {}
            "replace" if !is_there => {}
            _ => headers.set(&self.name, &self.value),
        }
    }
}

#[expect(deprecated, reason = "Envoy still reads `append`, and so must we")]
fn operation(option: &HeaderValueOption) -> &'static str {
    if let Some(append) = &option.append {
        return if append.value { "add" } else { "set" };
    }
    match option.append_action() {
        HeaderAppendAction::AppendIfExistsOrAdd => "add",
        HeaderAppendAction::AddIfAbsent => "default",
        HeaderAppendAction::OverwriteIfExistsOrAdd => "set",
        HeaderAppendAction::OverwriteIfExists => "replace",
    }
}

/// A format string with what it says of a request filled in; an operator that is not known here stays as it is.
pub(super) fn formatted(format: &str, request: impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::with_capacity(format.len());
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let Some((operator, after)) = after.split_once('%') else {
            text.push('%');
            rest = after;
            continue;
        };
        rest = after;
        let names = operator
            .strip_prefix("REQ(")
            .and_then(|names| names.strip_suffix(')'));
        match names {
            None if operator.is_empty() => text.push('%'),
            None => {
                text.push('%');
                text.push_str(operator);
                text.push('%');
            }
            Some(names) => {
                let found = names.split('?').find_map(&request);
                text.push_str(found.as_deref().unwrap_or("-"));
            }
        }
    }
    text.push_str(rest);
    text
}
