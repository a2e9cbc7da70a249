//! What many proxies share, and what differs between two states of it.

mod cache;
mod content;
mod diff;
mod layer;
mod memo;
mod names;
mod payload;
mod segment;
mod set;

pub use cache::{Fanout, Work};
pub use layer::{Change, Entry, Layer};
pub use names::{Interest, NameSet};
pub use payload::Payload;
pub use set::Set;

pub(crate) use cache::Coverage;
pub(crate) use content::{Content, Exception, Has, Item, find};
pub(crate) use diff::{Diff, Fresh};
pub(crate) use segment::{Segment, Wrap, field};
