//! `RequestAuthentication`: which tokens requests may bear.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::destination_rule::MatchLabels;
use super::{Decode, TargetRef, object, seconds_of};
use crate::rules::at::At;

/// Which tokens requests may bear.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RequestAuthentication {
    /// The workloads that it is for; all of the namespace where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<MatchLabels>,
    /// What it is attached to, in its older form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<TargetRef>,
    /// What it is attached to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_refs: Vec<TargetRef>,
    /// The issuers whose tokens are believed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jwt_rules: Vec<JwtRule>,
}

/// An issuer of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct JwtRule {
    /// Who it is, as its tokens say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// For whom its tokens may be; for anybody where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// Where its keys are.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub jwks_uri: String,
    /// Its keys.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub jwks: String,
    /// The headers that tokens are in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_headers: Vec<JwtHeader>,
    /// The query parameters that tokens are in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_params: Vec<String>,
    /// The cookies that tokens are in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_cookies: Vec<String>,
    /// The header that a good token's content goes to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output_payload_to_header: String,
    /// Whether the token goes on to the application.
    #[serde(skip_serializing_if = "is_false")]
    pub forward_original_token: bool,
    /// The headers that single claims go to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_claim_to_headers: Vec<ClaimToHeader>,
    /// How long fetching the keys may take.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub timeout: Option<Duration>,
    /// Claims whose texts are lists with spaces between items.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub space_delimited_claims: Vec<String>,
}

/// A header that a token is in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JwtHeader {
    /// Its name.
    pub name: String,
    /// What stands before the token.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// A claim that goes to a header.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClaimToHeader {
    /// The header.
    pub header: String,
    /// The claim.
    pub claim: String,
}

impl Decode for RequestAuthentication {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            selector: f.get("selector"),
            target_ref: f.get("targetRef"),
            target_refs: f.get("targetRefs"),
            jwt_rules: f.get("jwtRules"),
        })
    }
}

impl Decode for JwtRule {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            issuer: f.get("issuer"),
            audiences: f.get("audiences"),
            jwks_uri: f.get("jwksUri"),
            jwks: f.get("jwks"),
            from_headers: f.get("fromHeaders"),
            from_params: f.get("fromParams"),
            from_cookies: f.get("fromCookies"),
            output_payload_to_header: f.get("outputPayloadToHeader"),
            forward_original_token: f.get("forwardOriginalToken"),
            output_claim_to_headers: f.get("outputClaimToHeaders"),
            timeout: f.get("timeout"),
            space_delimited_claims: f.get("spaceDelimitedClaims"),
        })
    }
}

impl Decode for JwtHeader {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
            prefix: f.get("prefix"),
        })
    }
}

impl Decode for ClaimToHeader {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            header: f.get("header"),
            claim: f.get("claim"),
        })
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}
