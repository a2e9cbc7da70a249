//! Whether this proxy takes traffic, and if not, why.
//!
//! Envoy is ready when discovery has configured it, it is live, and its workers run. None of that is ever lost while it
//! lives, so it is asked until it says so once; a probe that comes through Envoy's own listener shows the rest.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use pilothouse_process::causes;
use tokio_util::sync::CancellationToken;

use super::{Condition, EnvoyPages, Note};
use crate::envoy::{stat, stats};
use crate::fetch;

/// A probe waits a second by default; an answer that says why must come before.
const ADMIN_WITHIN: Duration = Duration::from_millis(800);

const STATS: &str = "/stats?filter=^(cluster_manager\\.(cds\\.update_.*|warming_clusters)|listener_manager\\.(lds\\.update_.*|workers_started|total_listeners_warming)|server\\.state|control_plane\\.connected_state)$";

pub(super) struct Readiness {
    envoy: Option<EnvoyPages>,
    conditions: Vec<Condition>,
    notes: Vec<Note>,
    stop: CancellationToken,
    reached: AtomicBool,
}

impl Readiness {
    pub(super) fn new(
        envoy: Option<EnvoyPages>,
        conditions: Vec<Condition>,
        notes: Vec<Note>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            envoy,
            conditions,
            notes,
            stop,
            reached: AtomicBool::new(false),
        }
    }

    /// Whether it is ready; the error is a sentence for people.
    pub(super) async fn check(&self) -> Result<(), String> {
        let leaving = self
            .envoy
            .as_ref()
            .is_some_and(|envoy| envoy.control.is_leaving());
        if leaving || self.stop.is_cancelled() {
            return Err("it is being drained, to end".into());
        }
        if self.reached.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut missing = Vec::new();
        if let Some(envoy) = &self.envoy
            && let Err(why) = ask(envoy).await
        {
            missing.push(why);
        }
        missing.extend(
            self.conditions
                .iter()
                .filter_map(|condition| condition().err()),
        );
        if missing.is_empty() {
            self.reached.store(true, Ordering::Relaxed);
            tracing::info!("ready");
            return Ok(());
        }
        missing.extend(self.notes.iter().filter_map(|note| note()));
        Err(missing.join("; "))
    }
}

async fn ask(envoy: &EnvoyPages) -> Result<(), String> {
    let request =
        fetch::request(Method::GET, "localhost", STATS).map_err(|error| error.to_string())?;
    let answer = fetch::send(envoy.admin, request, ADMIN_WITHIN)
        .await
        .map_err(|error| {
            format!(
                "Envoy's admin page does not answer ({}): it is starting, or hangs",
                causes(&error)
            )
        })?;
    if answer.status != StatusCode::OK {
        return Err(format!("Envoy's admin page answers {}", answer.status));
    }
    judge(&answer.body, envoy.discovery)
}

fn judge(page: &str, discovery: bool) -> Result<(), String> {
    let of = |name: &str| stat(page, name);
    if discovery {
        let missing: Vec<_> = [
            ("clusters", "cluster_manager.cds"),
            ("listeners", "listener_manager.lds"),
        ]
        .into_iter()
        .filter(|(_, scope)| of(&format!("{scope}.update_success")) == 0)
        .collect();
        if !missing.is_empty() {
            let kinds: Vec<_> = missing.iter().map(|(kind, _)| *kind).collect();
            let mut why = format!("Envoy has no {} yet", kinds.join(" and no "));
            if of("control_plane.connected_state") == 0 {
                why.push_str(", because it is not connected to discovery");
            }
            for (kind, scope) in missing {
                let refused = of(&format!("{scope}.update_rejected"));
                if refused > 0 {
                    // Writing to a string does not fail.
                    let _ = write!(
                        why,
                        ", and has refused {refused} updates of {kind}: see its log"
                    );
                }
            }
            return Err(why);
        }
    }
    // A page without the gauge must not be taken for one that says LIVE, which is 0.
    let state = stats(page).find(|(name, _)| *name == "server.state");
    match state.map(|(_, state)| state) {
        Some(0) => {}
        Some(state) => {
            let (clusters, listeners) = (
                of("cluster_manager.warming_clusters"),
                of("listener_manager.total_listeners_warming"),
            );
            return Err(format!(
                "Envoy is not live but {}; {clusters} clusters and {listeners} listeners warm",
                match state {
                    1 => "draining",
                    2 => "pre-initializing",
                    3 => "initializing",
                    _ => "in a state that is not known",
                }
            ));
        }
        None => return Err("Envoy's admin page does not tell its state".into()),
    }
    if of("listener_manager.workers_started") == 0 {
        return Err("Envoy has not started its workers yet".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of an Envoy that is ready, but for these lines.
    fn page(but: &[(&str, u64)]) -> String {
        let mut all = std::collections::BTreeMap::from([
            ("cluster_manager.cds.update_success", 1),
            ("listener_manager.lds.update_success", 2),
            ("server.state", 0),
            ("listener_manager.workers_started", 1),
            ("control_plane.connected_state", 1),
        ]);
        all.extend(but.iter().copied());
        let lines = all.iter().map(|(name, value)| format!("{name}: {value}\n"));
        lines.collect()
    }

    fn check(but: &[(&str, u64)], expected: Result<(), &str>) {
        assert_eq!(
            judge(&page(but), true),
            expected.map_err(str::to_owned),
            "{but:?}"
        );
    }

    #[test]
    fn what_is_missing_is_said() {
        check(&[], Ok(()));
        check(
            &[
                ("cluster_manager.cds.update_success", 0),
                ("listener_manager.lds.update_success", 0),
                ("control_plane.connected_state", 0),
            ],
            Err(
                "Envoy has no clusters and no listeners yet, because it is not connected to discovery",
            ),
        );
        check(
            &[
                ("listener_manager.lds.update_success", 0),
                ("listener_manager.lds.update_rejected", 2),
            ],
            Err("Envoy has no listeners yet, and has refused 2 updates of listeners: see its log"),
        );
        check(
            &[("server.state", 3), ("cluster_manager.warming_clusters", 4)],
            Err("Envoy is not live but initializing; 4 clusters and 0 listeners warm"),
        );
        check(
            &[("listener_manager.workers_started", 0)],
            Err("Envoy has not started its workers yet"),
        );
    }

    #[test]
    fn without_discovery_nothing_is_expected_from_it() {
        let page = page(&[
            ("cluster_manager.cds.update_success", 0),
            ("listener_manager.lds.update_success", 0),
        ]);
        assert_eq!(judge(&page, false), Ok(()));
        assert!(judge("", false).is_err());
    }
}
