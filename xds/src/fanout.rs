//! What many proxies share, and what differs between two states of it.

mod cache;
mod layer;
mod names;
mod payload;
mod set;

pub use cache::Fanout;
pub use layer::{Change, Entry, Layer};
pub use names::NameSet;
pub use payload::Payload;
pub use set::Set;
