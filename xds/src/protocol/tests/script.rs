//! A client that says what it is told to say, and shows what it is sent as a line of text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};
use prost::Message;
use tokio::time::Instant;

use super::world::World;
use crate::fanout::Fanout;
use crate::protocol::{
    Mode, Names, ProtocolError, Rejection, Request, Response, Service, Settings, Stream,
};
use crate::resource::ResourceType;

pub(super) const CDS: ResourceType = ResourceType::Cluster;
pub(super) const EDS: ResourceType = ResourceType::Endpoint;
pub(super) const LDS: ResourceType = ResourceType::Listener;
pub(super) const RDS: ResourceType = ResourceType::Route;
pub(super) const NDS: ResourceType = ResourceType::NameTable;

/// A response, decoded.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) resource_type: ResourceType,
    pub(super) nonce: String,
    pub(super) version: String,
    /// Name, version, text.
    pub(super) resources: Vec<(String, String, String)>,
    pub(super) removed: Vec<String>,
}

pub(super) fn decode(mode: Mode, response: &Response) -> Said {
    let mut bytes = response.head.to_vec();
    for block in response.parts.blocks() {
        bytes.extend_from_slice(block);
    }
    assert_eq!(bytes.len(), response.message_len());
    let said = match mode {
        Mode::Delta => {
            let message = DeltaDiscoveryResponse::decode(&*bytes).unwrap();
            let resource = |r: envoy_types::pb::envoy::service::discovery::v3::Resource| {
                let any = r.resource.unwrap();
                assert_eq!(any.type_url, response.resource_type.url());
                (r.name, r.version, value(&any.value))
            };
            assert_eq!(message.type_url, response.resource_type.url());
            Said {
                resource_type: response.resource_type,
                nonce: message.nonce,
                version: message.system_version_info,
                resources: message.resources.into_iter().map(resource).collect(),
                removed: message.removed_resources,
            }
        }
        Mode::Sotw => {
            let message = DiscoveryResponse::decode(&*bytes).unwrap();
            assert_eq!(message.type_url, response.resource_type.url());
            let resources = message.resources.into_iter().map(|any| {
                let text = value(&any.value);
                let name = super::world::Text::read(&text).0;
                (name, String::new(), text)
            });
            Said {
                resource_type: response.resource_type,
                nonce: message.nonce,
                version: message.version_info,
                resources: resources.collect(),
                removed: Vec::new(),
            }
        }
    };
    assert_eq!(said.nonce, response.nonce);
    assert_eq!(said.resources.len(), response.resources);
    assert_eq!(said.removed.len(), response.removed);
    let mut names: Vec<_> = said
        .resources
        .iter()
        .map(|r| &r.0)
        .chain(&said.removed)
        .collect();
    names.sort();
    let len = names.len();
    names.dedup();
    assert_eq!(names.len(), len, "a name twice in {said:?}");
    said
}

/// An empty load assignment is the encoding of its name only.
fn value(bytes: &[u8]) -> String {
    match bytes {
        [0x0a, len, name @ ..] if name.len() == usize::from(*len) => {
            format!("{}0", String::from_utf8_lossy(name))
        }
        text => String::from_utf8_lossy(text).into_owned(),
    }
}

impl Said {
    fn line(&self) -> String {
        let mut line = self.resource_type.short().to_owned();
        let mut texts: Vec<_> = self
            .resources
            .iter()
            .map(|(_, _, text)| text.split('/').next().unwrap_or_default())
            .collect();
        texts.sort_unstable();
        for text in texts {
            line += &format!(" +{text}");
        }
        for name in &self.removed {
            line += &format!(" -{name}");
        }
        line
    }
}

pub(super) struct Script {
    pub(super) world: World,
    pub(super) stream: Stream,
    pub(super) shared: Arc<Fanout>,
    pub(super) now: Instant,
    mode: Mode,
    service: Service,
    /// Of each type: the last response, and the names of a state-of-the-world subscription.
    last: [Option<Said>; ResourceType::ALL.len()],
    names: [Vec<String>; ResourceType::ALL.len()],
    /// Versions of what has been received, for reconnecting.
    pub(super) held: [BTreeMap<String, String>; ResourceType::ALL.len()],
}

impl Script {
    pub(super) fn new(mode: Mode, service: Service, world: World) -> Self {
        let shared = Arc::new(Fanout::default());
        Self {
            world,
            stream: Stream::new(mode, service, shared.clone(), Settings::default()),
            shared,
            now: Instant::now(),
            mode,
            service,
            last: Default::default(),
            names: Default::default(),
            held: Default::default(),
        }
    }

    /// With the world published.
    pub(super) fn ready(mode: Mode, world: World) -> Self {
        let mut script = Self::new(mode, Service::Ads, world);
        script.publish();
        script
    }

    pub(super) fn publish(&mut self) {
        let snapshot = self.world.snapshot();
        self.stream.publish(snapshot, self.now);
    }

