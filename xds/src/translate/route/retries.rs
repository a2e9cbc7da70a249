//! Requests that are tried again.

use envoy_types::pb::envoy::config::route::v3::RetryPolicy;
use envoy_types::pb::envoy::config::route::v3::retry_policy::{
    RetryBackOff, RetryHostPredicate, RetryPriority, retry_host_predicate, retry_priority,
};
use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;
use envoy_types::pb::envoy::extensions::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig;
use envoy_types::util::pack_any;
use pilothouse_core::rules::resolve::Retries;

use super::super::common::{duration, uint};
use crate::extensions::{Extension, Missing};

/// How often a failed request is tried again.
const ATTEMPTS: u32 = 2;
/// How often another endpoint is looked for that has not failed yet.
const HOST_SELECTION_ATTEMPTS: i64 = 5;
/// The failures after which a request has not been answered and may go elsewhere.
const RETRY_ON: &str =
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
/// What makes statuses count that are named.
const STATUSES: &str = "retriable-status-codes";
/// After how many attempts other priorities are looked at.
const UPDATE_FREQUENCY: i32 = 2;

/// What is done where no rule says anything.
pub(super) fn default(without: Missing) -> RetryPolicy {
    RetryPolicy {
        retry_on: RETRY_ON.into(),
        num_retries: uint(ATTEMPTS),
        retry_host_predicate: elsewhere(without),
        host_selection_retry_max_attempts: HOST_SELECTION_ATTEMPTS,
        ..Default::default()
    }
}

/// What a rule says; `None` where nothing is tried again.
pub(super) fn policy(rule: Option<&Retries>, without: Missing) -> Option<RetryPolicy> {
    let mut policy = default(without);
    let Some(rule) = rule else {
        return Some(policy);
    };
    if rule.attempts == 0 {
        return None;
    }
    policy.num_retries = uint(rule.attempts);
    policy.per_try_timeout = rule.per_try_timeout.and_then(duration);
    if let Some(failures) = rule.retry_on.as_deref() {
        (policy.retry_on, policy.retriable_status_codes) = conditions(failures);
    }
    if rule.ignore_previous_hosts == Some(false) {
        policy.retry_host_predicate.clear();
        policy.host_selection_retry_max_attempts = 0;
    }
    policy.retry_back_off = rule.backoff.map(|backoff| RetryBackOff {
        base_interval: duration(backoff.base),
        ..Default::default()
    });
    if rule.remote_localities == Some(true) && !without.has(Extension::PreviousPriorities) {
        let config = PreviousPrioritiesConfig {
            update_frequency: UPDATE_FREQUENCY,
        };
        policy.retry_priority = Some(RetryPriority {
            name: Extension::PreviousPriorities.name().into(),
            config_type: Some(retry_priority::ConfigType::TypedConfig(pack_any(config))),
        });
    }
    Some(policy)
}

/// The failures in Envoy's words, and the statuses among them.
pub(in crate::translate) fn conditions(failures: &str) -> (String, Vec<u32>) {
    let words = failures.split(',').map(str::trim);
    let (mut named, mut statuses) = (Vec::new(), Vec::new());
    for word in words.filter(|word| !word.is_empty()) {
        match word.parse() {
            Ok(status) => statuses.push(status),
            Err(_) => named.push(word),
        }
    }
    if !statuses.is_empty() && !named.contains(&STATUSES) {
        named.push(STATUSES);
    }
    (named.join(","), statuses)
}

fn elsewhere(without: Missing) -> Vec<RetryHostPredicate> {
    let there = !without.has(Extension::PreviousHosts);
    let predicate = there.then(|| RetryHostPredicate {
        name: Extension::PreviousHosts.name().into(),
        config_type: Some(retry_host_predicate::ConfigType::TypedConfig(pack_any(
            PreviousHostsPredicate::default(),
        ))),
    });
    predicate.into_iter().collect()
}
