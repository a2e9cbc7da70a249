//! Canonical protobuf: one sequence of bytes for equal messages.
//!
//! `envoy-types` keeps `map` fields in hash maps, so their entries are encoded in random order. This sorts them by key,
//! over encoded bytes, at every depth and within every `Any` of a known type. Entries of maps end up behind the other fields of
//! their message, which readers of protobuf do not mind. What a message consists of comes from a table made of Envoy's
//! descriptors (`assets/canonical.txt`), which names only the messages that have a map or an `Any` somewhere within.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use bytes::{Buf, BufMut};
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

/// A line for each message: its full name, then its fields that need work. `N>LINE`: a message; `N*`: a map; `N*LINE`: a map to
/// messages. Lines are counted from 0.
const TABLE: &str = include_str!("../../assets/canonical.txt");

static MESSAGES: LazyLock<Messages> = LazyLock::new(|| Messages::parse(TABLE));

/// Nothing that Envoy reads is nested deeper.
const DEPTH: usize = 100;

type Line = usize;

/// The encoded key of a map's entry, and the entry in canonical form.
type Entry = (Vec<u8>, Vec<u8>);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    Message(Line),
    Map(Option<Line>),
}

#[derive(Debug, Default, PartialEq)]
struct Messages {
    fields: Vec<BTreeMap<u32, Field>>,
    lines: HashMap<&'static str, Line, foldhash::fast::RandomState>,
    any: Option<Line>,
}

impl Messages {
    fn parse(table: &'static str) -> Self {
        let mut messages = Self::default();
        for (line, text) in table.lines().enumerate() {
            let mut words = text.split(' ');
            let name = words.next().unwrap_or_default();
            messages.lines.insert(name, line);
            messages.fields.push(words.filter_map(field).collect());
        }
        messages.any = messages.lines.get("google.protobuf.Any").copied();
        messages
    }
}

fn field(text: &str) -> Option<(u32, Field)> {
    if let Some((number, line)) = text.split_once('>') {
        return Some((number.parse().ok()?, Field::Message(line.parse().ok()?)));
    }
    let (number, line) = text.split_once('*')?;
    Some((number.parse().ok()?, Field::Map(line.parse().ok())))
}

/// The canonical form of an encoded message; `None` if the bytes are no message. `type_name` is a type URL or a full name.
pub fn canonical(type_name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    match line(type_name) {
        None => Some(bytes.to_vec()),
        Some(line) => {
            let mut out = Vec::with_capacity(bytes.len());
            message(line, bytes, &mut out, DEPTH)?;
            Some(out)
        }
    }
}

fn line(type_name: &str) -> Option<Line> {
    let name = type_name.rsplit('/').next().unwrap_or(type_name);
    MESSAGES.lines.get(name).copied()
}

fn message(line: Line, mut rest: &[u8], out: &mut Vec<u8>, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let fields = MESSAGES.fields.get(line)?;
    let is_any = MESSAGES.any == Some(line);
    let mut within_any = None;
    let mut maps: BTreeMap<u32, Vec<Entry>> = BTreeMap::new();
    while rest.has_remaining() {
        let start = rest;
        let (tag, wire_type) = decode_key(&mut rest).ok()?;
        if wire_type != WireType::LengthDelimited {
            skip(wire_type, &mut rest)?;
            out.put_slice(start.get(..start.len() - rest.len())?);
            continue;
        }
        let value = delimited(&mut rest)?;
        match fields.get(&tag) {
            _ if is_any && tag == 1 => {
                within_any = Some(std::str::from_utf8(value).ok()?);
                emit(tag, value, out);
            }
            _ if is_any && tag == 2 => match within_any.and_then(self::line) {
                Some(line) => nested(tag, line, value, out, depth)?,
                None => emit(tag, value, out),
            },
            Some(Field::Message(line)) => nested(tag, *line, value, out, depth)?,
            Some(Field::Map(line)) => maps
                .entry(tag)
                .or_default()
                .push(entry(*line, value, depth)?),
            None => emit(tag, value, out),
        }
    }
    for (tag, mut entries) in maps {
        entries.sort();
        for (_, entry) in entries {
            emit(tag, &entry, out);
        }
    }
    Some(())
}

fn nested(tag: u32, line: Line, value: &[u8], out: &mut Vec<u8>, depth: usize) -> Option<()> {
    let mut inner = Vec::with_capacity(value.len());
    message(line, value, &mut inner, depth)?;
    emit(tag, &inner, out);
    Some(())
}

