//! Protobuf's merge, as patches mean it.
//!
//! Fields that the patch has take effect: a message is merged into a message, lists are appended to lists (or take their place),
//! entries of maps take the place of those with their key. Unlike protobuf's own merge it takes durations, times and single values
//! in a message of their own as the one value that they are, and looks into `Any`.

use prost::{Message, Name};
use prost_reflect::{DynamicMessage, ReflectMessage, Value};

use crate::json;

/// What becomes of a list where a patch has one, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lists {
    /// The patch's comes after it.
    Append,
    /// The patch's takes its place.
    Replace,
}

/// Messages nested deeper than this in others that are not known to be messages are taken as a whole.
const DEPTH: usize = 32;

const ANY: &str = "google.protobuf.Any";

/// Messages that are one value.
const SINGLE: [&str; 11] = [
    "google.protobuf.Duration",
    "google.protobuf.Timestamp",
    "google.protobuf.BoolValue",
    "google.protobuf.BytesValue",
    "google.protobuf.DoubleValue",
    "google.protobuf.FloatValue",
    "google.protobuf.Int32Value",
    "google.protobuf.Int64Value",
    "google.protobuf.StringValue",
    "google.protobuf.UInt32Value",
    "google.protobuf.UInt64Value",
];

/// Merges `patch` into a message of the same type. The message stays as it is if that is not possible.
pub(super) fn merge<M: Message + Name + Default>(
    into: &mut M,
    patch: &DynamicMessage,
    lists: Lists,
) -> Result<(), String> {
    let descriptor = patch.descriptor();
    if descriptor.full_name() != M::full_name() {
        return Err(format!(
            "is a {} and not a {}",
            descriptor.full_name(),
            M::full_name()
        ));
    }
    let mut merged = DynamicMessage::decode(descriptor, &*into.encode_to_vec())
        .map_err(|error| error.to_string())?;
    message(&mut merged, patch, lists, DEPTH);
    *into = M::decode(&*merged.encode_to_vec()).map_err(|error| error.to_string())?;
    Ok(())
}

fn message(into: &mut DynamicMessage, patch: &DynamicMessage, lists: Lists, depth: usize) {
    for (field, value) in patch.fields() {
        let there = into.has_field(&field);
        match value {
            Value::Map(entries) => {
                let Value::Map(known) = into.get_field_mut(&field) else {
                    continue;
                };
                #[expect(
                    clippy::iter_over_hash_type,
                    reason = "entries have nothing to do with each other"
                )]
                for (key, value) in entries {
                    match (known.get_mut(key), value) {
                        (Some(Value::Message(known)), Value::Message(value)) if is_any(value) => {
                            any(known, value, lists, depth);
                        }
                        _ => {
                            known.insert(key.clone(), value.clone());
                        }
                    }
                }
            }
            Value::List(items) if lists == Lists::Append => {
                if let Value::List(known) = into.get_field_mut(&field) {
                    known.extend(items.iter().cloned());
                }
            }
            Value::Message(inner) if there && !is_single(inner) => {
                let Value::Message(known) = into.get_field_mut(&field) else {
                    continue;
                };
                if is_any(inner) {
                    any(known, inner, lists, depth);
                } else {
                    message(known, inner, lists, depth);
                }
            }
            _ => into.set_field(&field, value.clone()),
        }
    }
}

/// Merges what is within, if both have the same type and it is known; else the patch's takes the place of what is there.
fn any(into: &mut DynamicMessage, patch: &DynamicMessage, lists: Lists, depth: usize) {
    let merged = within_any(into, patch, lists, depth);
    match merged {
        Some(bytes) => into.set_field_by_name("value", Value::Bytes(bytes.into())),
        None => *into = patch.clone(),
    }
}

fn within_any(
    into: &DynamicMessage,
    patch: &DynamicMessage,
    lists: Lists,
    depth: usize,
) -> Option<Vec<u8>> {
    let depth = depth.checked_sub(1)?;
    let (known, url) = (type_url(into)?, type_url(patch)?);
    if type_name(&known) != type_name(&url) {
        return None;
    }
    let descriptor = json::descriptor(&url).ok()?;
    let bytes = |any: &DynamicMessage| any.get_field_by_name("value")?.as_bytes().cloned();
    let mut merged = DynamicMessage::decode(descriptor.clone(), bytes(into)?).ok()?;
    let within = DynamicMessage::decode(descriptor, bytes(patch)?).ok()?;
    message(&mut merged, &within, lists, depth);
    Some(merged.encode_to_vec())
}

/// What is behind the last slash: what is before it means nothing.
pub(super) fn type_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

fn type_url(any: &DynamicMessage) -> Option<String> {
    any.get_field_by_name("type_url")?
        .as_str()
        .map(str::to_owned)
}

fn is_any(message: &DynamicMessage) -> bool {
    message.descriptor().full_name() == ANY
}

fn is_single(message: &DynamicMessage) -> bool {
    SINGLE.contains(&message.descriptor().full_name())
}
