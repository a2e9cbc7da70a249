//! `Gateway`: what a router listens on.

use serde::Serialize;
use serde_json::Value;

use super::{Decode, object};
use crate::rules::at::At;

/// What a router listens on, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {}

impl Decode for Gateway {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |_| Self {})
    }
}
