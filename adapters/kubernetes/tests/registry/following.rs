//! A resource as it is followed, and what is known of it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use pilothouse_kubernetes::watch::{Event, Raw, Resource, Scope, Settings, StreamingLists, follow};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::fake::Fake;

/// The resource that is followed here.
pub(crate) const PODS: &str = "pods";

/// Pods.
pub(crate) fn pods() -> Resource {
    Resource {
        group: "",
        version: "v1".into(),
        plural: PODS,
        kind: "Pod",
        metadata_only: false,
    }
}

/// A pod of the namespace `shop` that says this.
pub(crate) fn pod(name: &str, says: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "labels": {"app": "web"}}, "spec": {"says": says}})
}

/// Settings without streaming lists, and with pages of two.
pub(crate) fn by_pages() -> Settings {
    Settings {
        page: 2,
        streaming: StreamingLists::never(),
        ..Settings::default()
    }
}

/// What an object is called, and what it says.
type Seen = (String, String);

/// What is known by following.
pub(crate) struct Following {
    events: Pin<Box<dyn Stream<Item = Event<Seen>> + Send>>,
    pub(crate) known: BTreeMap<String, String>,
}

impl Following {
    pub(crate) fn new(fake: &Fake, settings: &Settings) -> Self {
        Self::of(fake.client(), pods(), Scope::default(), settings)
    }

    pub(crate) fn of(
        client: kube::Client,
        resource: Resource,
        scope: Scope,
        settings: &Settings,
    ) -> Self {
        Self {
            events: Box::pin(follow(client, resource, scope, settings, seen)),
            known: BTreeMap::new(),
        }
    }

    /// What happens next, in a few words; `nothing` if that takes longer than an hour.
    pub(crate) async fn event(&mut self) -> String {
        self.within(Duration::from_secs(3600)).await
    }

    /// What happens next within a time.
    pub(crate) async fn within(&mut self, time: Duration) -> String {
        let Ok(event) = timeout(time, self.events.next()).await else {
            return "nothing".into();
        };
        match event.unwrap() {
            Event::Listed(all) => {
                let names = all.len();
                self.known = all.into_iter().collect();
                assert_eq!(self.known.len(), names, "an object is listed twice");
                format!("listed {}", self.shown())
            }
            Event::Applied((name, says)) => {
                let text = format!("applied {name}={says}");
                self.known.insert(name, says);
                text
            }
            Event::Deleted(metadata) => {
                self.known.remove(&metadata.name);
                format!("deleted {}", metadata.name)
            }
            Event::Absent => {
                self.known.clear();
                "absent".into()
            }
            Event::Failing(why) => format!("failing: {why}"),
            Event::Recovered => "recovered".into(),
            Event::Unreadable(why) => format!("unreadable: {why}"),
        }
    }

    /// What is known: `name=what it says`.
    pub(crate) fn shown(&self) -> String {
        let all = self
            .known
            .iter()
            .map(|(name, says)| format!("{name}={says}"));
        all.collect::<Vec<_>>().join(" ")
    }

    /// These events come, in this order: each begins like this.
    #[track_caller]
    pub(crate) fn expect<'a>(
        &'a mut self,
        expected: &'a [&'a str],
    ) -> impl Future<Output = ()> + 'a {
        let at = std::panic::Location::caller();
        async move {
            for expected in expected {
                let found = self.event().await;
                assert!(
                    found.starts_with(expected),
                    "at {at}: expected {expected:?}, found {found:?}"
                );
            }
        }
    }
}

fn seen(raw: Raw<'_>) -> Seen {
    let object: Value = serde_json::from_str(raw.text.get()).unwrap();
    let says = object["spec"]["says"].as_str().unwrap_or("-");
    (raw.metadata.name, says.into())
}
