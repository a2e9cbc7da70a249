//! An instance's health: the worst of its checks and its node's.

use pilothouse_core::model::Health;

use crate::client::{Check, Instance};

/// The checks that put a node or an instance into maintenance.
const NODE_MAINTENANCE: &str = "_node_maintenance";
const SERVICE_MAINTENANCE: &str = "_service_maintenance:";

/// Whether an instance may be given requests, and its share of the load.
pub(super) fn of(instance: &Instance) -> (Health, u32) {
    let weights = instance.service.weights.unwrap_or_default();
    let mine =
        |check: &&Check| check.service_id.is_empty() || check.service_id == instance.service.id;
    let worst = instance.checks.iter().filter(mine).map(state).max();
    let (health, weight) = match worst.unwrap_or(State::Passing) {
        State::Passing => (Health::Healthy, weights.passing),
        State::Warning => (Health::Healthy, weights.warning),
        State::Critical => (Health::Unhealthy, weights.passing),
        State::Maintenance => (Health::Draining, weights.passing),
    };
    match weight {
        // It is to get nothing, and Envoy knows no share of 0.
        0 if health == Health::Healthy => (Health::Unhealthy, 1),
        weight => (health, weight.max(1)),
    }
}

/// What a check says, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Passing,
    Warning,
    Critical,
    Maintenance,
}

fn state(check: &Check) -> State {
    if check.id == NODE_MAINTENANCE || check.id.starts_with(SERVICE_MAINTENANCE) {
        return State::Maintenance;
    }
    match check.status.as_str() {
        "passing" => State::Passing,
        "warning" => State::Warning,
        // A state that is not known is none to send requests on.
        _ => State::Critical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Weights;

    #[test]
    fn the_worst_check_counts() {
        let check = |checks: &[(&str, &str, &str)],
                     weights: Option<(u32, u32)>,
                     expected: (Health, u32)| {
            let mut instance = Instance::default();
            instance.service.id = "web-1".into();
            instance.service.weights =
                weights.map(|(passing, warning)| Weights { passing, warning });
            instance.checks = checks
                .iter()
                .map(|(id, service, status)| Check {
                    id: (*id).into(),
                    service_id: (*service).into(),
                    status: (*status).into(),
                })
                .collect();
            assert_eq!(of(&instance), expected, "{checks:?} {weights:?}");
        };
        let (healthy, unhealthy) = (Health::Healthy, Health::Unhealthy);
        let node = |status| ("serfHealth", "", status);
        let own = |status| ("service:web-1", "web-1", status);
        check(&[], None, (healthy, 1));
        check(
            &[node("passing"), own("passing")],
            Some((7, 2)),
            (healthy, 7),
        );
        check(
            &[node("passing"), own("warning")],
            Some((7, 2)),
            (healthy, 2),
        );
        check(
            &[node("passing"), own("warning")],
            Some((7, 0)),
            (unhealthy, 1),
        );
        check(&[own("passing")], Some((0, 1)), (unhealthy, 1));
        check(
            &[node("critical"), own("passing")],
            Some((7, 2)),
            (unhealthy, 7),
        );
        check(&[own("critical"), own("warning")], None, (unhealthy, 1));
        check(&[own("odd")], None, (unhealthy, 1));
        check(
            &[("service:web-2", "web-2", "critical")],
            None,
            (healthy, 1),
        );
        check(
            &[("_node_maintenance", "", "critical")],
            None,
            (Health::Draining, 1),
        );
        check(
            &[
                ("_service_maintenance:web-1", "web-1", "critical"),
                node("critical"),
            ],
            Some((3, 1)),
            (Health::Draining, 3),
        );
    }
}
