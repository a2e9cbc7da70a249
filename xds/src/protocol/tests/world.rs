//! What clients are to have, in short: `a1` is version 1 of `a`, `l1/a,b/r` uses clusters and routes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use tokio::time::Instant;

use crate::fanout::{Layer, Set};
use crate::resource::{Name, Resource, ResourceType, Uses, Version};
use crate::snapshot::{Assignments, Snapshot};

/// The text of a resource: its version and what it uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text {
    pub(super) version: u64,
    pub(super) clusters: Vec<String>,
    pub(super) routes: Vec<String>,
}

impl Text {
    pub(super) fn read(text: &str) -> (String, Self) {
        let mut parts = text.split('/');
        let head = parts.next().unwrap_or_default();
        let at = head
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(head.len());
        let list = |part: Option<&str>| -> Vec<String> {
            let names = part.unwrap_or_default().split(',');
            names.filter(|n| !n.is_empty()).map(Into::into).collect()
        };
        let text = Self {
            version: head[at..].parse().unwrap_or(1),
            clusters: list(parts.next()),
            routes: list(parts.next()),
        };
        (head[..at].into(), text)
    }

    pub(super) fn write(&self, name: &str) -> String {
        let mut text = format!("{name}{}", self.version);
        if !self.clusters.is_empty() || !self.routes.is_empty() {
            text += &format!("/{}/{}", self.clusters.join(","), self.routes.join(","));
        }
        text
    }
}

pub(super) struct World {
    pub(super) resources: [BTreeMap<String, Text>; ResourceType::ALL.len()],
    generation: u64,
    last: Option<Arc<Snapshot>>,
}

impl World {
    pub(super) fn new(clusters: &str, endpoints: &str, listeners: &str, routes: &str) -> Self {
        let mut world = Self {
            resources: Default::default(),
            generation: 0,
            last: None,
        };
        for (t, text) in ResourceType::ALL
            .into_iter()
            .zip([clusters, endpoints, listeners, routes])
        {
            world.set(t, text);
        }
        world
    }

    /// Replaces all of a type.
    pub(super) fn set(&mut self, resource_type: ResourceType, texts: &str) {
        self.resources[resource_type.index()] = texts.split_whitespace().map(Text::read).collect();
    }

    /// Puts some of a type.
    pub(super) fn put(&mut self, resource_type: ResourceType, texts: &str) {
        self.resources[resource_type.index()].extend(texts.split_whitespace().map(Text::read));
    }

    pub(super) fn remove(&mut self, resource_type: ResourceType, name: &str) {
        self.resources[resource_type.index()].remove(name);
    }

    /// What is the same as before is the same pointer, as the publisher has it.
    pub(super) fn snapshot(&mut self) -> Arc<Snapshot> {
        self.generation += 1;
        let set = |t: ResourceType| {
            let all = &self.resources[t.index()];
            // What is named "own…" is in a layer of its own.
            let layer = |own: bool| {
                let mine = all
                    .iter()
                    .filter(|(name, _)| name.starts_with("own") == own);
                Arc::new(Layer::new(mine.map(|(name, text)| resource(t, name, text))))
            };
            let set = Arc::new(Set::new(vec![layer(false), layer(true)]));
            match &self.last {
                Some(last) if last.set(t).changed(&set).is_empty() => last.set(t).clone(),
                _ => set,
            }
        };
        let clusters = set(ResourceType::Cluster);
        let snapshot = Arc::new(Snapshot {
            generation: self.generation,
            since: Instant::now(),
            assignments: Assignments {
                clusters: clusters.clone(),
                bodies: set(ResourceType::Endpoint),
            },
            clusters,
            listeners: set(ResourceType::Listener),
            routes: set(ResourceType::Route),
            names: set(ResourceType::NameTable),
        });
        self.last = Some(snapshot.clone());
        snapshot
    }
}

fn resource(resource_type: ResourceType, name: &str, text: &Text) -> Arc<Resource> {
    let any = Any {
        type_url: resource_type.url().into(),
        value: text.write(name).into_bytes(),
    };
    let body = Bytes::from(any.encode_to_vec());
    let names = |names: &[String]| names.iter().map(|n| Name::from(n.as_str())).collect();
    Arc::new(Resource {
        name: name.into(),
        version: Version::of(&body),
        body,
        uses: Uses {
            clusters: names(&text.clusters),
            routes: names(&text.routes),
        },
        causes: Arc::new([]),
    })
}
