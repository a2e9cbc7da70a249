//! When an endpoint is left out for a while.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::rules::at::At;
use crate::rules::spec::{Decode, object, seconds_of};

/// When an endpoint is left out, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OutlierDetection {
    /// The old form of `consecutive_gateway_errors`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_errors: Option<u32>,
    /// Whether failures to connect are counted apart.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub split_external_local_origin_errors: bool,
    /// How many failures to connect in a row are too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_local_origin_failures: Option<u32>,
    /// How many answers 502, 503 and 504 in a row are too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_gateway_errors: Option<u32>,
    /// How many answers 5xx in a row are too many.
    #[serde(rename = "consecutive5xxErrors")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_5xx_errors: Option<u32>,
    /// How often it is looked at who may come back.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub interval: Option<Duration>,
    /// How long an endpoint is left out the first time.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub base_ejection_time: Option<Duration>,
    /// How many endpoints may be left out, in percent; 0: 10.
    pub max_ejection_percent: u32,
    /// Below how many healthy endpoints, in percent, all are used.
    pub min_health_percent: u32,
}

impl Decode for OutlierDetection {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            consecutive_errors: f.get("consecutiveErrors"),
            split_external_local_origin_errors: f.get("splitExternalLocalOriginErrors"),
            consecutive_local_origin_failures: f.get("consecutiveLocalOriginFailures"),
            consecutive_gateway_errors: f.get("consecutiveGatewayErrors"),
            consecutive_5xx_errors: f.get("consecutive5xxErrors"),
            interval: f.get("interval"),
            base_ejection_time: f.get("baseEjectionTime"),
            max_ejection_percent: f.get("maxEjectionPercent"),
            min_health_percent: f.get("minHealthPercent"),
        })
    }
}
