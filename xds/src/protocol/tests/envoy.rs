//! A model of Envoy: it warms clusters, and acknowledges none while one warms; it asks for what it needs by and by; it applies
//! what is good of a response of which it rejects a part, and says which; or it cannot read the response, applies nothing and names
//! nothing. Clusters whose names begin with `s` need no load assignment.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::script::{CDS, EDS, LDS, RDS, Said};
use super::world::Text;
use crate::protocol::{Mode, Names, Rejection, Request};
use crate::resource::ResourceType;

/// This version is rejected, whatever it is of.
pub(super) const BAD: u64 = 9;

/// A request that is under way.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) resource_type: ResourceType,
    pub(super) nonce: String,
    error: Option<String>,
    pub(super) subscribe: Vec<String>,
    unsubscribe: Vec<String>,
    initial: Vec<(String, String)>,
    version: String,
}

/// A resource that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) version: String,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct Envoy {
    mode: Mode,
    /// Whether it can read what it rejects, and says what it was.
    names_culprits: bool,
    pub(super) state: [BTreeMap<String, Got>; ResourceType::ALL.len()],
    pub(super) warming: BTreeSet<String>,
    pub(super) asked: [bool; ResourceType::ALL.len()],
    /// Names asked for, of the types that have no wildcard.
    pub(super) names: [BTreeSet<String>; ResourceType::ALL.len()],
    /// State of the world: version accepted last, and nonce received last.
    versions: [String; ResourceType::ALL.len()],
    nonces: [String; ResourceType::ALL.len()],
    /// Requests for clusters that wait until none warms.
    paused: Vec<Ask>,
    pub(super) to_server: VecDeque<Ask>,
}

impl Ask {
    pub(super) fn request(&self, mode: Mode) -> Request<'_> {
        let names = match mode {
            Mode::Delta => Names::Delta {
                subscribe: self.subscribe.iter().map(String::as_str).collect(),
                unsubscribe: self.unsubscribe.iter().map(String::as_str).collect(),
                initial: self
                    .initial
                    .iter()
                    .map(|(n, v)| (n.as_str(), v.as_str()))
                    .collect(),
            },
            Mode::Sotw => Names::Sotw {
                version: &self.version,
                names: self.subscribe.iter().map(String::as_str).collect(),
            },
        };
        Request {
            resource_type: self.resource_type,
            nonce: &self.nonce,
            error: self
                .error
                .clone()
                .map(|message| Rejection { code: 3, message }),
            names,
        }
    }
}

impl Envoy {
    pub(super) fn new(mode: Mode, names_culprits: bool) -> Self {
        Self {
            mode,
            names_culprits,
            state: Default::default(),
            warming: BTreeSet::new(),
            asked: [false; ResourceType::ALL.len()],
            names: Default::default(),
            versions: Default::default(),
            nonces: Default::default(),
            paused: Vec::new(),
            to_server: VecDeque::new(),
        }
    }

    /// A new stream.
    pub(super) fn connect(&mut self) {
        self.to_server.clear();
        self.paused.clear();
        self.nonces = Default::default();
        self.asked[CDS.index()] = true;
        self.asked[ResourceType::NameTable.index()] = true;
        for t in ResourceType::ALL {
            if self.asked[t.index()] {
                let held = &self.state[t.index()];
                let initial = match self.mode {
                    Mode::Delta => held
                        .iter()
                        .map(|(n, g)| (n.clone(), g.version.clone()))
                        .collect(),
                    Mode::Sotw => Vec::new(),
                };
                let names = self.names[t.index()].iter().cloned().collect();
                self.ask(t, names, Vec::new(), initial, None);
            }
        }
    }

