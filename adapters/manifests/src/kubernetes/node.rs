//! `Node`: where the pods on it are.

use std::sync::Arc;

use pilothouse_core::model::Node;
use pilothouse_core::registry::{Meta, Value};

use super::{Said, topology};

/// Everything that counts is in its labels.
pub(super) fn read(meta: &Meta) -> Said {
    Said::value(Value::Node(Node {
        name: Arc::clone(&meta.key.name),
        locality: topology::of_node(&meta.labels),
    }))
}
