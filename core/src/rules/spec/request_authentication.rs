//! `RequestAuthentication`: which tokens requests may bear.

use serde::Serialize;
use serde_json::Value;

use super::{Decode, object};
use crate::rules::at::At;

/// Which tokens requests may bear.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestAuthentication {}

impl Decode for RequestAuthentication {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |_| Self {})
    }
}