/// A map's entry is a message of a key and a value.
fn entry(values: Option<Line>, mut rest: &[u8], depth: usize) -> Option<Entry> {
    let mut key = Vec::new();
    let mut out = Vec::with_capacity(rest.len());
    while rest.has_remaining() {
        let start = rest;
        let (tag, wire_type) = decode_key(&mut rest).ok()?;
        if wire_type != WireType::LengthDelimited {
            skip(wire_type, &mut rest)?;
            let field = start.get(..start.len() - rest.len())?;
            if tag == 1 {
                key = field.to_vec();
            }
            out.put_slice(field);
            continue;
        }
        let value = delimited(&mut rest)?;
        match values {
            Some(line) if tag == 2 => nested(tag, line, value, &mut out, depth)?,
            _ => emit(tag, value, &mut out),
        }
        if tag == 1 {
            key = value.to_vec();
        }
    }
    Some((key, out))
}

fn delimited<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(decode_varint(rest).ok()?).ok()?;
    let (value, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(value)
}

fn skip(wire_type: WireType, rest: &mut &[u8]) -> Option<()> {
    let len = match wire_type {
        WireType::Varint => {
            decode_varint(rest).ok()?;
            0
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        _ => return None,
    };
    *rest = rest.get(len..)?;
    Some(())
}

fn emit(tag: u32, value: &[u8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.put_slice(value);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use envoy_types::pb::envoy::config::core::v3::{Metadata, TypedExtensionConfig};
    use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, Listener, filter};
    use envoy_types::pb::google::protobuf::value::Kind;
    use envoy_types::pb::google::protobuf::{Struct, Value};
    use envoy_types::util::pack_any;
    use proptest::prelude::*;
    use prost::{Message, Name};

    use super::*;

    type Texts = BTreeMap<String, String>;

    fn metadata(of: &BTreeMap<String, Texts>, backwards: bool) -> Metadata {
        // Another order of insertion and another hash seed give another order of encoding.
        let order = |keys: Vec<String>| {
            if backwards {
                keys.into_iter().rev().collect()
            } else {
                keys
            }
        };
        let of_texts = |texts: &Texts| Struct {
            fields: order(texts.keys().cloned().collect())
                .into_iter()
                .map(|key| {
                    (
                        key.clone(),
                        Value {
                            kind: Some(Kind::StringValue(texts[&key].clone())),
                        },
                    )
                })
                .collect(),
        };
        let names = order(of.keys().cloned().collect());
        Metadata {
            filter_metadata: names
                .iter()
                .map(|name| (name.clone(), of_texts(&of[name])))
                .collect(),
            typed_filter_metadata: names
                .iter()
                .map(|name| (name.clone(), pack_any(of_texts(&of[name]))))
                .collect(),
        }
    }

    /// Maps directly, within messages, within `Any`, and `Any` within maps.
    fn listener(of: &BTreeMap<String, Texts>, backwards: bool) -> Listener {
        let inner = Listener {
            metadata: Some(metadata(of, backwards)),
            ..Default::default()
        };
        let config = TypedExtensionConfig {
            name: "x".into(),
            typed_config: Some(pack_any(inner)),
        };
        let filter = Filter {
            name: "f".into(),
            config_type: Some(filter::ConfigType::TypedConfig(pack_any(config))),
        };
        Listener {
            name: "l".into(),
            metadata: Some(metadata(of, backwards)),
            filter_chains: vec![FilterChain {
                filters: vec![filter],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn run(listener: &Listener) -> Vec<u8> {
        canonical(&Listener::type_url(), &listener.encode_to_vec()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equal_messages_have_equal_bytes(
            of in prop::collection::btree_map("[a-z]{1,3}", prop::collection::btree_map("[a-z]{0,3}", "[a-z]{0,3}", 0..6), 0..6)
        ) {
            let bytes = run(&listener(&of, false));
            prop_assert_eq!(&bytes, &run(&listener(&of, true)));
            prop_assert_eq!(canonical(&Listener::type_url(), &bytes), Some(bytes.clone()));
            let decoded = Listener::decode(&*bytes).unwrap();
            prop_assert_eq!(decoded.metadata.unwrap().filter_metadata, metadata(&of, false).filter_metadata);
            prop_assert_eq!(bytes.len(), listener(&of, false).encode_to_vec().len());
        }

        #[test]
        fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = canonical(&Listener::type_url(), &bytes);
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert_eq!(
            canonical("envoy.config.listener.v3.Listener", &[10, 200]),
            None
        );
        assert_eq!(canonical("acme.Unknown", &[10, 200]), Some(vec![10, 200]));
    }
}
