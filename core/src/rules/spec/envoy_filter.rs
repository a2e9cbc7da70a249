//! `EnvoyFilter`: a change of what Envoy gets, in Envoy's own words.

use serde::Serialize;
use serde_json::Value;

use super::{Decode, object};
use crate::rules::at::At;

/// A change of what Envoy gets, in Envoy's own words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvoyFilter {}

impl Decode for EnvoyFilter {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |_| Self {})
    }
}
