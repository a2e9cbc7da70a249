//! The CORS filter.

use envoy_types::pb::envoy::extensions::filters::http::cors::v3::CorsPolicy;

use super::headers::Headers;
use super::http::Asked;
use super::matcher;
use super::walk::{FlagCode, HeaderEdit, Outcome};

/// What the filter does.
#[derive(Default)]
pub(super) struct Done {
    /// Its answer to a question beforehand.
    pub(super) answer: Option<Outcome>,
    /// What it adds to the answer of the endpoint.
    pub(super) response: Vec<HeaderEdit>,
}

/// What the filter does with a request.
pub(super) fn check(policy: &CorsPolicy, asked: &Asked, random: u64) -> Done {
    let enabled = policy
        .filter_enabled
        .as_ref()
        .is_none_or(|runtime| matcher::drawn(&matcher::fraction(runtime), random));
    let Some(origin) = asked.header("origin").filter(|origin| !origin.is_empty()) else {
        return Done::default();
    };
    if !enabled {
        return Done::default();
    }
    let allowed = policy
        .allow_origin_string_match
        .iter()
        .any(|matcher| matcher::text(matcher, &origin));
    let is_preflight = asked.method == "OPTIONS"
        && asked
            .header("access-control-request-method")
            .is_some_and(|method| !method.is_empty());
    if !allowed {
        let forwards = policy
            .forward_not_matching_preflights
            .is_none_or(|forward| forward.value);
        let answer = (is_preflight && !forwards).then(|| answered(Headers::default()));
        return Done {
            answer,
            ..Done::default()
        };
    }
    let mut headers = Headers::default();
    headers.add("access-control-allow-origin", origin);
    if policy.allow_credentials.is_some_and(|allow| allow.value) {
        headers.add("access-control-allow-credentials", "true");
    }
    let mut say = |name: &str, value: &str| {
        if !value.is_empty() {
            headers.add(name, value);
        }
    };
    if is_preflight {
        say("access-control-allow-methods", &policy.allow_methods);
        say("access-control-allow-headers", &policy.allow_headers);
        say("access-control-max-age", &policy.max_age);
        return Done {
            answer: Some(answered(headers)),
            ..Done::default()
        };
    }
    say("access-control-expose-headers", &policy.expose_headers);
    Done {
        answer: None,
        response: headers
            .iter()
            .map(|(name, value)| HeaderEdit {
                operation: "set",
                name: name.to_owned(),
                value: value.to_owned(),
            })
            .collect(),
    }
}

fn answered(headers: Headers) -> Outcome {
    Outcome::Answered {
        status: 200,
        flag: FlagCode::None,
        why: "the CORS filter answers questions beforehand".into(),
        headers,
        body: String::new(),
    }
}
