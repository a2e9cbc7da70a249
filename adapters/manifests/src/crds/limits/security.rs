//! Limits of policies: who may do what, and what proxies report.

use super::Limit::{AtMostOne, Entries, ExactlyOne, Items, Length, Required, Rule};
use super::{Limit, On, PERCENT, on};

const POLICY: &str = "authorization_policy::AuthorizationPolicy";
const JWT_RULE: &str = "request_authentication::JwtRule";

/// A policy is for workloads or for objects.
const TARGET: Limit = Rule(
    "only one of targetRefs or selector can be set",
    "[has(self.selector), has(self.targetRef), has(self.targetRefs) && size(self.targetRefs) > 0].filter(is_set, is_set).size() <= 1",
);
const TARGETS: &[Limit] = &[Items(0, 16)];

pub(super) const ALL: &[On] = &[
    on(
        POLICY,
        "",
        &[
            TARGET,
            Rule(
                "provider goes with action CUSTOM, which requires it",
                "has(self.provider) == (has(self.action) && self.action == 'CUSTOM')",
            ),
            Rule(
                "rules are required with action DENY or CUSTOM: for every request, write rules: [{}]",
                "!has(self.action) || !(self.action in ['DENY', 'CUSTOM']) || (has(self.rules) && size(self.rules) > 0)",
            ),
        ],
    ),
    on(POLICY, "targetRefs", TARGETS),
    on(POLICY, "rules", &[Items(0, 512)]),
    on(
        "authorization_policy::ProviderRef",
        "",
        &[Required(&["name"])],
    ),
    on(
        "authorization_policy::AuthorizationRule",
        "from",
        &[Items(1, 512)],
    ),
    on(
        "authorization_policy::AuthorizationRule",
        "to",
        &[Items(1, 512)],
    ),
    on("authorization_policy::From", "", &[Required(&["source"])]),
    on("authorization_policy::To", "", &[Required(&["operation"])]),
    on(
        "authorization_policy::Source",
        "",
        &[Rule(
            "Cannot set serviceAccounts with namespaces or principals",
            "!(has(self.serviceAccounts) || has(self.notServiceAccounts)) || !(has(self.principals) || has(self.notPrincipals) || has(self.namespaces) || has(self.notNamespaces))",
        )],
    ),
    on("authorization_policy::Condition", "", &[Required(&["key"])]),
    on(
        "peer_authentication::PeerAuthentication",
        "",
        &[Rule(
            "portLevelMtls requires selector",
            "!has(self.portLevelMtls) || size(self.portLevelMtls) == 0 || (has(self.selector) && has(self.selector.matchLabels) && size(self.selector.matchLabels) > 0)",
        )],
    ),
    on(
        "peer_authentication::PeerAuthentication",
        "portLevelMtls",
        &[
            Entries(4096),
            Rule(
                "port must be between 1-65535",
                "self.all(port, port.matches('^[1-9][0-9]{0,4}$') && int(port) <= 65535)",
            ),
        ],
    ),
    on(
        "request_authentication::RequestAuthentication",
        "",
        &[TARGET],
    ),
    on(
        "request_authentication::RequestAuthentication",
        "targetRefs",
        TARGETS,
    ),
    on(
        "request_authentication::RequestAuthentication",
        "jwtRules",
        &[Items(0, 4096)],
    ),
    on(
        JWT_RULE,
        "",
        &[
            Rule(
                "only one of jwks or jwksUri can be set",
                "!(has(self.jwks) && self.jwks != '') || !(has(self.jwksUri) && self.jwksUri != '')",
            ),
            Rule(
                "one of issuer, jwksUri and jwks is required",
                "(has(self.issuer) && self.issuer != '') || (has(self.jwksUri) && self.jwksUri != '') || (has(self.jwks) && self.jwks != '')",
            ),
        ],
    ),
    on(
        JWT_RULE,
        "jwksUri",
        &[
            Length(0, 2048),
            Rule(
                "URI scheme must be http:// or https://",
                "self == '' || self.startsWith('https://') || self.startsWith('http://')",
            ),
        ],
    ),
    on(
        "request_authentication::JwtHeader",
        "",
        &[Required(&["name"])],
    ),
    on(
        "request_authentication::ClaimToHeader",
        "",
        &[Required(&["header", "claim"])],
    ),
    on("target_ref::TargetRef", "", &[Required(&["kind", "name"])]),
    on("target_ref::TargetRef", "kind", &[Length(1, 63)]),
    on("target_ref::TargetRef", "name", &[Length(1, 253)]),
    on("telemetry::Telemetry", "", &[TARGET]),
    on("telemetry::Telemetry", "targetRefs", TARGETS),
    on("telemetry::Tracing", "randomSamplingPercentage", PERCENT),
    on("telemetry::ProviderRef", "", &[Required(&["name"])]),
    on("telemetry::ProviderRef", "name", &[Length(1, 2048)]),
    on("telemetry::Filter", "", &[Required(&["expression"])]),
    on(
        "telemetry::MetricSelector",
        "",
        &[AtMostOne(&["metric", "customMetric"])],
    ),
    on(
        "mesh_config::tracing::CustomTag",
        "",
        &[ExactlyOne(&[
            "literal",
            "environment",
            "header",
            "formatter",
        ])],
    ),
];
