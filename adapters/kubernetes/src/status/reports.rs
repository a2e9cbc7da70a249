//! Verdicts on their way from replica to replica: one small `ConfigMap` for each.
//!
//! A replica writes its own when it has changed, at most every ten seconds, and now and then to show that it is still there. The
//! replica that writes status reads those of the others, and removes one that nobody has touched for long. Where the replica
//! is a pod, the `ConfigMap` belongs to it and goes with it.

use std::collections::BTreeMap;
use std::time::Duration;

use pilothouse_core::registry::RegistryId;
use pilothouse_core::status::StatusHandle;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::api::{Api, ApiError};
use super::lease::Leadership;
use super::verdicts::{self, Verdicts};

/// How often a replica writes, or reads, at most.
const EVERY: Duration = Duration::from_secs(10);
/// How often a replica shows that it is there.
const ALIVE: Duration = Duration::from_secs(600);
/// After how long without a sign a replica is taken for gone.
const GONE: Duration = Duration::from_secs(1800);
/// The label by which these are found; its value is the registry whose objects they speak of.
const LABEL: &str = "pilothouse.dev/verdicts";
/// The key of the text.
const FIELD: &str = "verdicts.json";

/// The verdicts of replicas that look after one cluster.
#[derive(Clone)]
pub(super) struct Reports {
    pub api: Api,
    pub registry: RegistryId,
    pub namespace: String,
    /// This replica.
    pub replica: String,
    /// The pod that it is.
    pub pod_uid: Option<String>,
}

impl Reports {
    fn collection(&self) -> String {
        format!("/api/v1/namespaces/{}/configmaps", self.namespace)
    }

    fn name(&self) -> String {
        format!("pilothouse-verdicts-{}", as_name(&self.replica))
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.collection())
    }

    /// Publishes what the proxies of this replica say until `stop`, and then takes it back.
    pub(super) async fn publish(&self, status: StatusHandle, stop: CancellationToken) {
        let mut revisions = status.revisions();
        let mut published: Option<(Verdicts, Instant)> = None;
        let mut failures = 0;
        while !stop.is_cancelled() {
            revisions.mark_unchanged();
            let own = verdicts::of(&status.get(), &self.registry);
            let is_news = published
                .as_ref()
                .is_none_or(|(before, at)| *before != own || at.elapsed() >= ALIVE);
            let mut pause = EVERY;
            if is_news {
                match self.write(&own).await {
                    Ok(()) => (published, failures) = (Some((own, Instant::now())), 0),
                    Err(error) => {
                        failures += 1;
                        if failures == 1 {
                            tracing::warn!(target: "status", %error, "what proxies refuse is not told to other replicas");
                        }
                        pause = (EVERY * failures).min(ALIVE);
                    }
                }
            }
            // At most so often; from then on, with the next news.
            let at_least = tokio::time::sleep(pause);
            if stop.run_until_cancelled(at_least).await.is_none() {
                break;
            }
            if failures == 0 {
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = tokio::time::timeout(ALIVE, revisions.changed()) => {}
                }
            }
        }
        if let Err(error) = self.api.delete(&self.path(&self.name())).await {
            tracing::debug!(target: "status", %error, "what proxies refuse is left behind");
        }
    }

    async fn write(&self, own: &Verdicts) -> Result<(), ApiError> {
        let object = self.object(own);
        match self.api.replace(&self.path(&self.name()), &object).await {
            Err(error) if error.code() == 404 => {
                self.api.create(&self.collection(), &object).await?;
                Ok(())
            }
            written => written.map(drop),
        }
    }

    fn object(&self, own: &Verdicts) -> Value {
        let mut metadata = json!({
            "name": self.name(),
            "namespace": self.namespace,
            "labels": {
                "app.kubernetes.io/managed-by": "pilothouse",
                LABEL: label(&self.registry),
            },
            // So that a write that says the same is seen.
            "annotations": {"pilothouse.dev/renewed": format!("{:.0}", jiff::Timestamp::now())},
        });
        if let Some(uid) = &self.pod_uid {
            metadata["ownerReferences"] = json!([
                {"apiVersion": "v1", "kind": "Pod", "name": self.replica, "uid": uid}
            ]);
        }
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {FIELD: verdicts::write(own)},
        })
    }

    /// Reads what the other replicas have published, whenever this one writes status.
    pub(super) async fn gather(
        &self,
        mut leading: Leadership,
        tell: watch::Sender<BTreeMap<String, Verdicts>>,
        stop: CancellationToken,
    ) {
        loop {
            if stop.run_until_cancelled(leading.taken()).await.is_none() {
                return;
            }
            let mut seen = Seen::default();
            let mut rounds = interval(EVERY);
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while leading.holds() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = rounds.tick() => {}
                }
                match self.round(&mut seen).await {
                    Ok(others) => {
                        tell.send_if_modified(|before| {
                            let news = *before != others;
                            *before = others;
                            news
                        });
                    }
                    Err(error) => {
                        tracing::debug!(target: "status", %error, "verdicts of other replicas");
                    }
                }
            }
        }
    }

    async fn round(&self, seen: &mut Seen) -> Result<BTreeMap<String, Verdicts>, ApiError> {
        let path = format!(
            "{}?labelSelector={LABEL}%3D{}",
            self.collection(),
            label(&self.registry)
        );
        let list = self.api.get(&path).await?.unwrap_or_default();
        let mut others = BTreeMap::new();
        let mut present = Vec::new();
        for item in list["items"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let name = text(&item["metadata"]["name"]);
            if name == self.name() {
                continue;
            }
            let version = text(&item["metadata"]["resourceVersion"]);
            if seen.is_silent(&name, version, Instant::now()) {
                self.api.delete(&self.path(&name)).await?;
                tracing::info!(target: "status", name, "a replica has gone, and its verdicts with it");
                continue;
            }
            present.push(name.clone());
            others.insert(name, verdicts::read(&text(&item["data"][FIELD])));
        }
        seen.0.retain(|name, _| present.contains(name));
        Ok(others)
    }
}

/// Since when each has been in its version, as far as this replica knows: nobody's clock is compared.
#[derive(Debug, Default)]
struct Seen(BTreeMap<String, (String, Instant)>);

impl Seen {
    fn is_silent(&mut self, name: &str, version: String, now: Instant) -> bool {
        match self.0.get(name) {
            Some((known, since)) if *known == version => now >= *since + GONE,
            _ => {
                self.0.insert(name.to_owned(), (version, now));
                false
            }
        }
    }
}

/// A text as a part of an object's name, which has fewer letters than hosts' names have.
fn as_name(text: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '-' | '.') => c,
        _ => '-',
    };
    text.chars().map(plain).collect()
}

/// The registry, as a label may say it.
fn label(registry: &RegistryId) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '-'
        }
    };
    let name: String = registry
        .cluster
        .as_str()
        .chars()
        .map(plain)
        .take(63)
        .collect();
    let ends = |c: char| !c.is_ascii_alphanumeric();
    name.trim_matches(ends).to_owned()
}

#[cfg(test)]
mod tests;
