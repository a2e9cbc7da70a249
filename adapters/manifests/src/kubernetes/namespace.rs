//! `Namespace`.

use pilothouse_core::model::Namespace;
use pilothouse_core::registry::{Meta, Value};

use super::Said;
use super::topology::NETWORK;

/// Everything that counts is in its labels.
pub(super) fn read(meta: &Meta) -> Said {
    Said::value(Value::Namespace(Namespace {
        name: (&*meta.key.name).into(),
        labels: meta.labels.clone(),
        network: meta.labels.get(NETWORK).map(Into::into),
    }))
}
