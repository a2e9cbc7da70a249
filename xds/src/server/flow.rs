//! Whether a client takes what is sent to it.
//!
//! HTTP/2 may hold a response in three places where the stream itself is not asked again: waiting for the first byte of window,
//! queued behind a window that stays shut, or behind a socket that takes nothing. All three look the same from here: bytes were
//! handed over and none of them moves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Counts the bytes of one stream.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    handed: AtomicU64,
    written: AtomicU64,
}

impl Flow {
    /// So many bytes were handed to HTTP/2.
    pub(crate) fn hand(&self, bytes: usize) {
        self.handed.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So many of them went to the socket.
    pub(crate) fn write(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All bytes that were handed over.
    pub(crate) fn handed(&self) -> u64 {
        self.handed.load(Ordering::Relaxed)
    }
}

/// Looks at a [`Flow`] now and then, and remembers since when it has not moved.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    written: u64,
    still_since: Option<Instant>,
}

impl Watch {
    /// How long bytes have been waiting without one of them moving.
    pub(crate) fn stalled(&mut self, flow: &Flow, now: Instant) -> Duration {
        let written = flow.written.load(Ordering::Relaxed);
        let moved = std::mem::replace(&mut self.written, written) != written;
        if written >= flow.handed() {
            self.still_since = None;
            return Duration::ZERO;
        }
        if moved {
            self.still_since = Some(now);
        }
        now.saturating_duration_since(*self.still_since.get_or_insert(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_bytes_that_do_not_move_are_a_stall() {
        let (flow, mut watch, start) = (Flow::default(), Watch::default(), Instant::now());
        let mut stalled_after = |flow: &Flow, seconds: u64| {
            watch
                .stalled(flow, start + Duration::from_secs(seconds))
                .as_secs()
        };
        assert_eq!(stalled_after(&flow, 100), 0, "nothing to send");
        flow.hand(10);
        assert_eq!(stalled_after(&flow, 110), 0, "seen for the first time");
        assert_eq!(stalled_after(&flow, 115), 5);
        flow.write(1);
        assert_eq!(stalled_after(&flow, 120), 0, "one byte moved");
        assert_eq!(stalled_after(&flow, 150), 30);
        flow.write(9);
        assert_eq!(stalled_after(&flow, 151), 0, "all are gone");
        flow.hand(5);
        assert_eq!(
            stalled_after(&flow, 200),
            0,
            "the next ones have their own time"
        );
        assert_eq!(stalled_after(&flow, 201), 1);
    }
}
