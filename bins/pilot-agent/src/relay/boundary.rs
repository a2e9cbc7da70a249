//! Where one gRPC message ends and the next begins.

use super::sieve::{PREFIX, length};

/// Follows a stream of gRPC messages that passes in pieces.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    prefix: [u8; PREFIX],
    /// So much of the prefix has passed.
    passed: usize,
    /// Bytes of the message after the prefix that have yet to pass.
    left: usize,
    messages: u64,
}

impl Boundary {
    /// Whether the next byte begins a message.
    pub(super) fn reached(&self) -> bool {
        self.passed == 0
    }

    /// Whole messages that have passed.
    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    /// Lets the bytes up to the end of this message pass, or all of them; says how many.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        if self.passed < PREFIX {
            for (to, from) in self.prefix.iter_mut().skip(self.passed).zip(bytes) {
                *to = *from;
                done += 1;
            }
            self.passed += done;
            if self.passed < PREFIX {
                return done;
            }
            self.left = length(&self.prefix).unwrap_or_default();
        }
        let here = self.left.min(bytes.len() - done);
        self.left -= here;
        if self.left == 0 {
            self.passed = 0;
            self.messages += 1;
        }
        done + here
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn boundaries_are_where_messages_end(
            lengths in prop::collection::vec(0_usize..40, 0..8),
            cuts in prop::collection::vec(1_usize..30, 1..20),
        ) {
            let (mut stream, mut ends) = (Vec::new(), Vec::new());
            for length in &lengths {
                stream.push(0);
                stream.extend(u32::try_from(*length).unwrap().to_be_bytes());
                stream.extend(vec![7; *length]);
                ends.push(stream.len());
            }
            let (mut boundary, mut at, mut found) = (Boundary::default(), 0, Vec::new());
            for cut in cuts.iter().cycle() {
                if at == stream.len() {
                    break;
                }
                let end = stream.len().min(at + cut);
                at += boundary.advance(&stream[at..end]);
                if boundary.reached() {
                    found.push(at);
                }
            }
            prop_assert_eq!(boundary.messages(), ends.len() as u64);
            prop_assert_eq!(found, ends);
        }
    }
}
