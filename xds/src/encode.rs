//! From messages to resources: canonical bytes, their hash as version.

mod canonical;
#[cfg(test)]
mod table;

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint};

pub use canonical::canonical;

use crate::resource::{Resource, Version};
use crate::translate::Output;

/// Serialises what a translation made. The bytes are the same for equal messages, on every replica and after every restart.
pub fn encode(output: Output) -> Resource {
    let type_url = output.message.resource_type().url();
    let plain = output.message.encode_to_vec();
    // The encoder's own output is well formed; if it were not, it would still be what Envoy is to judge.
    let value = canonical(type_url, &plain).unwrap_or(plain);
    let body = any(type_url, &value);
    Resource {
        name: output.name,
        version: Version::of(&body),
        body,
        uses: output.uses,
        causes: output.causes,
    }
}

/// An encoded `google.protobuf.Any`.
fn any(type_url: &str, value: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(type_url.len() + value.len() + 16);
    for (tag, bytes) in [(1, type_url.as_bytes()), (2, value)] {
        if !bytes.is_empty() {
            encode_key(tag, WireType::LengthDelimited, &mut out);
            encode_varint(bytes.len() as u64, &mut out);
            out.put_slice(bytes);
        }
    }
    out.freeze()
}
