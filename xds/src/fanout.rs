//! What many proxies share, and what differs between two states of it.

mod layer;
mod set;

pub use layer::{Change, Entry, Layer};
pub use set::Set;
