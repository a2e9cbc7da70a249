use serde_json::{Map, json};

use super::*;
use crate::registry::Severity;
use crate::rules::{RuleSpec, kinds};

/// Something that may be written there, with every field that there is.
fn sample(schema: &Schema) -> Value {
    match schema {
        Schema::Object(object) => {
            let fields = object.fields.iter();
            let all: Map<_, _> = fields
                .map(|field| (field.name.to_owned(), sample(&field.schema)))
                .collect();
            Value::Object(all)
        }
        Schema::Map(values) => json!({"a": sample(values)}),
        Schema::List(items) => json!([sample(items)]),
        Schema::Text => json!("text"),
        Schema::Bool => json!(true),
        Schema::Whole(_, last) => json!(last),
        Schema::Number => json!(1.5),
        Schema::Duration => json!("1.5s"),
        Schema::OneOf(names) => json!(names.last()),
        Schema::Open => json!({"any": ["thing"]}),
        Schema::Any => json!([{"any": "thing"}]),
    }
}

/// The places of everything within a value that is neither list nor object.
fn leaves(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let within = |(name, value): (&String, _)| leaves(value, &format!("{at}.{name}"));
            fields.iter().flat_map(within).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| leaves(item, at)).collect(),
        other => vec![format!("{at} = {other}")],
    }
}

/// The places of everything that nothing is known of.
fn unknown(schema: &Schema, at: &str) -> Vec<String> {
    match schema {
        Schema::Object(object) => {
            let within =
                |field: &FieldSchema| unknown(&field.schema, &format!("{at}.{}", field.name));
            object.fields.iter().flat_map(within).collect()
        }
        Schema::Map(inner) | Schema::List(inner) => unknown(inner, at),
        Schema::Any => vec![at.to_owned()],
        _ => Vec::new(),
    }
}

#[test]
fn what_the_schema_has_is_read_and_kept() {
    for kind in kinds() {
        let schema = schema(kind);
        let written = sample(&schema);
        let api_version = format!("{}/{}", kind.group, kind.versions[0]);
        let (rule, problems) = RuleSpec::parse(&api_version, kind.name, &written)
            .unwrap_or_else(|why| panic!("{}: {why:?}", kind.name));
        let without_effect: Vec<_> = unknown(&schema, "spec");
        let warned: Vec<_> = problems
            .iter()
            .map(|problem| {
                assert_eq!(problem.severity, Severity::Warning);
                problem.path.replace("[0]", "").replace(".a.", ".")
            })
            .collect();
        assert_eq!(
            warned.len(),
            without_effect.len(),
            "{warned:?} {without_effect:?}"
        );
        let mut kept = leaves(&serde_json::to_value(&rule).unwrap_or_default(), kind.name);
        let dropped = |leaf: &String| {
            without_effect
                .iter()
                .any(|at| leaf.starts_with(&at.replacen("spec", kind.name, 1)))
        };
        let mut expected: Vec<_> = leaves(&written, kind.name)
            .into_iter()
            .filter(|leaf| !dropped(leaf))
            .collect();
        kept.sort();
        expected.sort();
        assert_eq!(kept, expected);
    }
}

#[test]
fn every_reader_answers() {
    let places = |kind: &RuleKind| unknown(&schema(kind), kind.name);
    let found: Vec<_> = kinds().iter().flat_map(places).collect();
    let is_known = |at: &String| {
        at.ends_with(".loadBalancer.zoneAware") || at.ends_with(".match.sourceSubnet")
    };
    assert_eq!(found.iter().filter(|at| is_known(at)).count(), 5);
    assert_eq!(found.iter().find(|at| !is_known(at)), None);
}

#[test]
fn durations_look_like_what_the_reader_takes() {
    let looks = regex::Regex::new(DURATION).unwrap();
    for text in [
        "0",
        "5s",
        "1.5s",
        ".25s",
        "5.s",
        "0.000000001s",
        "100ms",
        "24h",
        "1h30m0.5s",
        "7us",
        "7µs",
        "",
        "s",
        ".s",
        "5",
        "5d",
        "5m3",
        "-1s",
        "+1s",
        "1e3s",
        "1.0000000001s",
        "1 s",
        "00",
        "1s ",
    ] {
        let spec = json!({"hosts": ["a"], "http": [{"timeout": text}]});
        let read = RuleSpec::parse("networking.istio.io/v1", "VirtualService", &spec).is_ok();
        assert_eq!(looks.is_match(text), read, "{text:?}");
    }
}

#[cfg(feature = "schema")]
mod described {
    use super::*;
    use crate::rules::schema::about::{documented, part};

    /// Compares the fields of both, wherever the reader tells of an object.
    fn compare(schema: &Schema, documented: &Value, at: &str) {
        match schema {
            Schema::Object(object) => {
                let properties = part(documented, "properties").and_then(Value::as_object);
                let mut documented: Vec<_> = properties.into_iter().flat_map(Map::keys).collect();
                let fields = object
                    .fields
                    .iter()
                    .filter(|field| field.schema != Schema::Any);
                let mut read: Vec<_> = fields.map(|field| field.name).collect();
                documented.sort();
                read.sort_unstable();
                assert_eq!(documented, read, "{at}");
                for field in &object.fields {
                    let within = properties.and_then(|all| all.get(field.name));
                    compare(
                        &field.schema,
                        within.unwrap_or(&Value::Null),
                        &format!("{at}.{}", field.name),
                    );
                }
            }
            Schema::Map(values) => compare(
                values,
                part(documented, "additionalProperties").unwrap_or(&Value::Null),
                at,
            ),
            Schema::List(items) => {
                compare(items, part(documented, "items").unwrap_or(&Value::Null), at)
            }
            _ => {}
        }
    }

    fn undescribed(schema: &Schema, at: &str) -> Vec<String> {
        match schema {
            Schema::Object(object) => object
                .fields
                .iter()
                .flat_map(|field| {
                    let here = format!("{at}.{}", field.name);
                    let mut found = undescribed(&field.schema, &here);
                    if field.about.is_empty() && field.schema != Schema::Any {
                        found.push(here);
                    }
                    found
                })
                .collect(),
            Schema::Map(inner) | Schema::List(inner) => undescribed(inner, at),
            _ => Vec::new(),
        }
    }

    #[test]
    fn the_types_have_the_fields_that_are_read_and_each_is_documented() {
        // Kubernetes describes its own kinds.
        for kind in kinds().iter().filter(|kind| !kind.is_of_kubernetes()) {
            let schema = schema(kind);
            let documented = documented(kind.name).unwrap_or_default();
            compare(&schema, &documented, kind.name);
            assert_eq!(undescribed(&schema, kind.name), Vec::<String>::new());
        }
    }
}
