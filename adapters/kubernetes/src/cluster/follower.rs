//! One kind of objects as it is followed: in the version that the server has, and for as long as it has one.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::Client;
use pilothouse_core::registry::ObjectKey;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::convert::{Converted, Converter};
use super::served::Served;
use crate::kinds::Kind;
use crate::watch::{Event, Resource, Scope, Settings, follow};

/// How soon it is asked again for a kind that is not there, after something has been installed, and how late at most: what is
/// installed is served a moment later, and the watch that tells of it may not be allowed.
const SOON: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(30);

/// What is told of a kind.
#[derive(Debug)]
pub(super) enum News {
    /// This is all there is.
    Listed(Vec<Converted>),
    /// An object is new, or changed.
    Applied(Converted),
    /// An object is gone.
    Deleted(ObjectKey),
    /// The cluster has no such kind.
    Absent,
    /// What is known stays as it is.
    Failing(Cause),
    /// It can be read again, and is as it was.
    Recovered,
    /// There is an object of which not even the name can be read.
    Unreadable(Cause),
}

/// Why something cannot be read.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Which follower says it, and what.
pub(super) type Message = (u64, News);

/// Follows one kind.
pub(super) struct Follower {
    pub(super) id: u64,
    pub(super) kind: Kind,
    pub(super) scope: Scope,
    pub(super) client: Client,
    pub(super) served: Arc<Served>,
    pub(super) settings: Settings,
    pub(super) convert: Box<dyn Fn(&str) -> Converter + Send + Sync>,
    pub(super) out: mpsc::Sender<Message>,
}

/// Nobody listens any longer.
struct Unheard;

impl Follower {
    /// Follows it until nobody listens.
    pub(super) async fn run(self) {
        let ended = if self.kind.is_built_in() {
            self.follow_built_in().await
        } else {
            self.follow_installed().await
        };
        let Err(Unheard) = ended;
    }

    /// Of a kind that every server has.
    async fn follow_built_in(&self) -> Result<std::convert::Infallible, Unheard> {
        let version = self.kind.versions.first().copied().unwrap_or("v1");
        loop {
            self.follow(version).await?;
        }
    }

    /// Of a kind that is there when it is installed, in some version.
    async fn follow_installed(&self) -> Result<std::convert::Infallible, Unheard> {
        let mut changes = self.served.changes();
        let mut absent = false;
        let mut pause = SOON;
        loop {
            match self.served.version(&self.kind).await {
                Ok(Some(version)) => {
                    absent = false;
                    let begun = Instant::now();
                    self.follow(version).await?;
                    if begun.elapsed() > LATE {
                        pause = SOON;
                    }
                }
                Ok(None) if absent => {}
                Ok(None) => {
                    absent = true;
                    self.tell(News::Absent).await?;
                }
                Err(error) => {
                    absent = false;
                    self.tell(News::Failing(error.into())).await?;
                }
            }
            // Not all at one moment.
            let spread = 1.0 + f64::from(u8::try_from(self.id % 8).unwrap_or(0)) / 16.0;
            let waited = timeout(pause.mul_f64(spread), changes.changed()).await;
            pause = match waited {
                Ok(_) => {
                    sleep(SOON).await;
                    SOON
                }
                Err(_) => (pause * 2).min(LATE),
            };
        }
    }

    /// Follows it in one version until the server has that no longer.
    async fn follow(&self, version: &str) -> Result<(), Unheard> {
        let resource = Resource {
            group: self.kind.group,
            version: version.into(),
            plural: self.kind.plural,
            kind: self.kind.name,
            metadata_only: self.kind.metadata_only,
        };
        let (converter, keys) = ((self.convert)(version), (self.convert)(version));
        let events = follow(
            self.client.clone(),
            resource,
            self.scope.clone(),
            &self.settings,
            move |raw| converter.convert(raw),
        );
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            let news = match event {
                Event::Listed(all) => News::Listed(all),
                Event::Applied(object) => News::Applied(object),
                Event::Deleted(metadata) => News::Deleted(keys.key(&metadata)),
                Event::Absent if self.kind.is_built_in() => {
                    let what = format!(
                        "the API server does not know {} of {:?} {version}: is it one of Kubernetes 1.21 or later?",
                        self.kind.plural, self.kind.group
                    );
                    News::Failing(what.into())
                }
                Event::Absent => return Ok(()),
                Event::Failing(error) => News::Failing(error.into()),
                Event::Recovered => News::Recovered,
                Event::Unreadable(error) => News::Unreadable(error.into()),
            };
            self.tell(news).await?;
        }
        Ok(())
    }

    async fn tell(&self, news: News) -> Result<(), Unheard> {
        let sent = self.out.send((self.id, news)).await;
        sent.map_err(|_| Unheard)
    }
}

/// Wakes those that wait for a kind when the definitions of custom resources change. Where they may not be read, kinds that are
/// installed later are noticed a little later.
pub(super) async fn follow_definitions(client: Client, settings: Settings, served: Arc<Served>) {
    let resource = Resource {
        group: "apiextensions.k8s.io",
        version: "v1".into(),
        plural: "customresourcedefinitions",
        kind: "CustomResourceDefinition",
        metadata_only: true,
    };
    let concerns = served.clone();
    let convert = move |raw: crate::watch::Raw<'_>| concerns.concerns(&raw.metadata.name);
    let events = follow(client, resource, Scope::default(), &settings, convert);
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let concerned = match event {
            Event::Listed(all) => all.contains(&true),
            Event::Applied(concerned) => concerned,
            Event::Deleted(metadata) => served.concerns(&metadata.name),
            Event::Failing(error) => {
                tracing::debug!(target: "kube", %error, "what is installed later is noticed within {LATE:?}");
                false
            }
            Event::Absent | Event::Recovered | Event::Unreadable(_) => false,
        };
        if concerned {
            served.changed();
        }
    }
}
