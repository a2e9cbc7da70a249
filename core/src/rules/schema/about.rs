//! What the documentation of the Rust types says of each field. The fields themselves are those that readers tell.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::Schema;
use crate::model::{ByName, Labels};
use crate::rules::spec;

/// The schema with a text at each of its fields.
pub(super) fn with_texts(kind: &str, mut schema: Schema) -> Schema {
    if let Some(documented) = documented(kind) {
        add(&mut schema, &documented);
    }
    schema
}

/// What is known of the Rust type of this kind.
pub(super) fn documented(kind: &str) -> Option<Value> {
    let schema = match kind {
        "AuthorizationPolicy" => of::<spec::AuthorizationPolicy>(),
        "DestinationRule" => of::<spec::DestinationRule>(),
        "EnvoyFilter" => of::<spec::EnvoyFilter>(),
        "Gateway" => of::<spec::Gateway>(),
        "PeerAuthentication" => of::<spec::PeerAuthentication>(),
        "ProxyConfig" => of::<spec::ProxyConfigRule>(),
        "RequestAuthentication" => of::<spec::RequestAuthentication>(),
        "ServiceEntry" => of::<spec::ServiceEntry>(),
        "Sidecar" => of::<spec::Sidecar>(),
        "Telemetry" => of::<spec::Telemetry>(),
        "TrafficExtension" | "WasmPlugin" => of::<spec::ProxyExtension>(),
        "VirtualService" => of::<spec::VirtualService>(),
        "WorkloadEntry" => of::<spec::WorkloadEntry>(),
        "WorkloadGroup" => of::<spec::WorkloadGroup>(),
        _ => return None,
    };
    Some(schema)
}

fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().into()
}

fn add(schema: &mut Schema, documented: &Value) {
    match schema {
        Schema::Object(object) => {
            for field in &mut object.fields {
                if let Some(documented) =
                    part(documented, "properties").and_then(|all| all.get(field.name))
                {
                    field.about = text(documented);
                    add(&mut field.schema, documented);
                }
            }
        }
        Schema::Map(values) => {
            if let Some(documented) = part(documented, "additionalProperties") {
                add(values, documented);
            }
        }
        Schema::List(items) => {
            if let Some(documented) = part(documented, "items") {
                add(items, documented);
            }
        }
        _ => {}
    }
}

/// A part of a schema, or of the one that it offers beside `null`.
pub(super) fn part<'a>(documented: &'a Value, name: &str) -> Option<&'a Value> {
    let offers = documented.get("anyOf").and_then(Value::as_array);
    documented
        .get(name)
        .or_else(|| offers.into_iter().flatten().find_map(|one| one.get(name)))
}

fn text(documented: &Value) -> String {
    let text = documented.get("description").and_then(Value::as_str);
    let first = text.and_then(|text| text.split("\n\n").next());
    first.unwrap_or_default().replace('\n', " ")
}

impl<T: JsonSchema> JsonSchema for ByName<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("ByName_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> schemars::Schema {
        json_schema!({"additionalProperties": generator.subschema_for::<T>()})
    }
}

impl JsonSchema for Labels {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Labels".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> schemars::Schema {
        json_schema!({"additionalProperties": generator.subschema_for::<String>()})
    }
}
