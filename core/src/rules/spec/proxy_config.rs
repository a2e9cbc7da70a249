//! `ProxyConfig`: how proxies are started.

use serde::Serialize;
use serde_json::Value;

use super::destination_rule::MatchLabels;
use super::{Decode, object};
use crate::model::Labels;
use crate::rules::at::At;

/// How proxies are started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProxyConfigRule {
    /// The workloads whose proxies it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<MatchLabels>,
    /// Envoy's worker threads; 0: as many as cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// What the agent finds in its environment.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub environment_variables: Labels,
    /// The image that the proxy is started from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ProxyImage>,
}

/// An image of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProxyImage {
    /// Such as `distroless`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image_type: String,
}

impl Decode for ProxyConfigRule {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            selector: f.get("selector"),
            concurrency: f.get("concurrency"),
            environment_variables: f.get("environmentVariables"),
            image: f.get("image"),
        })
    }
}

impl Decode for ProxyImage {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            image_type: f.get("imageType"),
        })
    }
}
