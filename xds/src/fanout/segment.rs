//! Resources that are sent together, and their encoding, which is made once for all who are sent the same.

use std::sync::{Arc, OnceLock};

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use super::content::Item;
use crate::resource::{Name, ResourceType, Uses};

/// Encoded resources are joined to blocks of about this size: HTTP/2 makes a frame and a write of every block.
const BLOCK: usize = 32 << 10;

/// How resources are wrapped in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrap {
    /// `DeltaDiscoveryResponse.resources`: a `Resource` with name and version.
    Delta,
    /// `DiscoveryResponse.resources`: the bare `Any`.
    Sotw,
}

/// Resources of one type, sorted by name.
#[derive(Debug)]
pub(crate) struct Segment {
    items: Box<[Item]>,
    digest: u64,
    delta: OnceLock<Arc<[Bytes]>>,
    sotw: OnceLock<Arc<[Bytes]>>,
    routes: OnceLock<Arc<[Name]>>,
}

impl Segment {
    /// Of sorted items.
    pub(crate) fn new(items: Vec<Item>) -> Self {
        let digest = items.iter().map(digest).fold(0, u64::wrapping_add);
        Self {
            items: items.into(),
            digest,
            delta: OnceLock::new(),
            sotw: OnceLock::new(),
            routes: OnceLock::new(),
        }
    }

    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Item> {
        let at = self
            .items
            .binary_search_by(|item| item.name().as_str().cmp(name))
            .ok()?;
        self.items.get(at)
    }

    /// Depends on names and versions only and not on their order: digests of disjoint segments add up to that of their union.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// The routes that its items refer to, sorted.
    pub(crate) fn routes(&self) -> &[Name] {
        self.routes
            .get_or_init(|| union(&self.items, |uses| &uses.routes))
    }

    /// The encoding; `made` is called if this is the first time that it is asked for.
    pub(crate) fn encoded(&self, wrap: Wrap, made: impl FnOnce(usize)) -> Arc<[Bytes]> {
        let cell = match wrap {
            Wrap::Delta => &self.delta,
            Wrap::Sotw => &self.sotw,
        };
        cell.get_or_init(|| {
            let blocks = encode(&self.items, wrap);
            made(blocks.iter().map(Bytes::len).sum());
            blocks.into()
        })
        .clone()
    }
}

fn union(items: &[Item], of: impl Fn(&Uses) -> &Arc<[Name]>) -> Arc<[Name]> {
    let mut names: Vec<Name> = items
        .iter()
        .flat_map(|item| of(&item.resource.uses).iter().cloned())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into()
}

fn digest(item: &Item) -> u64 {
    xxh3_64_with_seed(item.name().as_str().as_bytes(), item.version.0)
}

/// What tells lists of items apart.
pub(crate) fn identity(resource_type: ResourceType, items: &[Item]) -> u128 {
    let mut hasher = Xxh3::new();
    hasher.update(&[resource_type.index() as u8]);
    for item in items {
        let name = item.name().as_str().as_bytes();
        hasher.update(&item.version.0.to_le_bytes());
        hasher.update(&item.resource.version.0.to_le_bytes());
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
    }
    hasher.digest128()
}

fn encode(items: &[Item], wrap: Wrap) -> Vec<Bytes> {
    let mut blocks = Vec::new();
    let mut block = BytesMut::new();
    for item in items {
        let size = item.resource.body.len() + item.name().as_str().len() + 64;
        if !block.is_empty() && block.len() + size > BLOCK {
            blocks.push(block.split().freeze());
        }
        // The rest of a segment is smaller than a block at its end only.
        if block.capacity() < size {
            block.reserve(size.max(BLOCK.min(size * items.len())));
        }
        match wrap {
            Wrap::Delta => delta(item, &mut block),
            Wrap::Sotw => field(2, &item.resource.body, &mut block),
        }
    }
    if !block.is_empty() {
        blocks.push(block.freeze());
    }
    blocks
}

/// `resources = 2` of `DeltaDiscoveryResponse`: `Resource { version = 1, resource = 2, name = 3 }`.
fn delta(item: &Item, to: &mut BytesMut) {
    let (name, body) = (item.name().as_str().as_bytes(), &item.resource.body);
    let version = item.version.to_string();
    let len = field_len(1, version.len()) + field_len(2, body.len()) + field_len(3, name.len());
    encode_key(2, WireType::LengthDelimited, to);
    encode_varint(len as u64, to);
    field(1, version.as_bytes(), to);
    field(2, body, to);
    field(3, name, to);
}

fn field_len(tag: u32, len: usize) -> usize {
    key_len(tag) + encoded_len_varint(len as u64) + len
}

/// A length-delimited field.
pub(crate) fn field(tag: u32, value: &[u8], to: &mut BytesMut) {
    encode_key(tag, WireType::LengthDelimited, to);
    encode_varint(value.len() as u64, to);
    to.put_slice(value);
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::service::discovery::v3::{
        DeltaDiscoveryResponse, DiscoveryResponse,
    };
    use envoy_types::pb::google::protobuf::Any;
    use prost::Message;

    use super::*;
    use crate::resource::{Resource, Version};

    fn item(name: &str, size: usize) -> Item {
        let any = Any {
            type_url: "type.googleapis.com/x".into(),
            value: vec![7; size],
        };
        let body = Bytes::from(any.encode_to_vec());
        let resource = Resource {
            name: name.into(),
            version: Version::of(&body),
            body,
            uses: Uses::default(),
            causes: Arc::new([]),
        };
        Item {
            version: resource.version.and(Version(1)),
            resource: Arc::new(resource),
        }
    }

    #[test]
    fn the_encoding_is_that_of_the_messages_fields_in_few_blocks() {
        let items: Vec<_> = [0, 1, 100, 10_000, 30_000, 100_000, 5]
            .into_iter()
            .enumerate()
            .map(|(i, size)| item(&format!("{i}"), size))
            .collect();
        let segment = Segment::new(items.clone());
        let mut made = 0;
        let blocks = segment.encoded(Wrap::Delta, |_| made += 1);
        segment.encoded(Wrap::Delta, |_| made += 1);
        assert_eq!(made, 1);
        assert_eq!(blocks.len(), 4);
        let message = DeltaDiscoveryResponse::decode(&*blocks.concat()).unwrap();
        let read: Vec<_> = message
            .resources
            .into_iter()
            .map(|r| (r.name, r.version, r.resource.unwrap().encode_to_vec()))
            .collect();
        let expected: Vec<_> = items
            .iter()
            .map(|i| {
                (
                    i.name().to_string(),
                    i.version.to_string(),
                    i.resource.body.to_vec(),
                )
            })
            .collect();
        assert_eq!(read, expected);

        let blocks = segment.encoded(Wrap::Sotw, |_| {});
        let message = DiscoveryResponse::decode(&*blocks.concat()).unwrap();
        assert_eq!(message.resources.len(), items.len());
        assert_eq!(message.resources[5].value.len(), 100_000);
    }

    #[test]
    fn digests_add_up() {
        let (a, b) = (item("a", 1), item("b", 2));
        let whole = Segment::new(vec![a.clone(), b.clone()]).digest();
        let parts = Segment::new(vec![a])
            .digest()
            .wrapping_add(Segment::new(vec![b]).digest());
        assert_eq!(whole, parts);
    }
}
