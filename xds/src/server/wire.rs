//! Reads protobuf's wire format field by field, borrowing from the message: nothing is allocated and nothing is descended into
//! that nobody asks for.

use prost::encoding::{self, DecodeContext, WireType};
use thiserror::Error;

/// Why bytes are not the message they should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the message is malformed: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// One field's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    /// An integer, a boolean or an enumerator.
    Varint(u64),
    /// Text, bytes or a message.
    Bytes(&'a [u8]),
    /// Eight bytes: a double, among others.
    Fixed64(u64),
    /// Four bytes or a group: nothing that is read here.
    Other,
}

impl<'a> Value<'a> {
    pub(crate) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed("a text or message has another wire type")),
        }
    }

    pub(crate) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("a text is not UTF-8"))
    }

    pub(crate) fn integer(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(Malformed("an integer has another wire type")),
        }
    }

    pub(crate) fn double(self) -> Result<f64, Malformed> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(Malformed("a number has another wire type")),
        }
    }
}

/// Calls `visit` with the tag and value of every field of `message`, in the order in which they stand.
pub(crate) fn each_field<'a, E: From<Malformed>>(
    mut message: &'a [u8],
    mut visit: impl FnMut(u32, Value<'a>) -> Result<(), E>,
) -> Result<(), E> {
    while !message.is_empty() {
        let (tag, wire_type) = encoding::decode_key(&mut message)
            .map_err(|_| Malformed("a field has no valid key"))?;
        let value = match wire_type {
            WireType::Varint => Value::Varint(varint(&mut message)?),
            WireType::LengthDelimited => {
                let length = usize::try_from(varint(&mut message)?).unwrap_or(usize::MAX);
                Value::Bytes(take(&mut message, length)?)
            }
            WireType::SixtyFourBit => {
                let (bits, rest) = message.split_first_chunk().ok_or(CUT)?;
                message = rest;
                Value::Fixed64(u64::from_le_bytes(*bits))
            }
            WireType::ThirtyTwoBit => {
                take(&mut message, 4)?;
                Value::Other
            }
            WireType::StartGroup | WireType::EndGroup => {
                encoding::skip_field(wire_type, tag, &mut message, DecodeContext::default())
                    .map_err(|_| Malformed("a group is broken"))?;
                Value::Other
            }
        };
        visit(tag, value)?;
    }
    Ok(())
}

/// The key and value of one entry of a map.
pub(crate) fn map_entry(entry: &[u8]) -> Result<(&str, Value<'_>), Malformed> {
    let (mut key, mut value) = ("", Value::Bytes(&[]));
    each_field(entry, |tag, field| {
        match tag {
            1 => key = field.text()?,
            2 => value = field,
            _ => {}
        }
        Ok::<_, Malformed>(())
    })?;
    Ok((key, value))
}

const CUT: Malformed = Malformed("it ends within a field");

fn varint(message: &mut &[u8]) -> Result<u64, Malformed> {
    encoding::decode_varint(message).map_err(|_| Malformed("an integer is broken"))
}

fn take<'a>(message: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = message.split_at_checked(length).ok_or(CUT)?;
    *message = rest;
    Ok(taken)
}
