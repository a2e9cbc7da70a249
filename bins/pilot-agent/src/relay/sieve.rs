//! Takes the messages of one type out of a stream of gRPC messages.
//!
//! What is passed on are slices of the frames that came; of each message only as much is looked at as tells its type. The
//! largest copy is [`PEEK`] bytes, where the beginning of a message is spread over frames.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use prost::encoding::{WireType, decode_key, decode_varint};

use super::Variant;

/// The flag and the length in front of every message.
pub(super) const PREFIX: usize = 5;

/// A message that has not told its type after so many bytes is none of the wanted type: that one comes alone, or first.
const PEEK: usize = 2048;

/// What becomes of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes of other messages.
    Passed(Bytes),
    /// A message of the wanted type; `None` for one that is larger than the limit.
    Taken(Option<Bytes>),
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Sieve {
    variant: Variant,
    wanted: &'static str,
    limit: usize,
    at: At,
    pieces: VecDeque<Piece>,
}

#[derive(Debug)]
enum At {
    /// In front of a message, or so far into it as is not enough to know its type.
    Unknown(BytesMut),
    /// In a message that passes, with so many bytes to come.
    Passing(usize),
    /// In a message that is taken.
    Taking {
        left: usize,
        message: Option<BytesMut>,
    },
}

/// What a message is found to be.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Of the wanted type, with its length without prefix.
    Wanted(usize),
    /// Another, with its length without prefix.
    Other(usize),
}

impl Sieve {
    /// Takes responses of the type `wanted`, of at most `limit` bytes.
    pub(super) fn new(variant: Variant, wanted: &'static str, limit: usize) -> Self {
        Self {
            variant,
            wanted,
            limit,
            at: At::Unknown(BytesMut::new()),
            pieces: VecDeque::new(),
        }
    }

    /// The next piece of what was pushed.
    pub(super) fn next(&mut self) -> Option<Piece> {
        self.pieces.pop_front()
    }

    /// Takes the next bytes of the stream.
    pub(super) fn push(&mut self, mut rest: Bytes) {
        // So many bytes at the front of `rest` are known to pass.
        let mut known = 0;
        loop {
            match &mut self.at {
                At::Passing(left) => {
                    let here = (*left).min(rest.len() - known);
                    known += here;
                    *left -= here;
                    if *left > 0 {
                        break;
                    }
                    self.at = At::Unknown(BytesMut::new());
                }
                At::Taking { left, message } => {
                    let here = rest.split_to((*left).min(rest.len()));
                    *left -= here.len();
                    if let Some(message) = message {
                        message.extend_from_slice(&here);
                    }
                    if *left > 0 {
                        break;
                    }
                    let message = message.take().map(BytesMut::freeze);
                    self.pieces.push_back(Piece::Taken(message));
                    self.at = At::Unknown(BytesMut::new());
                }
                At::Unknown(held) if held.is_empty() => {
                    let ahead = rest.get(known..).unwrap_or_default();
                    if ahead.is_empty() {
                        break;
                    }
                    match find(ahead, self.variant, self.wanted) {
                        Some(Found::Other(length)) => self.at = At::Passing(PREFIX + length),
                        found => {
                            self.pass(&mut rest, &mut known);
                            let Some(Found::Wanted(length)) = found else {
                                self.at = At::Unknown(BytesMut::from(rest));
                                return;
                            };
                            rest.advance(PREFIX);
                            self.at = self.taking(length, &[]);
                        }
                    }
                }
                At::Unknown(held) => {
                    if rest.is_empty() {
                        break;
                    }
                    // First the prefix, then as much as is looked at; never more than the message has.
                    let most = length(held).map_or(PREFIX, |length| PREFIX + length.min(PEEK));
                    let missing = most.saturating_sub(held.len()).min(rest.len());
                    held.extend_from_slice(&rest.split_to(missing));
                    let Some(found) = find(held, self.variant, self.wanted) else {
                        continue;
                    };
                    let held = std::mem::take(held);
                    match found {
                        Found::Other(length) => {
                            self.at = At::Passing((PREFIX + length).saturating_sub(held.len()));
                            self.pieces.push_back(Piece::Passed(held.freeze()));
                        }
                        Found::Wanted(length) => {
                            self.at = self.taking(length, held.get(PREFIX..).unwrap_or_default());
                        }
                    }
                }
            }
        }
        self.pass(&mut rest, &mut known);
    }

    fn pass(&mut self, rest: &mut Bytes, known: &mut usize) {
        if *known > 0 {
            let passed = rest.split_to(std::mem::take(known));
            self.pieces.push_back(Piece::Passed(passed));
        }
    }

    fn taking(&self, length: usize, begun: &[u8]) -> At {
        At::Taking {
            left: length - begun.len(),
            message: (length <= self.limit).then(|| BytesMut::from(begun)),
        }
    }
}

/// The length that a prefix says.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(1..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*length)).ok()
}

/// What the message at the front of `bytes` is; `None` if too little of it is there.
fn find(bytes: &[u8], variant: Variant, wanted: &str) -> Option<Found> {
    let length = length(bytes)?;
    let body = bytes.get(PREFIX..)?;
    let body = body.get(..length).unwrap_or(body);
    let compressed = bytes.first().is_some_and(|flag| *flag != 0);
    if compressed {
        // Nothing is, because no encoding is offered to discovery.
        return Some(Found::Other(length));
    }
    match type_url(body, variant) {
        Some(found) if found == wanted.as_bytes() => Some(Found::Wanted(length)),
        Some(_) => Some(Found::Other(length)),
        None if body.len() == length || body.len() >= PEEK => Some(Found::Other(length)),
        None => None,
    }
}

/// The type URL of a response of which the first bytes are there: its own, or that of its first resource.
fn type_url(response: &[u8], variant: Variant) -> Option<&[u8]> {
    const RESOURCE: u32 = 2;
    const TYPE_URL: u32 = 4;
    for field in Fields(response) {
        match field.tag {
            TYPE_URL if field.whole => return Some(field.value),
            RESOURCE => {
                // A resource is an `Any`, whose first field is its type, or a `Resource` with an `Any` in its second.
                let any = match variant {
                    Variant::Sotw => Some(field.value),
                    Variant::Delta => Fields(field.value)
                        .find(|inner| inner.tag == 2)
                        .map(|inner| inner.value),
                };
                let url = Fields(any.unwrap_or_default()).find(|inner| inner.tag == 1);
                if let Some(url) = url.filter(|url| url.whole) {
                    return Some(url.value);
                }
            }
            _ => {}
        }
    }
    None
}

/// The texts, bytes and messages among the fields of a message that may be cut off.
struct Fields<'a>(&'a [u8]);

struct Field<'a> {
    tag: u32,
    value: &'a [u8],
    whole: bool,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        while !self.0.is_empty() {
            let (tag, wire_type) = decode_key(&mut self.0).ok()?;
            match wire_type {
                WireType::Varint => drop(decode_varint(&mut self.0).ok()?),
                WireType::SixtyFourBit => self.0 = self.0.get(8..)?,
                WireType::ThirtyTwoBit => self.0 = self.0.get(4..)?,
                WireType::LengthDelimited => {
                    let length = usize::try_from(decode_varint(&mut self.0).ok()?).ok()?;
                    let whole = length <= self.0.len();
                    let (value, rest) = self.0.split_at(length.min(self.0.len()));
                    self.0 = rest;
                    return Some(Field { tag, value, whole });
                }
                WireType::StartGroup | WireType::EndGroup => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
