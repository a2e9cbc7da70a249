//! Checks of a `RequestAuthentication`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::policy_target::target;
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::request_authentication::JwtRule;
use crate::rules::spec::{RequestAuthentication, excerpt};

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, meta: &Meta, rule: &RequestAuthentication) {
    target(
        at,
        meta,
        rule.selector.as_ref(),
        rule.target_ref.as_ref(),
        &rule.target_refs,
    );
    let list = at.field("jwtRules");
    for (index, issuer) in rule.jwt_rules.iter().enumerate() {
        jwt_rule(&list.index(index), issuer);
    }
}

fn jwt_rule(at: &At<'_>, rule: &JwtRule) {
    if rule.issuer.is_empty() && rule.jwks_uri.is_empty() && rule.jwks.is_empty() {
        at.field("issuer").error_hint(
            "is missing",
            "say who issues the tokens, or give its keys with jwksUri or jwks",
        );
    }
    if !rule.jwks_uri.is_empty() && !rule.jwks.is_empty() {
        at.field("jwks")
            .error_hint("is given beside jwksUri", "use one of them");
    }
    if !rule.jwks_uri.is_empty() && !is_http_url(&rule.jwks_uri) {
        at.field("jwksUri").error_hint(
            format!("{:?} is not a URL", excerpt(&rule.jwks_uri)),
            "it begins with https:// or http:// and has a host",
        );
    }
    let is_key_set = |text: &str| {
        serde_json::from_str::<serde_json::Value>(text)
            .is_ok_and(|set| set.get("keys").is_some_and(serde_json::Value::is_array))
    };
    if !rule.jwks.is_empty() && !is_key_set(&rule.jwks) {
        at.field("jwks")
            .error_hint("is not a set of keys", "JSON with a list \"keys\" in it");
    }
    for (name, list) in [
        ("audiences", &rule.audiences),
        ("fromParams", &rule.from_params),
        ("fromCookies", &rule.from_cookies),
        ("spaceDelimitedClaims", &rule.space_delimited_claims),
    ] {
        not_empty(&at.field(name), list);
    }
    for (index, header) in rule.from_headers.iter().enumerate() {
        let list = at.field("fromHeaders");
        header_name(&list.index(index).field("name"), &header.name);
    }
    if !rule.output_payload_to_header.is_empty() {
        header_name(
            &at.field("outputPayloadToHeader"),
            &rule.output_payload_to_header,
        );
    }
    let mut seen = BTreeSet::new();
    for (index, output) in rule.output_claim_to_headers.iter().enumerate() {
        let list = at.field("outputClaimToHeaders");
        let here = list.index(index);
        header_name(&here.field("header"), &output.header);
        if output.claim.is_empty() {
            here.field("claim").error("is missing");
        }
        if !output.header.is_empty() && !seen.insert(output.header.to_ascii_lowercase()) {
            here.field("header").error(format!(
                "another claim goes to {:?}",
                excerpt(&output.header)
            ));
        }
    }
    if rule
        .timeout
        .is_some_and(|timeout| timeout < Duration::from_millis(1))
    {
        at.field("timeout").error("is less than a millisecond");
    }
}

/// No text of a list is empty.
pub(super) fn not_empty(at: &At<'_>, list: &[String]) {
    for (index, _) in list.iter().enumerate().filter(|(_, text)| text.is_empty()) {
        at.index(index).error("is empty");
    }
}

fn is_http_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !host.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

fn header_name(at: &At<'_>, name: &str) {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() {
        at.error("is missing");
    } else if !name.bytes().all(ok) {
        at.error(format!("{:?} is not a header's name", excerpt(name)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::rules::check::problems;

    fn check(spec: Value, expected: &[&str]) {
        assert_eq!(problems("RequestAuthentication", &spec), expected, "{spec}");
    }

    #[test]
    fn every_field_is_read() {
        check(json!({}), &[]);
        check(
            json!({
                "selector": {"matchLabels": {"app": "web"}},
                "jwtRules": [{
                    "issuer": "https://id.example.com", "audiences": ["a"], "jwksUri": "https://id.example.com/keys",
                    "fromHeaders": [{"name": "x-token", "prefix": "Bearer "}], "fromParams": ["token"], "fromCookies": ["token"],
                    "outputPayloadToHeader": "x-payload", "forwardOriginalToken": true, "timeout": "5s",
                    "outputClaimToHeaders": [{"header": "x-sub", "claim": "sub"}], "spaceDelimitedClaims": ["scope"],
                }, {"jwks": "{\"keys\": []}"}],
            }),
            &[],
        );
    }

    #[test]
    fn every_problem_is_found() {
        check(
            json!({"jwtRules": [
                {"audiences": [""]},
                {"issuer": "a", "jwksUri": "keys", "jwks": "x", "fromHeaders": [{}], "fromCookies": [""], "timeout": "0s"},
                {"issuer": "a", "outputPayloadToHeader": "a b", "outputClaimToHeaders": [
                    {"header": "x-a", "claim": "a"}, {"header": "X-A", "claim": ""},
                ]},
            ]}),
            &[
                "E spec.jwtRules[0].issuer: is missing",
                "E spec.jwtRules[0].audiences[0]: is empty",
                "E spec.jwtRules[1].jwks: is given beside jwksUri",
                "E spec.jwtRules[1].jwksUri: \"keys\" is not a URL",
                "E spec.jwtRules[1].jwks: is not a set of keys",
                "E spec.jwtRules[1].fromCookies[0]: is empty",
                "E spec.jwtRules[1].fromHeaders[0].name: is missing",
                "E spec.jwtRules[1].timeout: is less than a millisecond",
                "E spec.jwtRules[2].outputPayloadToHeader: \"a b\" is not a header's name",
                "E spec.jwtRules[2].outputClaimToHeaders[1].claim: is missing",
                "E spec.jwtRules[2].outputClaimToHeaders[1].header: another claim goes to \"X-A\"",
            ],
        );
    }

    #[test]
    fn it_is_for_workloads_or_for_objects() {
        let gateway =
            json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"});
        check(json!({"targetRefs": [gateway]}), &[]);
        check(
            json!({"selector": {}, "targetRef": gateway, "targetRefs": [
                {"kind": "Pod", "name": "a"}, {"kind": "Service", "namespace": "other"},
            ]}),
            &[
                "E spec.targetRef: is given beside selector",
                "E spec.targetRefs[0].kind: a policy cannot be attached to a Pod of group \"\"",
                "E spec.targetRefs[1].name: is missing",
                "E spec.targetRefs[1].namespace: is another namespace than the policy's own",
            ],
        );
    }
}
