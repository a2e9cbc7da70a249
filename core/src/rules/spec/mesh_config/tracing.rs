//! What mesh config says of spans (`defaultConfig.tracing`), and the tags of spans wherever they are written.

use serde::Serialize;
use serde_json::Value;

use super::known_by_istio;
use crate::model::ByName;
use crate::rules::at::At;
use crate::rules::spec::{Decode, Double};

/// What mesh config says of spans.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tracing {
    /// A collector.
    pub zipkin: Option<ZipkinAddress>,
    /// How many requests are traced, in percent.
    pub sampling: Option<Double>,
    /// Tags of every span.
    pub custom_tags: ByName<CustomTag>,
    /// How much of a path is kept; 0 for Envoy's default.
    pub max_path_tag_length: u32,
}

/// Where a collector is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ZipkinAddress {
    /// `host:port`.
    pub address: String,
}

/// The value of a span's tag: one of these.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CustomTag {
    /// As it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub literal: Option<Literal>,
    /// A variable of Envoy's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Lookup>,
    /// A header of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Lookup>,
    /// A format of Envoy's operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatter: Option<Literal>,
}

/// A text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Literal {
    /// The text.
    pub value: String,
}

/// Something that is looked up by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Lookup {
    /// Its name.
    pub name: String,
    /// What stands for it where it is missing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub default_value: String,
}

impl Decode for Tracing {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        const WITHOUT_EFFECT: &[&str] = &[
            "datadog",
            "enableIstioTags",
            "lightstep",
            "openCensusAgent",
            "stackdriver",
            "tlsSettings",
        ];
        known_by_istio(value, at, WITHOUT_EFFECT, |f| Self {
            zipkin: f.get("zipkin"),
            sampling: f.get("sampling"),
            custom_tags: f.get("customTags"),
            max_path_tag_length: f.get("maxPathTagLength"),
        })
    }
}

impl Decode for ZipkinAddress {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |f| Self {
            address: f.get("address"),
        })
    }
}

impl Decode for CustomTag {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |f| Self {
            literal: f.get("literal"),
            environment: f.get("environment"),
            header: f.get("header"),
            formatter: f.get("formatter"),
        })
    }
}

impl Decode for Literal {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |f| Self {
            value: f.get("value"),
        })
    }
}

impl Decode for Lookup {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |f| Self {
            name: f.get("name"),
            default_value: f.get("defaultValue"),
        })
    }
}
