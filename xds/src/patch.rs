//! Patches: what `EnvoyFilter`s change of what has been translated, in Envoy's own words.
//!
//! [`Patches`] is what a proxy's selection holds of them: part of the key of whatever they may change. `apply` changes one
//! message, `added` makes those that are there for a patch's sake alone. Both are functions of their arguments: a message that
//! no patch changes stays what it is, and a patch that cannot be carried out leaves everything as it was.
//!
//! What is done, in which order, and what a merge means follows Istio. It is better where Istio's outcome would be refused by
//! Envoy or surprises: a filter that is added comes before the one that ends its chain; a flag or number that a patch states takes
//! effect even where it is false or zero, if Envoy's type tells that from absence; what a patch says within an `Any` is merged into
//! what is there if both have the same type.

mod added;
mod apply;
mod chosen;
mod cluster;
mod decode;
mod extensions;
mod filters;
mod list;
mod listener;
mod matching;
mod merge;
mod outcome;
mod route;
#[cfg(test)]
mod tests;
mod uses;

pub(crate) use added::added;
pub(crate) use apply::apply;
pub use chosen::{Chosen, Patches};
pub use decode::check;
pub(crate) use decode::{Decoded, Decoder};
pub(crate) use outcome::{Outcome, Outcomes, Telling};
