//! What the store has to tell to metrics: changes as they come, and how registries and objects fare.

use std::time::Duration;

use futures::future::select;
use pilothouse_core::mesh::{Mesh, Source, Touched};
use pilothouse_core::store::StoreHandle;
use tokio_util::sync::CancellationToken;

use super::Metrics;
use super::lacking::{Lacking, Tally};

/// How long gauges may be behind: counting objects costs in proportion to them.
const PAUSE: Duration = Duration::from_secs(1);

impl Metrics {
    /// Follows the store until `stop`.
    pub async fn follow(self, store: StoreHandle, stop: CancellationToken) {
        let inbound = std::pin::pin!(self.count_changes(&store));
        let gauges = std::pin::pin!(self.set_gauges(&store));
        if stop
            .run_until_cancelled(select(inbound, gauges))
            .await
            .is_some()
        {
            // The store has gone; its owner says why.
            stop.cancelled().await;
        }
    }

    async fn count_changes(&self, store: &StoreHandle) {
        let mut changes = store.subscribe();
        let mut lacking = Lacking::default();
        let mesh = changes.mesh();
        lacking.follow(mesh, mesh.services().map(|service| &service.key));
        self.lack(lacking.total());
        while let Some(change) = changes.next().await {
            let (mesh, touched) = (change.mesh, change.touched);
            self.count(&touched, &mesh);
            lacking.follow(&mesh, touched.services.union(&touched.endpoints));
            self.lack(lacking.total());
        }
    }

    fn lack(&self, total: Tally) {
        self.without_instances.set(total.without_instances);
        self.without_names.set(total.without_names);
        self.not_ready.set(total.not_ready);
    }

    fn count(&self, touched: &Touched, mesh: &Mesh) {
        let gone = touched
            .services
            .iter()
            .filter(|key| mesh.service(key).is_none())
            .count();
        let config = touched.rules.len() + usize::from(touched.config);
        for (name, count) in [
            ("config", config),
            ("eds", touched.endpoints.len()),
            ("svc", touched.services.len() - gone),
            ("svcdelete", gone),
        ] {
            if let Some(counter) = self.inbound.get(name) {
                counter.inc_by(count as u64);
            }
        }
    }

    async fn set_gauges(&self, store: &StoreHandle) {
        let mut activity = store.activity();
        loop {
            activity.mark_unchanged();
            let Ok(registries) = store.registries().await else {
                return;
            };
            self.ages.registries(&registries);
            let holds = registries
                .iter()
                .flat_map(|registry| &registry.sets)
                .filter(|set| set.held.is_some())
                .count();
            let pending = registries
                .iter()
                .filter(|registry| !registry.is_synced())
                .count();
            let status = store.status().get();
            for (kind, gauge) in self.unenforced.iter() {
                let of_kind = |source: &&Source| source.object.kind.as_str() == kind;
                let count = status.unprotected().filter(of_kind).count();
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
            let rejected = status
                .objects()
                .filter(|(_, status)| !status.rejected.is_empty())
                .count();
            for (gauge, count) in [
                (&self.guard_holds, holds),
                (&self.registries_pending, pending),
                (&self.rejected_objects, rejected),
            ] {
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
            tokio::time::sleep(PAUSE).await;
            if activity.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pilothouse_core::model::{Service, ServiceKey, ServicePort};
    use pilothouse_core::registry::{
        Meta, Need, Object, Origin, Problem, RegistryId, SetId, Value,
    };
    use pilothouse_core::rules::RuleSpec;
    use pilothouse_core::store::{Settings, Store};
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::registry::Registry;
    use serde_json::json;
    use tokio::task::JoinSet;

    use super::*;

    fn service(host: &str) -> Object {
        let key = ServiceKey {
            namespace: "shop".into(),
            host: pilothouse_core::model::Host::new(host).unwrap(),
        };
        Object {
            meta: Meta::new("Service", "shop", host),
            origin: Origin::new("test"),
            value: Value::from(Service::new(key, Vec::<ServicePort>::new())),
        }
    }

    fn policy(kind: &str, name: &str, spec: &serde_json::Value) -> Object {
        let (rule, _) = RuleSpec::parse("security.istio.io/v1", kind, spec).unwrap();
        Object {
            meta: Meta::new(kind, "shop", name),
            origin: Origin::new("test"),
            value: Value::Rule(rule),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn changes_and_states_are_counted() {
        let (store, handle) = Store::new(Settings::default());
        let metrics = Metrics::new(&mut Registry::default(), "");
        let mut tasks = JoinSet::new();
        tasks.spawn(store.run(CancellationToken::new()));
        tasks.spawn(
            metrics
                .clone()
                .follow(handle.clone(), CancellationToken::new()),
        );
        let updates = handle.updates(&RegistryId::new("Test", "one"), Need::Required);
        let set = SetId::new("all");
        let gauges = |metrics: &Metrics| {
            (
                metrics.registries_pending.get(),
                metrics.rejected_objects.get(),
                metrics.guard_holds.get(),
            )
        };
        tokio::time::sleep(PAUSE * 2).await;
        assert_eq!(gauges(&metrics), (1, 0, 0));

        let mut tx = updates.begin();
        tx.replace(set.clone(), vec![service("a.test"), service("b.test")]);
        let bad = service("bad.test").meta.key;
        tx.reject(
            &set,
            Some(bad),
            Origin::new("test"),
            vec![Problem::error("spec", "is bad")],
        );
        tx.commit().await.unwrap();
        updates.synced().await.unwrap();
        tokio::time::sleep(PAUSE * 2).await;
        assert_eq!(gauges(&metrics), (0, 1, 0));

        let unenforced = |metrics: &Metrics| {
            ["AuthorizationPolicy", "PeerAuthentication"]
                .map(|kind| metrics.unenforced.get(kind).map(Gauge::get))
        };
        let mut tx = updates.begin();
        let (strict, none) = (json!({"mtls": {"mode": "STRICT"}}), json!({}));
        tx.put(&set, policy("PeerAuthentication", "a", &strict));
        tx.put(&set, policy("PeerAuthentication", "b", &none));
        let bad = Meta::new("AuthorizationPolicy", "shop", "a").key;
        tx.reject(
            &set,
            Some(bad),
            Origin::new("test"),
            vec![Problem::error("spec", "is bad")],
        );
        tx.commit().await.unwrap();
        tokio::time::sleep(PAUSE * 2).await;
        assert_eq!(unenforced(&metrics), [Some(1), Some(2)]);
        let mut tx = updates.begin();
        for name in ["a", "b"] {
            tx.delete(&set, &Meta::new("PeerAuthentication", "shop", name).key);
        }
        tx.commit().await.unwrap();
        tokio::time::sleep(PAUSE * 2).await;
        assert_eq!(unenforced(&metrics), [Some(1), Some(0)]);

        let mut tx = updates.begin();
        tx.delete(&set, &service("a.test").meta.key);
        tx.commit().await.unwrap();
        tokio::time::sleep(PAUSE * 2).await;
        let count = |name: &str| metrics.inbound.get(name).map_or(0, |counter| counter.get());
        assert_eq!((count("svc"), count("svcdelete")), (2, 1));
    }
}
