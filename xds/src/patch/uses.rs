//! Which clusters and route configurations a message refers to, whoever wrote it.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, ReflectMessage, Value};

use super::merge::type_name;
use crate::json;
use crate::resource::{Name, ResourceType, Uses};
use crate::translate::Message;

/// Messages nested deeper than this within `Any`s are not looked into.
const DEPTH: usize = 32;

/// Everything that looks like a reference; `None` for messages of which it does not matter. It may name too much: a name that is
/// nowhere holds up nothing.
pub(super) fn of(message: &Message) -> Option<Uses> {
    let resource_type = message.resource_type();
    if !matches!(resource_type, ResourceType::Listener | ResourceType::Route) {
        return None;
    }
    let descriptor = json::descriptor(resource_type.url()).ok()?;
    let message = DynamicMessage::decode(descriptor, &*message.encode_to_vec()).ok()?;
    let mut found = Found::default();
    found.within(&message, DEPTH);
    Some(Uses {
        clusters: found.clusters.into_iter().collect(),
        routes: found.routes.into_iter().collect(),
    })
}

#[derive(Default)]
struct Found {
    clusters: BTreeSet<Name>,
    routes: BTreeSet<Name>,
}

impl Found {
    fn within(&mut self, message: &DynamicMessage, depth: usize) {
        let descriptor = message.descriptor();
        if descriptor.full_name() == "google.protobuf.Any" {
            self.within_any(message, depth);
            return;
        }
        let weighted = descriptor.name() == "ClusterWeight";
        for (field, value) in message.fields() {
            match (field.name(), value) {
                ("cluster" | "cluster_name", Value::String(name)) => self.cluster(name),
                ("name", Value::String(name)) if weighted => self.cluster(name),
                ("route_config_name", Value::String(name)) => {
                    self.routes.insert(Name::from(name.as_str()));
                }
                (_, value) => self.value(value, depth),
            }
        }
    }

    fn value(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Message(message) => self.within(message, depth),
            Value::List(items) => items.iter().for_each(|item| self.value(item, depth)),
            Value::Map(entries) =>
            {
                #[expect(
                    clippy::iter_over_hash_type,
                    clippy::for_kv_map,
                    reason = "what is found is kept in order"
                )]
                for (_, value) in entries {
                    self.value(value, depth);
                }
            }
            _ => {}
        }
    }

    fn within_any(&mut self, any: &DynamicMessage, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        let (url, bytes) = (
            any.get_field_by_name("type_url"),
            any.get_field_by_name("value"),
        );
        let url = url.as_ref().and_then(|url| url.as_str());
        let bytes = bytes.as_ref().and_then(|bytes| bytes.as_bytes());
        let Some((url, bytes)) = url.zip(bytes) else {
            return;
        };
        let inner = json::descriptor(type_name(url)).ok();
        if let Some(inner) =
            inner.and_then(|inner| DynamicMessage::decode(inner, bytes.clone()).ok())
        {
            self.within(&inner, depth);
        }
    }

    fn cluster(&mut self, name: &str) {
        if !name.is_empty() {
            self.clusters.insert(Name::from(name));
        }
    }
}
