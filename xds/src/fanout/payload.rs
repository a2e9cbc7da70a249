//! Encoded resources of a response, shared by all who are sent the same.

use std::sync::Arc;

use bytes::Bytes;

/// Encoded field-2 entries of a response in contiguous blocks; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    pieces: Vec<Arc<[Bytes]>>,
    len: usize,
}

impl Payload {
    /// The blocks in order.
    pub fn blocks(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    /// The blocks, as they were added: for readers that keep their place by index.
    pub(crate) fn pieces(&self) -> &[Arc<[Bytes]>] {
        &self.pieces
    }

    /// Their length together.
    pub fn byte_len(&self) -> usize {
        self.len
    }

    /// Adds blocks at the end.
    pub(crate) fn push(&mut self, piece: Arc<[Bytes]>) {
        self.len += piece.iter().map(Bytes::len).sum::<usize>();
        self.pieces.push(piece);
    }
}
