//! The guard against losing much at once: a source that reads as empty is more often broken than empty.
//!
//! It looks at what replaced sets would take away from one registry, counted as services, endpoints and workloads, never at
//! single events. What is moved within a transaction is not lost. It decides; the shard holds.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::model::{Host, ServiceKey};
use crate::registry::{Object, Value};
use crate::rules::RuleSpec;

/// When a loss is held.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardSettings {
    /// Whether anything is held at all.
    pub enabled: bool,
    /// Held if more than this share of a registry's services, endpoints or workloads would go …
    pub fraction: f64,
    /// … and more than this many.
    pub count: usize,
    /// A second full read that agrees is believed after this time.
    pub confirm_after: Duration,
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            fraction: 0.5,
            count: 10,
            confirm_after: Duration::from_secs(30),
        }
    }
}

/// How much a registry has, or would lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// Services that it declares.
    pub services: u64,
    /// Endpoints that it states.
    pub endpoints: u64,
    /// Workloads.
    pub workloads: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} services, {} endpoints, {} workloads",
            self.services, self.endpoints, self.workloads
        )
    }
}

/// What a transaction adds and takes away, by what it belongs to.
#[derive(Debug, Default)]
pub(super) struct Balance {
    services: BTreeMap<ServiceKey, i64>,
    endpoints: BTreeMap<ServiceKey, i64>,
    workloads: i64,
}

impl Balance {
    pub(super) fn gain(&mut self, object: &Object) {
        self.weigh(object, 1);
    }

    pub(super) fn lose(&mut self, object: &Object) {
        self.weigh(object, -1);
    }

    fn weigh(&mut self, object: &Object, sign: i64) {
        match &object.value {
            Value::Service(service) => {
                *self.services.entry(service.key.clone()).or_default() += sign
            }
            Value::Endpoints(part) => {
                *self.endpoints.entry(part.service.clone()).or_default() +=
                    sign * count(part.endpoints.len());
            }
            Value::Workload(_) => self.workloads += sign,
            Value::Rule(rule) => self.weigh_rule(object, rule, sign),
            Value::Namespace(_) | Value::Node(_) | Value::Network(_) => {}
        }
    }

    fn weigh_rule(&mut self, object: &Object, rule: &RuleSpec, sign: i64) {
        if let RuleSpec::ServiceEntry(entry) = rule {
            for host in entry.hosts.iter().filter_map(|host| Host::new(host).ok()) {
                let key = ServiceKey {
                    namespace: object.meta.key.namespace.clone(),
                    host,
                };
                *self.endpoints.entry(key.clone()).or_default() +=
                    sign * count(entry.endpoints.len());
                *self.services.entry(key).or_default() += sign;
            }
        }
        if let RuleSpec::WorkloadEntry(_) = rule {
            self.workloads += sign;
        }
    }

    /// What goes, leaving aside what comes.
    pub(super) fn loss(&self) -> Tally {
        let gone = |all: &BTreeMap<ServiceKey, i64>| {
            all.values().map(|delta| delta.min(&0).unsigned_abs()).sum()
        };
        Tally {
            services: gone(&self.services),
            endpoints: gone(&self.endpoints),
            workloads: self.workloads.min(0).unsigned_abs(),
        }
    }

    /// Why this is to be held, of a registry that has `total`.
    pub(super) fn mass_loss(&self, total: Tally, settings: &GuardSettings) -> Option<String> {
        let loss = self.loss();
        let much = |lost: u64, of: u64| {
            lost > settings.count as u64 && lost as f64 > of as f64 * settings.fraction
        };
        let held = settings.enabled
            && (much(loss.services, total.services)
                || much(loss.endpoints, total.endpoints)
                || much(loss.workloads, total.workloads));
        held.then(|| format!("a replacement would remove {loss} of {total}"))
    }

    /// The total after this.
    pub(super) fn applied_to(&self, total: Tally) -> Tally {
        let sum = |before: u64, delta: i64| before.saturating_add_signed(delta);
        Tally {
            services: sum(total.services, self.services.values().sum()),
            endpoints: sum(total.endpoints, self.endpoints.values().sum()),
            workloads: sum(total.workloads, self.workloads),
        }
    }
}

fn count(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