    pub(super) fn receive(&mut self, said: &Said) {
        let t = said.resource_type;
        self.nonces[t.index()].clone_from(&said.nonce);
        let bad: Vec<_> = said
            .resources
            .iter()
            .filter(|(_, _, text)| Text::read(text).1.version == BAD)
            .map(|(name, _, _)| name.clone())
            .collect();
        let error = (!bad.is_empty()).then(|| {
            let named = format!("Error adding {}: no", bad.join(": no, "));
            if self.names_culprits {
                named
            } else {
                "no".into()
            }
        });
        let readable = error.is_none() || self.names_culprits;
        match t {
            ResourceType::Cluster if readable => self.clusters(said),
            ResourceType::Listener if readable => self.listeners(said),
            ResourceType::Endpoint | ResourceType::Route if error.is_none() => {
                for (name, version, text) in &said.resources {
                    if self.names[t.index()].contains(name) {
                        self.put(t, name, version, text);
                        if t == EDS {
                            self.warming.remove(name);
                        }
                    }
                }
                for name in &said.removed {
                    assert_eq!(t, RDS, "load assignments are never removed");
                    self.state[t.index()].remove(name);
                }
            }
            // The agent beside it.
            ResourceType::NameTable if error.is_none() => {
                if self.mode == Mode::Sotw {
                    self.state[t.index()].clear();
                }
                for (name, version, text) in &said.resources {
                    self.put(t, name, version, text);
                }
                for name in &said.removed {
                    self.state[t.index()].remove(name);
                }
            }
            _ => {}
        }
        if error.is_none() {
            self.versions[t.index()].clone_from(&said.version);
        }
        self.ask(t, Vec::new(), Vec::new(), Vec::new(), error);
        if t == CDS {
            let needed = self.state[CDS.index()]
                .keys()
                .filter(|n| !n.starts_with('s'));
            self.need(EDS, needed.cloned().collect());
        }
        if t == LDS {
            let texts = self.state[LDS.index()]
                .values()
                .map(|g| Text::read(&g.text).1);
            self.need(RDS, texts.flat_map(|text| text.routes).collect());
        }
        if self.warming.is_empty() {
            self.to_server.extend(self.paused.drain(..));
            if !self.asked[LDS.index()] && !self.nonces[CDS.index()].is_empty() {
                self.asked[LDS.index()] = true;
                self.ask(LDS, Vec::new(), Vec::new(), Vec::new(), None);
            }
        }
    }

    fn clusters(&mut self, said: &Said) {
        for (name, version, text) in &said.resources {
            if Text::read(text).1.version == BAD {
                continue;
            }
            if self.put(CDS, name, version, text) && !name.starts_with('s') {
                self.warming.insert(name.clone());
            }
        }
        for name in self.gone(said) {
            self.state[CDS.index()].remove(&name);
            self.warming.remove(&name);
        }
    }

    fn listeners(&mut self, said: &Said) {
        for (name, version, text) in &said.resources {
            if Text::read(text).1.version != BAD {
                self.put(LDS, name, version, text);
            }
        }
        for name in self.gone(said) {
            self.state[LDS.index()].remove(&name);
        }
    }

    fn gone(&self, said: &Said) -> Vec<String> {
        match self.mode {
            Mode::Delta => said.removed.clone(),
            Mode::Sotw => {
                let held = self.state[said.resource_type.index()].keys();
                let said = |name: &&String| said.resources.iter().any(|r| r.0 == **name);
                held.filter(|name| !said(name)).cloned().collect()
            }
        }
    }

    /// Whether it is another one than before.
    fn put(&mut self, t: ResourceType, name: &str, version: &str, text: &str) -> bool {
        let got = Got {
            version: version.into(),
            text: text.into(),
        };
        let old = self.state[t.index()].insert(name.into(), got);
        old.is_none_or(|old| old.text != text)
    }

    /// Asks for exactly these names.
    fn need(&mut self, t: ResourceType, names: BTreeSet<String>) {
        let old = std::mem::replace(&mut self.names[t.index()], names.clone());
        if old == names {
            return;
        }
        self.state[t.index()].retain(|name, _| names.contains(name));
        self.asked[t.index()] = true;
        let added = names.difference(&old).cloned().collect();
        let removed = old.difference(&names).cloned().collect();
        self.ask(t, added, removed, Vec::new(), None);
    }

    fn ask(
        &mut self,
        t: ResourceType,
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
        initial: Vec<(String, String)>,
        error: Option<String>,
    ) {
        let answers = subscribe.is_empty() && unsubscribe.is_empty() && initial.is_empty();
        let ask = Ask {
            resource_type: t,
            nonce: match self.mode {
                Mode::Delta if !answers => String::new(),
                _ => self.nonces[t.index()].clone(),
            },
            error,
            subscribe: match self.mode {
                Mode::Delta => subscribe,
                Mode::Sotw => self.names[t.index()].iter().cloned().collect(),
            },
            unsubscribe,
            initial,
            version: self.versions[t.index()].clone(),
        };
        // In the order of what they answer.
        if t == CDS && !(self.warming.is_empty() && self.paused.is_empty()) {
            if self.mode == Mode::Sotw {
                // Only the last one counts.
                self.paused.clear();
            }
            self.paused.push(ask);
        } else {
            self.to_server.push_back(ask);
        }
    }
}
