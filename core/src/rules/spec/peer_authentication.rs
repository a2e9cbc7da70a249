//! `PeerAuthentication`: what workloads demand of their clients' connections.

use serde::Serialize;
use serde_json::Value;

use super::{Decode, object};
use crate::rules::at::At;

/// What workloads demand of their clients' connections.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerAuthentication {}

impl Decode for PeerAuthentication {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |_| Self {})
    }
}
