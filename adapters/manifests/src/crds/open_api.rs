//! The schema of a rule in the form that an API server takes: structural, without references.

use pilothouse_core::rules::schema::{DURATION, FieldSchema, ObjectSchema, Schema};
use serde_json::{Map, Value, json};

use super::limits;

/// The schema in OpenAPI's words.
pub(super) fn schema(schema: &Schema) -> Value {
    match schema {
        Schema::Object(known) => object(known),
        Schema::Map(values) => {
            json!({"type": "object", "additionalProperties": self::schema(values)})
        }
        Schema::List(items) => json!({"type": "array", "items": self::schema(items)}),
        Schema::Text => json!({"type": "string"}),
        Schema::Bool => json!({"type": "boolean"}),
        Schema::Whole(least, most) => {
            json!({"type": "integer", "minimum": least, "maximum": most})
        }
        Schema::Number => json!({"type": "number", "format": "double"}),
        Schema::Duration => json!({"type": "string", "pattern": DURATION}),
        Schema::OneOf(names) => json!({"type": "string", "enum": names}),
        Schema::Open => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        Schema::Any => json!({"x-kubernetes-preserve-unknown-fields": true}),
    }
}

fn object(known: &ObjectSchema) -> Value {
    let properties: Map<_, _> = known.fields.iter().map(field).collect();
    let mut object = json!({"type": "object", "properties": properties});
    limits::apply(known.type_name, &mut object);
    object
}

fn field(field: &FieldSchema) -> (String, Value) {
    let mut schema = schema(&field.schema);
    if let Some(schema) = schema.as_object_mut()
        && !field.about.is_empty()
    {
        schema.insert("description".to_owned(), json!(field.about));
    }
    (field.name.to_owned(), schema)
}
