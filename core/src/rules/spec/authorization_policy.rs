//! `AuthorizationPolicy`: who may ask workloads for what.

use serde::Serialize;
use serde_json::Value;

use super::{Decode, object};
use crate::rules::at::At;

/// Who may ask workloads for what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationPolicy {}

impl Decode for AuthorizationPolicy {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |_| Self {})
    }
}
