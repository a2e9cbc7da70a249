//! What the server needs of the rest: somebody who has snapshots, and somebody who wants to know.

use std::sync::Arc;
use std::task::Waker;

use pilothouse_core::model::Proxy;
use thiserror::Error;

use crate::protocol::{Interest, Refused, Settled};
use crate::resource::ResourceType;
use crate::snapshot::Snapshot;

/// Who has the snapshots: the publisher.
pub trait Source: Send + Sync + 'static {
    /// Attaches a stream of this proxy. Called once for a stream, before anything is sent on it.
    fn connect(&self, proxy: Arc<Proxy>) -> Result<Box<dyn Attachment>, NotReady>;
}

/// One stream's place at the [`Source`]; dropping it detaches the stream.
///
/// None of these may block for long: they are called from the task that serves the stream.
pub trait Attachment: Send + Sync + 'static {
    /// The newest snapshot of the proxy; `None` until there is one.
    fn current(&self) -> Option<Arc<Snapshot>>;

    /// Wakes `waker`, once, when [`Attachment::current`] has become another one that concerns what is asked for. It replaces
    /// the one registered before. The stream registers first and looks then, so that no change is missed.
    fn register(&self, waker: &Waker);

    /// The stream asks for this of a type from here on. May be called though nothing has changed.
    fn regroup(&self, resource_type: ResourceType, interest: Interest);
}

/// Nothing may be served yet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not ready: {waiting_for}")]
pub struct NotReady {
    /// What is waited for.
    pub waiting_for: String,
}

/// Who wants to know how streams fare. Everything is called from the task that serves the stream: be short.
pub trait Observer: Send + Sync + 'static {
    /// A proxy has said who it is.
    fn connected(&self, stream: &StreamId) {
        let _ = stream;
    }

    /// What the client of this stream refuses of what it is to have has become this, possibly nothing.
    fn refused(&self, stream: &StreamId, resource_type: ResourceType, refused: &[Refused]) {
        let _ = (stream, resource_type, refused);
    }

    /// Everything of a snapshot is with the client.
    fn settled(&self, stream: &StreamId, settled: Settled) {
        let _ = (stream, settled);
    }

    /// The stream has ended, and with it what it refused.
    fn disconnected(&self, stream: &StreamId) {
        let _ = stream;
    }
}

/// Does not want to know.
impl Observer for () {}

/// A stream and its proxy.
#[derive(Debug, Clone)]
pub struct StreamId {
    /// Tells streams of one proxy apart: its node id and a number.
    pub name: Arc<str>,
    /// The proxy.
    pub proxy: Arc<Proxy>,
}
