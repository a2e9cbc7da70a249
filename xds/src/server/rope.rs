//! One gRPC message as HTTP/2 sends it: a small head of its own and bytes that are shared with everybody who is sent the same.
//! Nothing is joined or copied; the socket takes the pieces in vectored writes.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use super::connections::Live;
use crate::fanout::Payload;
use crate::protocol::Response;

/// The flag and the length in front of a gRPC message.
const PREFIX: usize = 5;

/// The data of a response body.
#[derive(Debug)]
pub(crate) struct Rope {
    prefix: [u8; PREFIX],
    prefix_at: usize,
    head: Bytes,
    parts: Payload,
    /// The piece, the block in it and the byte in that which come next.
    at: (usize, usize, usize),
    remaining: usize,
    sent: Option<Sent>,
}

/// Who is told how the sending goes.
#[derive(Debug)]
struct Sent {
    live: Arc<Live>,
    since: Instant,
    time: Histogram,
}

impl Rope {
    /// The message of this response; the stream is told of every byte that goes out, and `time` how long
    /// they took.
    pub(crate) fn new(
        response: Response,
        live: &Arc<Live>,
        time: &Histogram,
        now: Instant,
    ) -> Self {
        let mut rope = Self::untold(response.head, response.parts);
        live.flow.hand(rope.remaining);
        rope.sent = Some(Sent {
            live: Arc::clone(live),
            since: now,
            time: time.clone(),
        });
        rope
    }

    fn untold(head: Bytes, parts: Payload) -> Self {
        let length = head.len() + parts.byte_len();
        // A message of 4 GiB cannot be said in gRPC; no set of resources comes near it.
        let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        Self {
            prefix: [0, a, b, c, d],
            prefix_at: 0,
            head,
            parts,
            at: (0, 0, 0),
            remaining: PREFIX + length,
            sent: None,
        }
    }

    fn prefix(&self) -> &[u8] {
        self.prefix.get(self.prefix_at..).unwrap_or_default()
    }

    /// What is left of the shared blocks, the first one perhaps in part; never an empty one.
    fn blocks(&self) -> impl Iterator<Item = &[u8]> {
        let (piece, block, byte) = self.at;
        let pieces = self.parts.pieces().get(piece..).unwrap_or_default();
        let blocks = pieces.iter().enumerate().flat_map(move |(n, piece)| {
            piece
                .get(if n == 0 { block } else { 0 }..)
                .unwrap_or_default()
        });
        blocks
            .enumerate()
            .map(move |(n, block)| {
                block
                    .get(if n == 0 { byte } else { 0 }..)
                    .unwrap_or_default()
            })
            .filter(|block| !block.is_empty())
    }

    fn advance_blocks(&mut self, mut count: usize) {
        let (mut piece, mut block, mut byte) = self.at;
        while let Some(blocks) = self.parts.pieces().get(piece) {
            match blocks.get(block) {
                Some(bytes) if count < bytes.len() - byte => {
                    byte += count;
                    break;
                }
                Some(bytes) => {
                    count -= bytes.len() - byte;
                    (block, byte) = (block + 1, 0);
                }
                None => (piece, block) = (piece + 1, 0),
            }
        }
        self.at = (piece, block, byte);
    }
}

impl Buf for Rope {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        if !self.prefix().is_empty() {
            self.prefix()
        } else if !self.head.is_empty() {
            &self.head
        } else {
            self.blocks().next().unwrap_or_default()
        }
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        let chunks = [self.prefix(), &self.head]
            .into_iter()
            .filter(|chunk| !chunk.is_empty())
            .chain(self.blocks());
        dst.iter_mut()
            .zip(chunks)
            .map(|(slot, chunk)| *slot = IoSlice::new(chunk))
            .count()
    }

    fn advance(&mut self, count: usize) {
        let count = count.min(self.remaining);
        self.remaining -= count;
        let prefix = count.min(self.prefix().len());
        self.prefix_at += prefix;
        let head = (count - prefix).min(self.head.len());
        self.head.advance(head);
        self.advance_blocks(count - prefix - head);
        if let Some(sent) = &self.sent {
            sent.live.flow.write(count);
            if self.remaining == 0 {
                sent.time.observe(sent.since.elapsed().as_secs_f64());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rope(head: &[u8], pieces: &[Vec<Vec<u8>>]) -> (Rope, Vec<u8>) {
        let mut parts = Payload::default();
        for piece in pieces {
            parts.push(
                piece
                    .iter()
                    .map(|block| Bytes::copy_from_slice(block))
                    .collect::<Arc<[Bytes]>>(),
            );
        }
        let message = [head, &pieces.concat().concat()].concat();
        let mut expected = vec![0_u8];
        expected.extend((message.len() as u32).to_be_bytes());
        expected.extend(message);
        (Rope::untold(Bytes::copy_from_slice(head), parts), expected)
    }

    proptest! {
        #[test]
        fn every_way_to_read_it_gives_the_message(
            head in prop::collection::vec(any::<u8>(), 0..10),
            pieces in prop::collection::vec(
                prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..5), 0..5),
            steps in prop::collection::vec((1_usize..12, 1_usize..8), 1..30),
        ) {
            let (mut rope, expected) = rope(&head, &pieces);
            let mut read: Vec<u8> = Vec::new();
            for (step, slots) in steps.iter().cycle() {
                prop_assert_eq!(rope.remaining(), expected.len() - read.len());
                if rope.remaining() == 0 {
                    break;
                }
                prop_assert!(!rope.chunk().is_empty());
                let mut slices = [IoSlice::new(&[]); 8];
                let count = rope.chunks_vectored(&mut slices[..*slots]);
                prop_assert_eq!(&*slices[0], rope.chunk());
                let seen: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                let step = (*step).min(seen.len());
                read.extend(&seen[..step]);
                rope.advance(step);
            }
            prop_assert_eq!(read, expected);
            prop_assert!(rope.chunk().is_empty());
        }
    }
}
