//! `WasmPlugin` and `TrafficExtension`: what runs inside a proxy. Nothing here carries them out, so that they are kept as
//! written and not looked into.

use serde::Serialize;
use serde_json::Value;

use super::{Decode, object};
use crate::rules::at::At;

/// What runs inside a proxy, as written.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ProxyExtension {
    /// All of it.
    pub spec: Value,
}

impl Decode for ProxyExtension {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| {
            f.all();
            Self {
                spec: value.clone(),
            }
        })
    }
}
