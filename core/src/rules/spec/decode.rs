//! A reader of JSON values that collects every problem instead of stopping at the first.

use serde_json::{Map, Value};

use super::scalar::{describe, excerpt};
use super::suggest::closest;
use crate::model::{ByName, Labels};
use crate::rules::at::At;
use crate::rules::schema::{FieldSchema, ObjectSchema, Schema, type_name};

/// Something that is read from a JSON value. What cannot be read is reported at its place and becomes the default.
pub(crate) trait Decode: Default {
    /// Reads `value`, which is not `null`. Where the reader is asked what it reads, it answers and leaves `value` alone.
    fn decode(value: &Value, at: &At<'_>) -> Self;
}

/// Reads an object field by field; a field that `read` does not ask for is an error.
pub(crate) fn object<T: Default>(
    value: &Value,
    at: &At<'_>,
    read: impl FnOnce(&mut Fields<'_>) -> T,
) -> T {
    if at.is_asked() {
        return tell(at, read);
    }
    let map = match value {
        Value::Object(map) => map,
        Value::Null => return T::default(),
        other => {
            at.error(format!("expected an object, found {}", describe(other)));
            return T::default();
        }
    };
    let mut fields = Fields {
        map,
        at,
        known: Vec::new(),
        lenient: false,
        open: false,
        told: Vec::new(),
    };
    let result = read(&mut fields);
    fields.finish();
    result
}

/// Answers with all fields that `read` asks for.
fn tell<T>(at: &At<'_>, read: impl FnOnce(&mut Fields<'_>) -> T) -> T {
    let mut fields = Fields {
        map: &Map::new(),
        at,
        known: Vec::new(),
        lenient: false,
        open: false,
        told: Vec::new(),
    };
    let result = read(&mut fields);
    let (open, fields) = (fields.open, fields.told);
    let type_name = type_name::<T>();
    at.asks(|| match open {
        true => Schema::Open,
        false => Schema::Object(ObjectSchema { type_name, fields }),
    });
    result
}

/// The fields of one object while it is read.
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    at: &'a At<'a>,
    known: Vec<(&'static str, String)>,
    lenient: bool,
    open: bool,
    told: Vec<FieldSchema>,
}

impl<'a> Fields<'a> {
    /// Reads the field of this name, in camel case; absent and `null` are the default.
    pub(crate) fn get<T: Decode>(&mut self, name: &'static str) -> T {
        if self.at.is_asked() {
            let nothing = T::decode(&Value::Null, self.at);
            self.tell(name, self.at.answered());
            return nothing;
        }
        match self.take(name) {
            Some((written, value)) => T::decode(value, &self.at.field(written)),
            None => T::default(),
        }
    }