    /// The world changes, and what is sent thereupon is this.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut World), expected: &[&str]) {
        change(&mut self.world);
        self.publish();
        self.sent(expected);
    }

    /// A new stream; what was received is kept.
    pub(super) fn cut(&mut self) {
        self.stream = Stream::new(
            self.mode,
            self.service,
            self.shared.clone(),
            Settings::default(),
        );
        self.publish();
    }

    /// All that is sent.
    pub(super) fn take(&mut self) -> Vec<Said> {
        let mut all = Vec::new();
        while let Some(response) = self.stream.poll(self.now) {
            let said = decode(self.mode, &response);
            let held = &mut self.held[said.resource_type.index()];
            for (name, version, _) in &said.resources {
                held.insert(name.clone(), version.clone());
            }
            for name in &said.removed {
                held.remove(name);
            }
            self.last[said.resource_type.index()] = Some(said.clone());
            all.push(said);
            assert!(all.len() < 100, "it does not end");
        }
        all
    }

    /// What is sent is this.
    #[track_caller]
    pub(super) fn sent(&mut self, expected: &[&str]) {
        let lines: Vec<_> = self.take().iter().map(Said::line).collect();
        assert_eq!(lines, expected);
    }

    pub(super) fn wait(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    pub(super) fn last(&self, resource_type: ResourceType) -> Said {
        self.last[resource_type.index()].clone().unwrap()
    }

    /// A request in full.
    pub(super) fn request(
        &mut self,
        resource_type: ResourceType,
        nonce: &str,
        error: Option<&str>,
        names: Names<'_>,
    ) -> Result<(), ProtocolError> {
        let error = error.map(|message| Rejection {
            code: 3,
            message: message.into(),
        });
        let request = Request {
            resource_type,
            nonce,
            error,
            names,
        };
        self.stream.request(request, self.now)
    }

    /// A delta request without nonce.
    pub(super) fn delta(&mut self, t: ResourceType, subscribe: &str, unsubscribe: &str) {
        self.delta_with(t, "", None, subscribe, unsubscribe);
    }

    pub(super) fn delta_with(
        &mut self,
        t: ResourceType,
        nonce: &str,
        error: Option<&str>,
        subscribe: &str,
        unsubscribe: &str,
    ) {
        let names = Names::Delta {
            subscribe: subscribe.split_whitespace().collect(),
            unsubscribe: unsubscribe.split_whitespace().collect(),
            initial: Vec::new(),
        };
        self.request(t, nonce, error, names).unwrap();
    }

    /// The first delta request of a client that has come back with what it holds.
    pub(super) fn back(&mut self, t: ResourceType, subscribe: &str) {
        let held = self.held[t.index()].clone();
        let initial = held.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let names = Names::Delta {
            subscribe: subscribe.split_whitespace().collect(),
            unsubscribe: Vec::new(),
            initial: initial.collect(),
        };
        self.request(t, "", None, names).unwrap();
    }

    /// A state-of-the-world request; `""` stands for the empty name.
    pub(super) fn sotw(&mut self, t: ResourceType, nonce: &str, names: &str) {
        self.names[t.index()] = names
            .split_whitespace()
            .map(|n| n.trim_matches('"').to_owned())
            .collect();
        self.sotw_with(t, nonce, None, "");
    }

    pub(super) fn sotw_with(
        &mut self,
        t: ResourceType,
        nonce: &str,
        error: Option<&str>,
        version: &str,
    ) {
        let names = self.names[t.index()].clone();
        let names = names.iter().map(String::as_str).collect();
        self.request(t, nonce, error, Names::Sotw { version, names })
            .unwrap();
    }

    /// Acknowledges the last response.
    pub(super) fn ack(&mut self, t: ResourceType) {
        self.answer(t, None);
    }

    pub(super) fn nack(&mut self, t: ResourceType, message: &str) {
        self.answer(t, Some(message));
    }

    fn answer(&mut self, t: ResourceType, error: Option<&str>) {
        let last = self.last(t);
        match self.mode {
            Mode::Delta => self.delta_with(t, &last.nonce, error, "", ""),
            Mode::Sotw => self.sotw_with(t, &last.nonce, error, &last.version),
        }
    }

    /// Asks for what Envoy asks for, and acknowledges everything, until all is quiet.
    pub(super) fn start(&mut self, endpoints: &str, routes: &str) {
        for (t, names) in [(CDS, ""), (EDS, endpoints), (LDS, ""), (RDS, routes)] {
            if t.has_wildcard() || !names.is_empty() {
                match self.mode {
                    Mode::Delta => self.delta(t, names, ""),
                    Mode::Sotw => self.sotw(t, "", names),
                }
            }
            self.settle();
        }
    }

    /// Acknowledges everything until all is quiet.
    pub(super) fn settle(&mut self) {
        loop {
            let said = self.take();
            if said.is_empty() {
                return;
            }
            for said in said {
                self.ack(said.resource_type);
            }
        }
    }
}
