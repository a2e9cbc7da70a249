//! The lease on the server: looks, renews, and tells whether this replica holds it.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::api::{Api, ApiError};
use super::election::{Election, Move, Record, Times};

/// Where a lease stands and who asks for it.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    /// Where.
    pub namespace: String,
    /// What it is called.
    pub name: String,
    /// Who asks: no two replicas are called alike.
    pub me: String,
    /// How long things take.
    pub times: Times,
}

/// Until when this replica holds the lease; `None`: it does not.
#[derive(Debug, Clone)]
pub(super) struct Leadership(watch::Receiver<Option<Instant>>);

impl Leadership {
    /// Nobody's, and the way to say whose it is.
    pub(super) fn new() -> (watch::Sender<Option<Instant>>, Self) {
        let (tell, hear) = watch::channel(None);
        (tell, Self(hear))
    }

    /// Whether it is this replica's at this moment.
    pub(super) fn holds(&self) -> bool {
        self.0.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until it is.
    pub(super) async fn taken(&mut self) {
        while !self.holds() {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until it is not.
    pub(super) async fn lost(&mut self) {
        loop {
            let until = *self.0.borrow_and_update();
            let Some(until) = until.filter(|until| Instant::now() < *until) else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                changed = self.0.changed() => if changed.is_err() {
                    tokio::time::sleep_until(until).await;
                    return;
                }
            }
        }
    }
}

/// A name that no other process has, however often one of this name is started.
pub(super) fn identity(name: &str) -> String {
    format!("{name}_{:016x}", RandomState::new().hash_one(name))
}

impl Lease {
    fn collection(&self) -> String {
        format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
            self.namespace
        )
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection(), self.name)
    }

    /// Asks for the lease until `stop`, and then gives it back.
    pub(super) async fn contend(
        self,
        api: Api,
        tell: watch::Sender<Option<Instant>>,
        stop: CancellationToken,
    ) {
        let mut election = Election::new(&*self.me, self.times);
        let mut told = false;
        // A holder writes without looking, as long as that works.
        let mut look = true;
        loop {
            let round = self.round(&api, &mut election, look);
            let Some(round) = stop.run_until_cancelled(round).await else {
                break;
            };
            if let Err(error) = &round {
                tracing::debug!(target: "status", %error, "the lease of status");
            }
            let until = election
                .leads_until()
                .filter(|until| Instant::now() < *until);
            look = round.is_err() || until.is_none();
            tell.send_if_modified(|before| std::mem::replace(before, until) != until);
            if told != until.is_some() {
                told = until.is_some();
                let lease = format!("{}/{}", self.namespace, self.name);
                tracing::info!(target: "status", lease, me = self.me, holds = told, "who writes status");
            }
            let pause = match until {
                Some(_) => self.times.retry,
                None => self.times.retry + jitter(self.times.retry),
            };
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                break;
            }
        }
        tell.send_replace(None);
        if let Some((record, version)) = election.release(&now()) {
            let given = self.object(&record, Some(&version));
            if let Err(error) = api.replace(&self.path(), &given).await {
                tracing::debug!(target: "status", %error, "the lease of status is left to run out");
            }
        }
    }

    async fn round(&self, api: &Api, election: &mut Election, look: bool) -> Result<(), ApiError> {
        if look {
            let found = api.get(&self.path()).await?;
            election.observe(found.as_ref().map(read), Instant::now());
        }
        let asked = Instant::now();
        let (record, written) = match election.next(asked, &now()) {
            Move::Wait => return Ok(()),
            Move::Create(record) => {
                let object = self.object(&record, None);
                let written = api.create(&self.collection(), &object).await?;
                (record, written)
            }
            Move::Replace(record, version) => {
                let object = self.object(&record, Some(&version));
                let written = api.replace(&self.path(), &object).await?;
                (record, written)
            }
        };
        election.wrote(record, version(&written), asked);
        Ok(())
    }

    fn object(&self, record: &Record, version: Option<&str>) -> Value {
        let mut object = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "holderIdentity": record.holder,
                "leaseDurationSeconds": record.lasts.as_secs(),
                "acquireTime": record.acquired,
                "renewTime": record.renewed,
                "leaseTransitions": record.transitions,
            },
        });
        if let Some(version) = version {
            object["metadata"]["resourceVersion"] = version.into();
        }
        object
    }
}

/// A lease as the server has it. What is missing counts as empty, and an empty duration has run out.
fn read(lease: &Value) -> (Record, String) {
    let spec = &lease["spec"];
    let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
    let record = Record {
        holder: text("holderIdentity"),
        lasts: Duration::from_secs(spec["leaseDurationSeconds"].as_u64().unwrap_or_default()),
        acquired: text("acquireTime"),
        renewed: text("renewTime"),
        transitions: spec["leaseTransitions"].as_i64().unwrap_or_default(),
    };
    (record, version(lease))
}

fn version(object: &Value) -> String {
    let version = &object["metadata"]["resourceVersion"];
    version.as_str().unwrap_or_default().to_owned()
}

/// In the one form that the server reads.
fn now() -> String {
    format!("{:.6}", Timestamp::now())
}

/// Up to `most`, so that replicas do not ask in step.
fn jitter(most: Duration) -> Duration {
    let part = RandomState::new().hash_one(0) % 1000;
    most * u32::try_from(part).unwrap_or_default() / 1000
}

#[cfg(test)]
mod tests;
