//! What becomes of requests that do not simply go to a service.

use serde::Serialize;
use serde_json::Value;

use crate::rules::at::At;
use crate::rules::spec::{Decode, object, one_of};

/// Where clients are sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Redirect {
    /// The new path; `%PREFIX()%/…`: what replaces the matched prefix. Empty: the same.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uri: String,
    /// The new host. Empty: the same.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub authority: String,
    /// The new port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u32>,
    /// Where the new port comes from, if it is not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub derive_port: Option<DerivePort>,
    /// `http` or `https`. Empty: the same.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scheme: String,
    /// The status. 0: 301.
    #[serde(skip_serializing_if = "super::http::is_zero")]
    pub redirect_code: u32,
}

/// Where the port of a redirect comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DerivePort {
    /// It is the standard port of the new scheme.
    #[default]
    FromProtocolDefault,
    /// It is the port that the request came to.
    FromRequestPort,
}

/// An answer by the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DirectResponse {
    /// The status.
    pub status: u32,
    /// The body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<ResponseBody>,
}

/// The body of an answer: one of these.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResponseBody {
    /// A text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string: Option<String>,
    /// Any bytes, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
}

/// Another rule, without hosts, that says what becomes of requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delegate {
    /// Its name.
    pub name: String,
    /// Its namespace. Empty: that of the rule that delegates.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// What of a request is changed before it is sent on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Rewrite {
    /// The path, or the part of it that the match's prefix covers.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uri: String,
    /// The host.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub authority: String,
    /// What of the path is replaced, if it is not `uri` that says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri_regex_rewrite: Option<RegexRewrite>,
}

/// What a regular expression finds in a path, and what replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RegexRewrite {
    /// The expression (RE2).
    #[serde(rename = "match")]
    pub pattern: String,
    /// What replaces it, with `\1` for groups.
    pub rewrite: String,
}

impl Decode for Redirect {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            uri: f.get("uri"),
            authority: f.get("authority"),
            port: f.get("port"),
            derive_port: f.get("derivePort"),
            scheme: f.get("scheme"),
            redirect_code: f.get("redirectCode"),
        })
    }
}

impl Decode for DerivePort {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("FROM_PROTOCOL_DEFAULT", 0, Self::FromProtocolDefault),
            ("FROM_REQUEST_PORT", 1, Self::FromRequestPort),
        ];
        one_of(value, at, &all)
    }
}

impl Decode for DirectResponse {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            status: f.get("status"),
            body: f.get("body"),
        })
    }
}

impl Decode for ResponseBody {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            string: f.get("string"),
            bytes: f.get("bytes"),
        })
    }
}

impl Decode for Delegate {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
            namespace: f.get("namespace"),
        })
    }
}

impl Decode for Rewrite {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            uri: f.get("uri"),
            authority: f.get("authority"),
            uri_regex_rewrite: f.get("uriRegexRewrite"),
        })
    }
}

impl Decode for RegexRewrite {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            pattern: f.get("match"),
            rewrite: f.get("rewrite"),
        })
    }
}
