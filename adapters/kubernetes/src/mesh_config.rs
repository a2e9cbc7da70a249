//! Mesh-wide settings in a ConfigMap, as operators of Istio write them: the text below its key `mesh`.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use serde::Deserialize;

use crate::watch::{Event, Metadata, Raw, Resource, Scope, Settings, WatchError, follow};

/// The key of a ConfigMap that holds them.
const KEY: &str = "mesh";

/// Which ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshConfigMap {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// What a ConfigMap says.
#[derive(Debug)]
pub enum MeshConfigNews {
    /// The text of the settings.
    Text(String),
    /// There is no such ConfigMap, or it has no settings.
    Absent(String),
    /// It cannot be read; what it said before may be old.
    Failing(WatchError),
}

impl MeshConfigMap {
    /// What it says, and every change of it. The stream begins as soon as the API server has answered, and never ends; dropping it
    /// closes its connection.
    pub fn follow(
        &self,
        client: kube::Client,
        settings: &Settings,
    ) -> impl Stream<Item = MeshConfigNews> + Send + use<> {
        let resource = Resource {
            group: "",
            version: "v1".into(),
            plural: "configmaps",
            kind: "ConfigMap",
            metadata_only: false,
        };
        let scope = Scope {
            namespace: Some(Arc::clone(&self.namespace)),
            fields: Some(format!("metadata.name={}", self.name)),
            labels: None,
        };
        let place = self.to_string();
        let events = follow(client, resource, scope, settings, |raw| text(&raw));
        events.filter_map(move |event| {
            let news = news(event, &place);
            async move { news }
        })
    }
}

impl std::fmt::Display for MeshConfigMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConfigMap {}/{}", self.namespace, self.name)
    }
}

#[derive(Deserialize)]
struct ConfigMap {
    data: Option<BTreeMap<String, String>>,
}

fn text(raw: &Raw<'_>) -> Result<Option<String>, String> {
    let map: ConfigMap = serde_json::from_str(raw.text.get()).map_err(|error| error.to_string())?;
    Ok(map.data.unwrap_or_default().remove(KEY))
}

fn news(event: Event<Result<Option<String>, String>>, place: &str) -> Option<MeshConfigNews> {
    let of = |said: Result<Option<String>, String>| match said {
        Ok(Some(text)) => MeshConfigNews::Text(text),
        Ok(None) => MeshConfigNews::Absent(format!("{place} has no key {KEY}")),
        Err(why) => MeshConfigNews::Absent(format!("{place}: {why}")),
    };
    let gone = || MeshConfigNews::Absent(format!("there is no {place}"));
    Some(match event {
        Event::Listed(all) => all.into_iter().next().map_or_else(gone, of),
        Event::Applied(said) => of(said),
        Event::Deleted(Metadata { .. }) | Event::Absent => gone(),
        Event::Failing(error) | Event::Unreadable(error) => MeshConfigNews::Failing(error),
        Event::Recovered => return None,
    })
}
