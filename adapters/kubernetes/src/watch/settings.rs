//! How patient and how frugal it is.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// How a resource is followed. The defaults are those of a healthy cluster of any size.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many objects a page of a list has at most; a server may ignore it where it answers from memory.
    pub page: u32,
    /// Whether already the first list must be as new as the store of the cluster, and not only as what the answering server knows.
    /// All later ones are.
    pub consistent: bool,
    /// Whether lists are asked for as streams.
    pub streaming: StreamingLists,
    /// Makes resources that are not served be asked for at once.
    pub poke: Poke,
    /// How long the server is asked to keep a watch open.
    pub watch: RangeInclusive<Duration>,
    /// A watch that says nothing for this long is given up and resumed on a new connection. It must be longer than the minute after
    /// which servers send bookmarks, and short, as a connection whose peer is gone shows itself by silence alone. Giving up a healthy
    /// one costs a request.
    pub silence: Duration,
    /// How long a server may take to begin an answer, the wait for its turn included where the client counts requests out.
    pub answer: Duration,
    /// How long it may pause within a list, and within a streamed one before it is taken for one that does not know such lists.
    pub pause: Duration,
    /// How long a watch must have been open to count as one that works.
    pub settled: Duration,
    /// How often a resource that is not served is asked for.
    pub absent: RangeInclusive<Duration>,
    /// The first pause after a failure, and the longest. A server that asks for a longer one gets it, up to two minutes.
    pub retry: RangeInclusive<Duration>,
    /// How many bytes an object may have. A larger one is [`Unreadable`](super::Event::Unreadable).
    pub max_object: usize,
    /// How many objects there may be. A larger list fails.
    pub max_objects: usize,
}

impl Default for Settings {
    fn default() -> Self {
        const fn seconds(from: u64, to: u64) -> RangeInclusive<Duration> {
            Duration::from_secs(from)..=Duration::from_secs(to)
        }
        Self {
            page: 500,
            consistent: false,
            streaming: StreamingLists::tried(),
            poke: Poke::default(),
            watch: seconds(300, 600),
            silence: Duration::from_secs(150),
            answer: Duration::from_secs(60),
            pause: Duration::from_secs(10),
            settled: Duration::from_secs(1),
            absent: seconds(15, 30),
            retry: Duration::from_millis(250)..=Duration::from_secs(30),
            max_object: 8 << 20,
            max_objects: 1_000_000,
        }
    }
}

/// Whether a server is asked for lists as streams. Clones share it: the first refusal holds for all who ask that server.
#[derive(Debug, Clone)]
pub struct StreamingLists(Arc<AtomicBool>);

impl StreamingLists {
    /// They are tried, until the server shows that it has none.
    pub fn tried() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// They are not tried.
    pub fn never() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    /// Whether they are tried.
    pub fn is_tried(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn refused(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Wakes those that wait for a resource to be served: something has changed in what the cluster serves. Clones wake the same ones.
#[derive(Debug, Clone, Default)]
pub struct Poke(Arc<watch::Sender<()>>);

impl Poke {
    /// Wakes them.
    pub fn poke(&self) {
        self.0.send_replace(());
    }

    pub(super) fn listen(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}
