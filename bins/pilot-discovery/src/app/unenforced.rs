//! Objects that should keep something out and that nothing here enforces: while one is there, the process does not become ready,
//! unless its operator allows that. Readiness is decided at start: one that appears later is told, and what is served goes on.

use std::collections::BTreeMap;

use pilothouse_core::mesh::Source;
use pilothouse_core::readiness::Guard;
use pilothouse_core::store::StoreHandle;
use tokio_util::sync::CancellationToken;

/// So many objects are named in a line of the log.
const NAMED: usize = 5;

/// Holds `guard` until everything else is there and no such object is.
pub(super) async fn hold(guard: Guard, store: StoreHandle, stop: CancellationToken) {
    match stop.run_until_cancelled(gone(&guard, &store)).await {
        Some(()) => drop(guard),
        None => guard.abandon(),
    }
}

async fn gone(guard: &Guard, store: &StoreHandle) {
    let mut revisions = store.status().revisions();
    let mut told = Vec::new();
    loop {
        // Before that it is not known what is there.
        guard.is_last().await;
        revisions.mark_unchanged();
        let status = store.status().get();
        let present: Vec<Source> = status.unprotected().cloned().collect();
        if present.is_empty() {
            guard.explained();
            return;
        }
        if told != present {
            tracing::error!(
                objects = named(&present),
                "not ready: security policies are present that this version does not enforce; remove them, or serve without them by --allow-unenforced-security"
            );
            guard.explain(note(&present));
            told = present;
        }
        if revisions.changed().await.is_err() {
            // The store has gone; its owner says why.
            return std::future::pending().await;
        }
    }
}

/// The first of them by name.
fn named(present: &[Source]) -> String {
    let mut names: Vec<_> = present
        .iter()
        .take(NAMED)
        .map(|source| source.object.to_string())
        .collect();
    if present.len() > NAMED {
        names.push(format!("and {} more", present.len() - NAMED));
    }
    names.join(", ")
}

/// How many there are. Their names stay out of it: readiness is public.
fn note(present: &[Source]) -> String {
    let mut kinds = BTreeMap::<&str, usize>::new();
    for source in present {
        *kinds.entry(source.object.kind.as_str()).or_default() += 1;
    }
    let kinds: Vec<_> = kinds
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    format!(
        "{}: present and not enforced; remove them, or give --allow-unenforced-security (the log and /debug/configz name them)",
        kinds.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use pilothouse_core::readiness::Readiness;
    use pilothouse_core::registry::{Meta, Need, Object, Origin, RegistryId, SetId, Value};
    use pilothouse_core::rules::RuleSpec;
    use pilothouse_core::store::{Settings, Store};
    use serde_json::json;
    use tokio::task::JoinSet;

    use super::*;

    fn policy(name: &str) -> Object {
        let kind = "AuthorizationPolicy";
        let (spec, _) = RuleSpec::parse("security.istio.io/v1", kind, &json!({})).unwrap();
        Object {
            meta: Meta::new(kind, "shop", name),
            origin: Origin::new("test"),
            value: Value::Rule(spec),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_holds_until_the_last_such_object_is_gone() {
        let readiness = Readiness::new();
        let starting = readiness.guard("start");
        let (store, handle) = Store::new(Settings {
            readiness: readiness.clone(),
            ..Settings::default()
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(store.run(CancellationToken::new()));
        let guard = readiness.guard("security policies");
        tasks.spawn(hold(guard, handle.clone(), CancellationToken::new()));
        let updates = handle.updates(&RegistryId::new("Test", "one"), Need::Required);
        let set = SetId::new("all");
        let mut tx = updates.begin();
        tx.replace(
            set.clone(),
            (0..7).map(|n| policy(&n.to_string())).collect(),
        );
        tx.commit().await.unwrap();
        updates.synced().await.unwrap();
        handle.registries().await.unwrap();
        drop(starting);

        let note = loop {
            tokio::task::yield_now().await;
            let pending = readiness.pending();
            if let Some(note) = pending.first().and_then(|step| step.note.clone()) {
                assert_eq!(pending.len(), 1);
                break note;
            }
        };
        assert!(note.starts_with("7 AuthorizationPolicy: "), "{note}");
        assert!(!readiness.is_ready());

        let mut tx = updates.begin();
        tx.clear(set);
        tx.commit().await.unwrap();
        readiness.ready().await;
        assert_eq!(readiness.pending(), []);
    }

    #[tokio::test]
    async fn stopping_makes_nothing_ready() {
        let readiness = Readiness::new();
        let other = readiness.guard("never");
        let (_store, handle) = Store::new(Settings::default());
        let stop = CancellationToken::new();
        stop.cancel();
        hold(readiness.guard("security policies"), handle, stop).await;
        drop(other);
        assert!(!readiness.is_ready());
    }

    #[test]
    fn few_are_named_and_all_are_counted() {
        let source = |kind: &str, name: &str| Source {
            registry: RegistryId::new("Test", "one"),
            object: Meta::new(kind, "shop", name).key,
        };
        let mut all: Vec<_> = (0..6)
            .map(|n| source("PeerAuthentication", &n.to_string()))
            .collect();
        assert!(named(&all).ends_with("PeerAuthentication shop/4, and 1 more"));
        all.push(source("AuthorizationPolicy", "a"));
        assert!(note(&all).starts_with("1 AuthorizationPolicy, 6 PeerAuthentication: "));
    }
}
