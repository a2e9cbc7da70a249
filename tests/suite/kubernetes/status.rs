//! What discovery says of rules, in the status of their objects.

mod beside;
mod replicas;
pub(super) mod setting;
mod told;
