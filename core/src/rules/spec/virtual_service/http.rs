//! Routes of HTTP requests.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::{
    Cors, Delegate, Destination, DirectResponse, Fault, HttpMatch, Mirror, Percent, Redirect,
    Retries, Rewrite,
};
use crate::model::ByName;
use crate::rules::at::At;
use crate::rules::spec::{Decode, object, seconds_of};

/// What becomes of requests of one kind: one of `route`, `redirect`, `direct_response` and `delegate`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HttpRoute {
    /// What its author calls it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The requests that it is for: any of these. None: all.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<HttpMatch>,
    /// Where they go, in proportion to the weights.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<HttpDestination>,
    /// Where their clients are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
    /// What the proxy itself answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct_response: Option<DirectResponse>,
    /// Which other rule says what becomes of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegate: Option<Delegate>,
    /// What of them is changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// How long they may take; zero and missing: for ever.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub timeout: Option<Duration>,
    /// How failed ones are tried again. Missing: as the mesh does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// What goes wrong on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// Who gets a copy of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Destination>,
    /// Who gets copies of them, if several do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Mirror>,
    /// The old form of `mirror_percentage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror_percent: Option<u32>,
    /// Of how many `mirror` gets a copy. Missing: of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror_percentage: Option<Percent>,
    /// What browsers may do from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors_policy: Option<Cors>,
    /// What of headers is changed, whatever the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers>,
}

/// Where some requests go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HttpDestination {
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    /// Their share, in proportion to all weights of the route.
    #[serde(skip_serializing_if = "is_zero")]
    pub weight: u32,
    /// What of headers is changed for this destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers>,
}

/// What of headers is changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Headers {
    /// Of requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<HeaderOperations>,
    /// Of responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<HeaderOperations>,
}

/// Changes of headers, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeaderOperations {
    /// They get this value in place of what they have.
    #[serde(skip_serializing_if = "ByName::is_empty")]
    pub set: ByName<String>,
    /// They get this value besides what they have.
    #[serde(skip_serializing_if = "ByName::is_empty")]
    pub add: ByName<String>,
    /// They are taken away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference to the field"
)]
pub(super) fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Decode for HttpRoute {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
            matches: f.get("match"),
            route: f.get("route"),
            redirect: f.get("redirect"),
            direct_response: f.get("directResponse"),
            delegate: f.get("delegate"),
            rewrite: f.get("rewrite"),
            timeout: f.get("timeout"),
            retries: f.get("retries"),
            fault: f.get("fault"),
            mirror: f.get("mirror"),
            mirrors: f.get("mirrors"),
            mirror_percent: f.get("mirrorPercent"),
            mirror_percentage: f.get("mirrorPercentage"),
            cors_policy: f.get("corsPolicy"),
            headers: f.get("headers"),
        })
    }
}

impl Decode for HttpDestination {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            destination: f.get("destination"),
            weight: f.get("weight"),
            headers: f.get("headers"),
        })
    }
}

impl Decode for Headers {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            request: f.get("request"),
            response: f.get("response"),
        })
    }
}

impl Decode for HeaderOperations {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            set: f.get("set"),
            add: f.get("add"),
            remove: f.get("remove"),
        })
    }
}
