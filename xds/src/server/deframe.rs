//! Cuts a request body into gRPC messages.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// The flag and the length in front of every message.
const PREFIX: usize = 5;

/// Why a request body cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Unreadable {
    #[error("a message of {length} bytes is larger than the {limit} that this server takes")]
    TooLarge { length: usize, limit: usize },
    #[error("compressed messages are not taken; send them without grpc-encoding")]
    Compressed,
    #[error("the stream ended within a message")]
    Cut,
}

/// Holds what has come of the next message, and nothing when nothing has.
///
/// A message within one frame is a slice of it. Only one that spans frames is copied, and memory grows with what has come,
/// never with the length that its prefix claims.
#[derive(Debug)]
pub(crate) struct Deframer {
    limit: usize,
    frame: Bytes,
    partial: BytesMut,
}

impl Deframer {
    /// Takes messages of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            frame: Bytes::new(),
            partial: BytesMut::new(),
        }
    }

    /// Takes the next frame; to be called only after [`Deframer::message`] had no more.
    pub(crate) fn push(&mut self, frame: Bytes) {
        debug_assert!(self.frame.is_empty(), "a frame was not used up");
        self.frame = frame;
    }

    /// The next complete message.
    pub(crate) fn message(&mut self) -> Result<Option<Bytes>, Unreadable> {
        if self.partial.is_empty()
            && let Some(length) = self.complete_length(&self.frame)?
        {
            self.frame.advance(PREFIX);
            let message = self.frame.split_to(length);
            self.release();
            return Ok(Some(message));
        }
        // First the prefix, then as much as it says.
        while !self.frame.is_empty() {
            let wanted = match length(&self.partial) {
                None => PREFIX,
                Some(_) => PREFIX + self.checked_length(&self.partial)?,
            };
            let missing = wanted
                .saturating_sub(self.partial.len())
                .min(self.frame.len());
            if missing == 0 {
                break;
            }
            self.partial
                .extend_from_slice(&self.frame.split_to(missing));
        }
        self.release();
        if self.complete_length(&self.partial)?.is_none() {
            return Ok(None);
        }
        let mut message = std::mem::take(&mut self.partial).freeze();
        message.advance(PREFIX);
        Ok(Some(message))
    }

    /// To be called at the end of the stream.
    pub(crate) fn finish(&self) -> Result<(), Unreadable> {
        if self.partial.is_empty() && self.frame.is_empty() {
            Ok(())
        } else {
            Err(Unreadable::Cut)
        }
    }

    /// The length of the message at the front of `bytes` if all of it is there.
    fn complete_length(&self, bytes: &[u8]) -> Result<Option<usize>, Unreadable> {
        if bytes.len() < PREFIX {
            return Ok(None);
        }
        let length = self.checked_length(bytes)?;
        Ok((bytes.len() - PREFIX >= length).then_some(length))
    }

    fn checked_length(&self, bytes: &[u8]) -> Result<usize, Unreadable> {
        if bytes.first().is_some_and(|flag| *flag != 0) {
            return Err(Unreadable::Compressed);
        }
        let length = length(bytes).unwrap_or_default();
        if length > self.limit {
            return Err(Unreadable::TooLarge {
                length,
                limit: self.limit,
            });
        }
        Ok(length)
    }

    /// Gives the frame's memory back once nothing of it is left.
    fn release(&mut self) {
        if self.frame.is_empty() {
            self.frame = Bytes::new();
        }
    }
}

/// The length that a prefix says.
fn length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(1..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*length)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for message in messages {
            bytes.push(0);
            bytes.extend((message.len() as u32).to_be_bytes());
            bytes.extend(message);
        }
        bytes
    }

    fn read(deframer: &mut Deframer, frame: &[u8]) -> Result<Vec<Vec<u8>>, Unreadable> {
        deframer.push(Bytes::copy_from_slice(frame));
        let mut messages = Vec::new();
        while let Some(message) = deframer.message()? {
            messages.push(message.to_vec());
        }
        Ok(messages)
    }

    proptest! {
        #[test]
        fn messages_survive_any_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in prop::collection::vec(1_usize..30, 1..20),
        ) {
            let bytes = framed(&messages);
            let mut deframer = Deframer::new(64);
            let (mut rest, mut got) = (&bytes[..], Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (frame, after) = rest.split_at((*cut).min(rest.len()));
                got.extend(read(&mut deframer, frame).unwrap());
                rest = after;
            }
            prop_assert_eq!(got, messages);
            prop_assert_eq!(deframer.finish(), Ok(()));
            prop_assert_eq!(deframer.partial.capacity(), 0, "nothing is held between messages");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let check = |frames: &[&[u8]], expected: Unreadable| {
            let mut deframer = Deframer::new(10);
            let result = frames
                .iter()
                .try_for_each(|frame| read(&mut deframer, frame).map(drop));
            assert_eq!(
                result.and_then(|()| deframer.finish()),
                Err(expected),
                "{frames:?}"
            );
        };
        let too_large = Unreadable::TooLarge {
            length: 11,
            limit: 10,
        };
        check(&[&[0, 0, 0, 0, 11]], too_large);
        check(&[&[0, 0, 0], &[0, 11]], too_large);
        check(&[&[1, 0, 0, 0, 1, 0]], Unreadable::Compressed);
        check(&[&[0, 0, 0, 0, 2, 7]], Unreadable::Cut);
        check(&[&[0]], Unreadable::Cut);
    }
}
