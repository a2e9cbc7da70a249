//! A directory on disk: which files are in it, what leads to them, and when they change. Nothing here knows what is in a
//! file.

mod content;
mod events;
mod layout;
mod links;
mod settle;

pub use content::ReadError;
pub(crate) use content::{Content, content};
pub(crate) use events::{Signals, Watches};
pub(crate) use layout::{Concern, Layout, Listing};
pub(crate) use links::places;
pub(crate) use settle::{Batch, Settling};
