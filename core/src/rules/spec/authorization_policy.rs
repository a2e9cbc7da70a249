//! `AuthorizationPolicy`: who may ask for what.

use serde::Serialize;
use serde_json::Value;

use super::destination_rule::MatchLabels;
use super::{Decode, TargetRef, object, one_of};
use crate::rules::at::At;

/// Who may ask for what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationPolicy {
    /// The workloads that it is for; all of the namespace where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<MatchLabels>,
    /// What it is attached to, in its older form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<TargetRef>,
    /// What it is attached to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_refs: Vec<TargetRef>,
    /// The requests that it speaks of: those that one of these fits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<AuthorizationRule>,
    /// What becomes of them.
    pub action: Action,
    /// Who decides on them, by its name in mesh config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderRef>,
}

/// What becomes of requests that a policy speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Action {
    /// They are let through, and requests that no such policy speaks of are not.
    #[default]
    Allow,
    /// They are turned away.
    Deny,
    /// They are noted.
    Audit,
    /// Somebody else decides.
    Custom,
}

/// Somebody who decides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProviderRef {
    /// The name in mesh config.
    pub name: String,
}

/// Requests: one of `from`, one of `to` and all of `when` have to fit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuthorizationRule {
    /// Who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<From>>,
    /// For what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Vec<To>>,
    /// What else holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Condition>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct From {
    /// All of it has to fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// For what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct To {
    /// All of it has to fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
}

/// Who asks: one of each list that is not empty has to fit, and none of those that begin with `not`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// By the identity of its certificate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<String>,
    /// The same, negated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_principals: Vec<String>,
    /// By the issuer and subject of its token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_principals: Vec<String>,
    /// The same, negated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_request_principals: Vec<String>,
    /// By the namespace of its certificate's identity.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// The same, negated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_namespaces: Vec<String>,
    /// By the account of its certificate's identity.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_accounts: Vec<String>,
    /// The same, negated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_service_accounts: Vec<String>,
    /// By the address that the connection comes from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip_blocks: Vec<String>,
    /// The same, negated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ip_blocks: Vec<String>,
    /// By the address that the request comes from, as trusted proxies say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remote_ip_blocks: Vec<String>,
    /// The same, negated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_remote_ip_blocks: Vec<String>,
}

/// What is asked for: one of each list that is not empty has to fit, and none of those that begin with `not`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// By host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The same, negated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_hosts: Vec<String>,
    /// By port.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// The same, negated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ports: Vec<String>,
    /// By method.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The same, negated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_methods: Vec<String>,
    /// By path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// The same, negated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_paths: Vec<String>,
}

/// What else holds of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is looked at.
    pub key: String,
    /// What it may be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// What it may not be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_values: Vec<String>,
}

impl Decode for AuthorizationPolicy {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            selector: f.get("selector"),
            target_ref: f.get("targetRef"),
            target_refs: f.get("targetRefs"),
            rules: f.get("rules"),
            action: f.get("action"),
            provider: f.get("provider"),
        })
    }
}

impl Decode for Action {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("ALLOW", 0, Self::Allow),
            ("DENY", 1, Self::Deny),
            ("AUDIT", 2, Self::Audit),
            ("CUSTOM", 3, Self::Custom),
        ];
        one_of(value, at, &all)
    }
}

impl Decode for ProviderRef {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
        })
    }
}

impl Decode for AuthorizationRule {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            from: f.get("from"),
            to: f.get("to"),
            when: f.get("when"),
        })
    }
}

impl Decode for From {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            source: f.get("source"),
        })
    }
}

impl Decode for To {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            operation: f.get("operation"),
        })
    }
}

impl Decode for Source {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            principals: f.get("principals"),
            not_principals: f.get("notPrincipals"),
            request_principals: f.get("requestPrincipals"),
            not_request_principals: f.get("notRequestPrincipals"),
            namespaces: f.get("namespaces"),
            not_namespaces: f.get("notNamespaces"),
            service_accounts: f.get("serviceAccounts"),
            not_service_accounts: f.get("notServiceAccounts"),
            ip_blocks: f.get("ipBlocks"),
            not_ip_blocks: f.get("notIpBlocks"),
            remote_ip_blocks: f.get("remoteIpBlocks"),
            not_remote_ip_blocks: f.get("notRemoteIpBlocks"),
        })
    }
}

impl Decode for Operation {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            hosts: f.get("hosts"),
            not_hosts: f.get("notHosts"),
            ports: f.get("ports"),
            not_ports: f.get("notPorts"),
            methods: f.get("methods"),
            not_methods: f.get("notMethods"),
            paths: f.get("paths"),
            not_paths: f.get("notPaths"),
        })
    }
}

impl Decode for Condition {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            key: f.get("key"),
            values: f.get("values"),
            not_values: f.get("notValues"),
        })
    }
}
