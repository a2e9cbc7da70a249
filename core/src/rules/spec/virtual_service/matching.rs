//! Which requests a route is for.

use serde::Serialize;
use serde_json::Value;

use crate::model::{ByName, Labels};
use crate::rules::at::At;
use crate::rules::spec::{Decode, object};

/// Requests of one kind: everything that is said has to fit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HttpMatch {
    /// What its author calls it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The path, without the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<StringMatch>,
    /// `http` or `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<StringMatch>,
    /// The method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<StringMatch>,
    /// The host, with the port if the client writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<StringMatch>,
    /// Headers; one of which nothing is said has to be there.
    #[serde(skip_serializing_if = "ByName::is_empty")]
    pub headers: ByName<StringMatch>,
    /// The port that the client asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u32>,
    /// The client's labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub source_labels: Labels,
    /// Where it is in force, in place of what the rule as a whole says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// Parameters of the query.
    #[serde(skip_serializing_if = "ByName::is_empty")]
    pub query_params: ByName<StringMatch>,
    /// Whether the case of the path does not count.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_uri_case: bool,
    /// Headers that must not be like this.
    #[serde(skip_serializing_if = "ByName::is_empty")]
    pub without_headers: ByName<StringMatch>,
    /// The client's namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source_namespace: String,
    /// The prefix of statistics about these requests.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stat_prefix: String,
}

/// How a text has to be: one of these, or nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StringMatch {
    /// Equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// Begin like this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// As a whole like this regular expression (RE2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
}

impl Decode for HttpMatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
            uri: f.get("uri"),
            scheme: f.get("scheme"),
            method: f.get("method"),
            authority: f.get("authority"),
            headers: f.get("headers"),
            port: f.get("port"),
            source_labels: f.get("sourceLabels"),
            gateways: f.get("gateways"),
            query_params: f.get("queryParams"),
            ignore_uri_case: f.get("ignoreUriCase"),
            without_headers: f.get("withoutHeaders"),
            source_namespace: f.get("sourceNamespace"),
            stat_prefix: f.get("statPrefix"),
        })
    }
}

impl Decode for StringMatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            exact: f.get("exact"),
            prefix: f.get("prefix"),
            regex: f.get("regex"),
        })
    }
}