    /// Accepts fields that are known and have no effect here, with a warning each.
    pub(crate) fn without_effect(&mut self, names: &[&'static str]) {
        for name in names {
            if self.at.is_asked() {
                self.tell(name, Schema::Any);
            }
            if let Some((written, _)) = self.take(name) {
                self.at
                    .field(written)
                    .warning("is known to Istio and has no effect here");
            }
        }
    }

    /// Every field of this object is known, whatever it is called.
    pub(crate) fn all(&mut self) {
        self.open = true;
    }

    /// Unknown fields of this object are warnings.
    pub(crate) fn lenient(&mut self) {
        self.lenient = true;
    }

    fn tell(&mut self, name: &'static str, schema: Schema) {
        self.told.push(FieldSchema {
            name,
            about: String::new(),
            schema,
        });
    }

    fn take(&mut self, name: &'static str) -> Option<(&'a str, &'a Value)> {
        let snake = snake_case(name);
        let map = self.map;
        let find = |name: &str| {
            map.get_key_value(name)
                .filter(|(_, value)| !value.is_null())
        };
        let (camel_found, snake_found) =
            (find(name), if snake == name { None } else { find(&snake) });
        self.known.push((name, snake));
        if let (Some(_), Some((snake, _))) = (camel_found, snake_found) {
            self.at
                .field(snake)
                .error_hint(format!("is given twice, also as {name}"), "remove one");
        }
        camel_found
            .or(snake_found)
            .map(|(written, value)| (written.as_str(), value))
    }

    fn finish(self) {
        if self.open {
            return;
        }
        let is_known = |key: &str| {
            self.known
                .iter()
                .any(|(camel, snake)| key == *camel || key == snake)
        };
        for (nth, key) in self.map.keys().filter(|key| !is_known(key)).enumerate() {
            let what = format!("unknown field {:?}", excerpt(key));
            let hint = if nth < MAX_HINTS {
                self.hint(key)
            } else {
                String::new()
            };
            let place = self.at.field(key);
            if self.lenient {
                place.warning_hint(what, hint)
            } else {
                place.error_hint(what, hint)
            }
        }
    }

    fn hint(&self, unknown: &str) -> String {
        let names = || self.known.iter().map(|(camel, _)| *camel);
        match closest(unknown, names()) {
            Some(name) => format!("did you mean {name}?"),
            None if self.known.len() > MAX_HINTS => String::new(),
            None => format!("known here: {}", names().collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Nobody reads more advice on one object, and each piece costs a comparison with all that is known.
const MAX_HINTS: usize = 16;

impl<T: Decode> Decode for Option<T> {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        Some(T::decode(value, at))
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        if at.is_asked() {
            T::decode(value, at);
            at.asks(|| Schema::List(Box::new(at.answered())));
            return Self::new();
        }
        let Value::Array(items) = value else {
            at.error(format!("expected a list, found {}", describe(value)));
            return Self::new();
        };
        // Kept as read for as long as the object: no more room than it needs.
        let mut all = Self::with_capacity(items.len());
        let present = |(index, item)| present(item, &at.index(index));
        all.extend(items.iter().enumerate().filter_map(present));
        all
    }
}

impl<T: Decode> Decode for ByName<T> {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        entries::<T>(value, at).collect()
    }
}

impl Decode for Labels {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        entries::<String>(value, at).collect()
    }
}

fn entries<'a, T: Decode>(value: &'a Value, at: &At<'_>) -> impl Iterator<Item = (&'a str, T)> {
    let entries = match value {
        _ if at.is_asked() => {
            T::decode(value, at);
            at.asks(|| Schema::Map(Box::new(at.answered())));
            None
        }
        Value::Object(entries) => Some(entries),
        other => {
            at.error(format!("expected a map, found {}", describe(other)));
            None
        }
    };
    let present = |(key, item): (&'a String, _)| Some((key.as_str(), present(item, &at.key(key))?));
    entries.into_iter().flatten().filter_map(present)
}

/// An element: protobuf's JSON form has no `null` within lists and maps.
fn present<T: Decode>(value: &Value, at: &At<'_>) -> Option<T> {
    if value.is_null() {
        at.error("is null");
        return None;
    }
    Some(T::decode(value, at))
}

fn snake_case(camel: &str) -> String {
    // The only name with a number as a word of its own.
    if camel == "consecutive5xxErrors" {
        return "consecutive_5xx_errors".to_owned();
    }
    let mut snake = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::Problem;
    use crate::rules::at::Report;

    #[derive(Debug, Default, PartialEq)]
    struct Sample {
        number: u32,
        target_port: Option<u32>,
        names: Vec<String>,
        labels: Labels,
    }

    impl Decode for Sample {
        fn decode(value: &Value, at: &At<'_>) -> Self {
            object(value, at, |f| Self {
                number: f.get("number"),
                target_port: f.get("targetPort"),
                names: f.get("names"),
                labels: f.get("labels"),
            })
        }
    }

    fn read(value: Value) -> (Sample, Vec<Problem>) {
        let report = Report::default();
        let sample = Sample::decode(&value, &report.root("spec"));
        (sample, report.finish())
    }

    #[test]
    fn names_are_read_in_both_cases_and_null_is_absent() {
        let expected = Sample {
            number: 1,
            target_port: Some(2),
            ..Sample::default()
        };
        assert_eq!(
            read(json!({"number": 1, "targetPort": 2})),
            (expected, vec![])
        );
        assert_eq!(read(json!({"target_port": 0})).0.target_port, Some(0));
        assert_eq!(
            read(json!({"number": null, "targetPort": null, "names": null, "labels": null})),
            Default::default()
        );
        assert_eq!(read(Value::Null), Default::default());
    }

    #[test]
    fn every_problem_is_found() {
        let (_, problems) = read(json!({
            "number": "x", "targetPort": 1, "target_port": 1, "name": "a",
            "names": ["a", null, 5], "labels": {"a.b/c": true, "n": null}
        }));
        let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                r#"spec.number: expected a whole number, found the text "x""#,
                "spec.target_port: is given twice, also as targetPort (remove one)",
                "spec.names[1]: is null",
                r#"spec.names[2]: expected a text, found the number 5 (put it in quotes: "5")"#,
                r#"spec.labels["a.b/c"]: expected a text, found true (put it in quotes: "true")"#,
                "spec.labels.n: is null",
                r#"spec.name: unknown field "name" (did you mean names?)"#,
            ]
        );
    }

    #[test]
    fn a_wrong_shape_is_one_problem() {
        for (value, expected) in [
            (json!([]), "spec: expected an object, found a list"),
            (
                json!({"names": "a"}),
                r#"spec.names: expected a list, found the text "a""#,
            ),
            (
                json!({"labels": []}),
                "spec.labels: expected a map, found a list",
            ),
        ] {
            let (sample, problems) = read(value);
            assert_eq!(sample, Sample::default());
            assert_eq!(
                problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
                [expected]
            );
        }
    }
}
