//! Resources as Envoy's JSON, and back.
//!
//! Works on bytes of any message of Envoy's API, by descriptors that are loaded on first use (some 40 MB and a tenth of a
//! second). It is for debug pages, the bootstrap, tools, tests and the patches of `EnvoyFilter`s: what serves proxies does not come here
//! otherwise.

#[cfg(test)]
pub(crate) mod asset;

use std::sync::LazyLock;

use bytes::Bytes;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};
use serde_json::Value;
use serde_path_to_error::Track;
use thiserror::Error;

/// The descriptors of Envoy's API as `envoy-types` has it, of the `TypedStruct`s that it lacks, and of the name table.
static COMPRESSED: &[u8] = include_bytes!("../assets/descriptors.bin.zst");

static POOL: LazyLock<Result<DescriptorPool, String>> = LazyLock::new(|| {
    let bytes = zstd::decode_all(COMPRESSED).map_err(|error| error.to_string())?;
    DescriptorPool::decode(Bytes::from(bytes)).map_err(|error| error.to_string())
});

/// Why there is no JSON, or no message.
#[derive(Debug, Error)]
pub enum JsonError {
    /// The descriptors that are built in are damaged.
    #[error("the built-in descriptors of Envoy's API cannot be read: {0}")]
    Descriptors(&'static str),
    /// The type is not part of Envoy's API.
    #[error("{0:?} is no message type of Envoy's API")]
    UnknownType(String),
    /// The bytes are not a message of the type.
    #[error("the bytes are no {name}: {error}")]
    Bytes {
        /// The type's full name.
        name: String,
        /// What is wrong.
        error: prost::DecodeError,
    },
    /// The message has no JSON form: an `Any` in it holds a type that is not known here.
    #[error("{name} cannot be written as JSON: {error}")]
    Unwritable {
        /// The type's full name.
        name: String,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// The JSON does not describe a message of the type.
    #[error("the JSON is no {name}: {path}: {error}")]
    Unreadable {
        /// The type's full name.
        name: String,
        /// Where in the JSON.
        path: String,
        /// What is wrong.
        error: serde_json::Error,
    },
}

/// Whether a message type is part of Envoy's API; a type URL or a full name.
pub fn knows(type_name: &str) -> bool {
    descriptor(type_name).is_ok()
}

/// The JSON of a message, with field names as in the `.proto` files and without fields that have their default, as Envoy's
/// own `/config_dump` has it. `type_name` is a type URL or a full name.
pub fn to_json(type_name: &str, bytes: &[u8]) -> Result<Value, JsonError> {
    let descriptor = descriptor(type_name)?;
    let name = descriptor.full_name().to_owned();
    let message = DynamicMessage::decode(descriptor, bytes).map_err(|error| JsonError::Bytes {
        name: name.clone(),
        error,
    })?;
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(false);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| JsonError::Unwritable { name, error })
}

/// The JSON of an encoded `google.protobuf.Any`: that of the message within, and its type URL under `@type`.
pub fn any_to_json(any: &[u8]) -> Result<Value, JsonError> {
    to_json("google.protobuf.Any", any)
}

/// The bytes of the message that `json` describes. Field names may be as in the `.proto` files or in camel case; a field
/// that the type does not have is an error.
pub fn from_json(type_name: &str, json: &Value) -> Result<Vec<u8>, JsonError> {
    Ok(message_from_json(type_name, json)?.encode_to_vec())
}

/// The message that `json` describes, as [`from_json`].
pub(crate) fn message_from_json(
    type_name: &str,
    json: &Value,
) -> Result<DynamicMessage, JsonError> {
    let descriptor = descriptor(type_name)?;
    let name = descriptor.full_name().to_owned();
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(json, &mut track);
    DynamicMessage::deserialize_with_options(descriptor, tracked, &options).map_err(|error| {
        JsonError::Unreadable {
            name,
            path: track.path().to_string(),
            error,
        }
    })
}

/// What a message type consists of; a type URL or a full name.
pub(crate) fn descriptor(type_name: &str) -> Result<MessageDescriptor, JsonError> {
    let pool = POOL
        .as_ref()
        .map_err(|error| JsonError::Descriptors(error))?;
    let name = type_name.rsplit('/').next().unwrap_or(type_name);
    pool.get_message_by_name(name)
        .ok_or_else(|| JsonError::UnknownType(name.to_owned()))
}

#[cfg(test)]
pub(crate) fn pool() -> &'static DescriptorPool {
    POOL.as_ref().unwrap()
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::cluster::v3::Cluster;
    use serde_json::json;

    use super::*;

    const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

    #[test]
    fn json_and_bytes_describe_the_same() {
        let json = json!({
            "name": "a",
            "connect_timeout": "10s",
            "typed_extension_protocol_options": {
                "x": {"@type": "type.googleapis.com/xds.type.v3.TypedStruct", "type_url": "t/y", "value": {"k": "v"}},
            },
        });
        let bytes = from_json(CLUSTER, &json).unwrap();
        assert_eq!(Cluster::decode(&*bytes).unwrap().name, "a");
        assert_eq!(
            to_json("envoy.config.cluster.v3.Cluster", &bytes).unwrap(),
            json
        );
        let any = envoy_types::pb::google::protobuf::Any {
            type_url: CLUSTER.into(),
            value: bytes,
        }
        .encode_to_vec();
        assert_eq!(any_to_json(&any).unwrap()["@type"], CLUSTER);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let check = |name: &str, json: Value, expected: &str| {
            let error = from_json(name, &json).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("x/acme.Foo", json!({}), "\"acme.Foo\" is no message type");
        check(CLUSTER, json!({"nome": "a"}), "nome");
        check(CLUSTER, json!({"type": "NO"}), "NO");
        check(
            CLUSTER,
            json!({"load_assignment": {"endpoints": [{}, {"priority": "x"}]}}),
            "load_assignment.endpoints[1].priority: ",
        );
        assert!(matches!(
            to_json(CLUSTER, &[255]),
            Err(JsonError::Bytes { .. })
        ));
    }
}
