//! Objects that lack something.

use serde_json::Value;

/// What identifies an object: without it there is none.
const IDENTITY: [&str; 4] = ["name", "namespace", "resourceVersion", "uid"];

/// This object many times: each time one of its fields is `null` or missing, wherever it stands.
pub(crate) fn holes(object: &Value) -> Vec<Value> {
    let mut pointers = Vec::new();
    pointers_into(object, String::new(), &mut pointers);
    let mut all = Vec::new();
    for pointer in &pointers {
        let mut null = object.clone();
        *null.pointer_mut(pointer).unwrap() = Value::Null;
        all.push(null);
        let mut missing = object.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        if let Some(Value::Object(fields)) = missing.pointer_mut(parent) {
            fields.remove(&field.replace("~1", "/").replace("~0", "~"));
            all.push(missing);
        }
    }
    all
}

fn pointers_into(value: &Value, at: String, pointers: &mut Vec<String>) {
    let identity = |name: &str| at == "/metadata" && IDENTITY.contains(&name);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !identity(name)) {
                let below = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                if below != "/metadata" {
                    pointers.push(below.clone());
                }
                pointers_into(value, below, pointers);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let below = format!("{at}/{index}");
                pointers.push(below.clone());
                pointers_into(value, below, pointers);
            }
        }
        _ => {}
    }
}

#[test]
fn every_field_is_missing_once() {
    let object =
        serde_json::json!({"metadata": {"name": "a", "labels": {"x/y": "z"}}, "list": [1]});
    let found: Vec<String> = holes(&object).iter().map(Value::to_string).collect();
    let expected = [
        r#"{"list":null,"metadata":{"labels":{"x/y":"z"},"name":"a"}}"#,
        r#"{"metadata":{"labels":{"x/y":"z"},"name":"a"}}"#,
        r#"{"list":[null],"metadata":{"labels":{"x/y":"z"},"name":"a"}}"#,
        r#"{"list":[1],"metadata":{"labels":null,"name":"a"}}"#,
        r#"{"list":[1],"metadata":{"name":"a"}}"#,
        r#"{"list":[1],"metadata":{"labels":{"x/y":null},"name":"a"}}"#,
        r#"{"list":[1],"metadata":{"labels":{},"name":"a"}}"#,
    ];
    assert_eq!(found, expected);
}
