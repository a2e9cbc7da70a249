//! gRPC messages out of a byte stream, one top-level field at a time.
//!
//! A response of megabytes is never put together: a field is handed on from the buffer that it was read into, and only one that the buffer cuts
//! is copied.

use anyhow::{Result, bail, ensure};
use prost::encoding::decode_varint;

/// What the stream consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A bytes field of the message under way.
    Field(u32, &'a [u8]),
    /// The message is complete.
    End,
}

/// How far the stream has come.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// The beginning of an element that has not come whole, and how long it must be before looking again makes sense.
    partial: Vec<u8>,
    needed: usize,
    /// What is missing of the message under way; `None` between messages.
    left: Option<usize>,
}

/// The next element of the stream, if it has come whole.
enum Element<'a> {
    /// The prefix of a message of this length.
    Prefix(usize),
    /// A field and how long it is on the wire; its value if that is bytes.
    Field(usize, Option<(u32, &'a [u8])>),
    /// It needs so many bytes at least.
    Needs(usize),
}

const PREFIX: usize = 5;

impl Messages {
    /// Takes the next bytes.
    pub(crate) fn feed(
        &mut self,
        mut input: &[u8],
        mut take: impl FnMut(Piece<'_>) -> Result<()>,
    ) -> Result<()> {
        while !input.is_empty() {
            if self.partial.is_empty() {
                let consumed = self.advance(input, &mut take)?;
                input = input.get(consumed..).unwrap_or_default();
                if consumed == 0 {
                    self.partial.extend_from_slice(input);
                    return Ok(());
                }
            } else {
                let missing = self
                    .needed
                    .saturating_sub(self.partial.len())
                    .min(input.len());
                let (more, rest) = input.split_at(missing);
                self.partial.extend_from_slice(more);
                input = rest;
                if self.partial.len() >= self.needed {
                    let partial = std::mem::take(&mut self.partial);
                    // It has exactly what was needed: all of it is consumed, or more is needed.
                    if self.advance(&partial, &mut take)? == 0 {
                        self.partial = partial;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes one element off the front of `input` and says how long it was; 0 when it is incomplete, then `needed` is set.
    fn advance(
        &mut self,
        input: &[u8],
        take: &mut impl FnMut(Piece<'_>) -> Result<()>,
    ) -> Result<usize> {
        let (consumed, left) = match element(self.left, input)? {
            Element::Needs(length) => {
                self.needed = length;
                return Ok(0);
            }
            Element::Prefix(length) => (PREFIX, length),
            Element::Field(length, field) => {
                if let Some((tag, value)) = field {
                    take(Piece::Field(tag, value))?;
                }
                (length, self.left.unwrap_or_default() - length)
            }
        };
        self.left = (left > 0).then_some(left);
        if left == 0 {
            take(Piece::End)?;
        }
        Ok(consumed)
    }
}

fn element(left: Option<usize>, input: &[u8]) -> Result<Element<'_>> {
    let Some(left) = left else {
        let Some((&[compressed, a, b, c, d], _)) = input.split_first_chunk() else {
            return Ok(Element::Needs(PREFIX));
        };
        ensure!(
            compressed == 0,
            "the server compresses its messages, which this client does not read"
        );
        return Ok(Element::Prefix(u32::from_be_bytes([a, b, c, d]) as usize));
    };
    let input = input.get(..left).unwrap_or(input);
    let mut rest = input;
    let (Some(key), Some(number)) = (varint(&mut rest)?, varint(&mut rest)?) else {
        ensure!(input.len() < left, "a message ends within a field");
        return Ok(Element::Needs(input.len() + 1));
    };
    let head = input.len() - rest.len();
    match key & 7 {
        0 => Ok(Element::Field(head, None)),
        2 => {
            let length = head.saturating_add(usize::try_from(number)?);
            ensure!(length <= left, "a field is longer than its message");
            let tag = u32::try_from(key >> 3)?;
            Ok(match input.get(head..length) {
                Some(value) => Element::Field(length, Some((tag, value))),
                None => Element::Needs(length),
            })
        }
        other => bail!("a field of wire type {other} in a discovery response"),
    }
}

/// A number off the front; `None` when it has not come whole.
fn varint(input: &mut &[u8]) -> Result<Option<u64>> {
    let whole = input.iter().take(10).any(|byte| byte & 0x80 == 0);
    if whole || input.len() >= 10 {
        Ok(Some(decode_varint(input)?))
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::put;

    /// Feeds one stream in pieces of every size.
    fn check(stream: &[u8], expected: &[Option<(u32, Vec<u8>)>]) {
        for size in 1..=stream.len() {
            let (mut messages, mut seen) = (Messages::default(), Vec::new());
            for piece in stream.chunks(size) {
                let take = |piece: Piece<'_>| {
                    seen.push(match piece {
                        Piece::Field(tag, value) => Some((tag, value.to_vec())),
                        Piece::End => None,
                    });
                    Ok(())
                };
                messages.feed(piece, take).unwrap();
            }
            assert_eq!(seen, expected, "pieces of {size}");
        }
    }

    fn message(body: &[u8]) -> Vec<u8> {
        let mut message = vec![0];
        message.extend_from_slice(&(body.len() as u32).to_be_bytes());
        message.extend_from_slice(body);
        message
    }

    #[test]
    fn fields_come_out_whatever_the_pieces() {
        let mut body = Vec::new();
        put(4, b"type", &mut body);
        // A number is passed over.
        body.extend_from_slice(&[9 << 3, 0xac, 0x02]);
        put(2, &[5; 300], &mut body);
        let stream = [message(&body), message(b""), message(&[0x0a, 0])].concat();
        check(
            &stream,
            &[
                Some((4, b"type".to_vec())),
                Some((2, vec![5; 300])),
                None,
                None,
                Some((1, Vec::new())),
                None,
            ],
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for body in [&[0x0a, 9][..], &[0x0b, 0], &[0x80], &[0xff; 12]] {
            assert!(
                Messages::default()
                    .feed(&message(body), |_| Ok(()))
                    .is_err(),
                "{body:?}"
            );
        }
    }
}
