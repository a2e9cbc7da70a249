//! One simulated Envoy: what it asks for and what it holds, without I/O.
//!
//! It asks in Envoy's order: all clusters, the assignment of every EDS cluster by name, all listeners, the route tables that those name. It
//! acknowledges everything at once. When it comes back after a lost stream it asks for everything at once, and says what it holds.

use std::rc::Rc;

use anyhow::{Context, Result};
use xxhash_rust::xxh3::xxh3_64;

use crate::grpc::Piece;
use crate::kind::{Kind, Mode};
use crate::request::{Request, encoded_names};
use crate::tables::{NameId, Tables, VersionId};
use crate::wire::{self, Value};

/// A simulated Envoy.
#[derive(Debug)]
pub(crate) struct Client {
    mode: Mode,
    node: Vec<u8>,
    /// It is not complete with fewer assignments.
    least_assignments: usize,
    node_sent: bool,
    types: [Subscription; Kind::COUNT],
    incoming: Incoming,
    requests: Vec<u8>,
    received: Received,
    watched: Option<(Watch, VersionId)>,
}

/// What has come so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) responses: u64,
    pub(crate) resources: u64,
    pub(crate) removals: u64,
}

/// One type.
#[derive(Debug, Default)]
struct Subscription {
    requested: bool,
    answered: bool,
    /// The version held of each name; 0 is none.
    held: Vec<VersionId>,
    asked: Vec<Asked>,
    nonce: Vec<u8>,
    /// State of the world: the version of the last response, and the names asked for, encoded.
    version: Vec<u8>,
    names: Rc<[u8]>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    No,
    Unanswered,
    Answered,
}

/// The response under way.
#[derive(Debug, Default)]
struct Incoming {
    kind: Option<Kind>,
    nonce: Vec<u8>,
    version: Vec<u8>,
    names: Vec<NameId>,
    removed: Vec<Box<[u8]>>,
    resources: u64,
    watched: Option<(Watch, VersionId)>,
}

/// A name whose next version is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watch {
    pub(crate) kind: Kind,
    pub(crate) name: NameId,
}

impl Client {
    pub(crate) fn new(mode: Mode, node: Vec<u8>, least_assignments: usize) -> Self {
        Self {
            mode,
            node,
            least_assignments,
            node_sent: false,
            types: Default::default(),
            incoming: Incoming::default(),
            requests: Vec::new(),
            received: Received::default(),
            watched: None,
        }
    }

    /// A new stream is open.
    pub(crate) fn begin(&mut self, tables: &mut Tables) {
        self.node_sent = false;
        self.incoming = Incoming::default();
        self.requests.clear();
        for subscription in &mut self.types {
            (subscription.requested, subscription.answered) = (false, false);
            subscription.nonce.clear();
        }
        self.request_all(Kind::Cluster, tables);
        if self.count(Kind::Cluster) > 0 {
            for kind in [Kind::Endpoint, Kind::Listener, Kind::Route] {
                self.request_all(kind, tables);
            }
        }
    }

    /// Takes a piece of a response.
    pub(crate) fn take(
        &mut self,
        piece: Piece<'_>,
        tables: &mut Tables,
        watch: Option<Watch>,
    ) -> Result<()> {
        match (piece, self.mode) {
            (Piece::Field(2, resource), Mode::Delta) => {
                self.delta_resource(resource, tables, watch)?
            }
            (Piece::Field(2, any), Mode::Sotw) => self.sotw_resource(any, tables, watch)?,
            (Piece::Field(4, url), _) => self.incoming.kind = Some(known_kind(url)?),
            (Piece::Field(5, nonce), _) => self.incoming.nonce = nonce.to_vec(),
            (Piece::Field(6, name), Mode::Delta) => self.incoming.removed.push(name.into()),
            (Piece::Field(1, version), Mode::Sotw) => self.incoming.version = version.to_vec(),
            (Piece::Field(..), _) => {}
            (Piece::End, _) => self.end(tables)?,
        }
        Ok(())
    }

    /// What is to be sent; the caller empties it.
    pub(crate) fn requests(&mut self) -> &mut Vec<u8> {
        &mut self.requests
    }

    /// It has an answer to everything that it asked for, and none is under way.
    pub(crate) fn is_complete(&self) -> bool {
        let wildcard = [Kind::Cluster, Kind::Listener].map(|kind| self.of(kind));
        let named = [Kind::Endpoint, Kind::Route].map(|kind| self.of(kind));
        let answered = match self.mode {
            // One that holds everything gets no answer to a request by name.
            Mode::Delta => wildcard.iter().all(|subscription| subscription.answered),
            // One that reports the newest version of a type gets no answer to a request for all of it.
            Mode::Sotw => {
                let known = |subscription: &&Subscription| {
                    subscription.answered || !subscription.version.is_empty()
                };
                wildcard.iter().all(known)
                    && named
                        .iter()
                        .all(|subscription| subscription.answered || !subscription.requested)
            }
        };
        let of_routes = self.of(Kind::Route).is_answered();
        answered && self.assigned() && of_routes && self.incoming.resources == 0
    }

    /// The new version of the watched name, if one has come since this was asked last.
    pub(crate) fn saw_watched(&mut self, tables: &mut Tables) -> Option<Vec<u8>> {
        let (watch, version) = self.watched.take()?;
        Some(
            tables
                .of(watch.kind)
                .version_text(watch.name, version)
                .to_vec(),
        )
    }

    pub(crate) fn received(&self) -> Received {
        self.received
    }

    /// How many resources of a type it holds.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.of(kind)
            .held
            .iter()
            .filter(|version| **version > 0)
            .count()
    }

    fn assigned(&self) -> bool {
        let endpoints = self.of(Kind::Endpoint);
        endpoints.is_answered()
            && endpoints.asked.len() >= self.least_assignments
            && endpoints
                .asked
                .iter()
                .filter(|asked| **asked == Asked::Answered)
                .count()
                >= self.least_assignments
    }

    fn of(&self, kind: Kind) -> &Subscription {
        let [clusters, endpoints, listeners, routes] = &self.types;
        match kind {
            Kind::Cluster => clusters,
            Kind::Endpoint => endpoints,
            Kind::Listener => listeners,
            Kind::Route => routes,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut Subscription {
        let [clusters, endpoints, listeners, routes] = &mut self.types;
        match kind {
            Kind::Cluster => clusters,
            Kind::Endpoint => endpoints,
            Kind::Listener => listeners,
            Kind::Route => routes,
        }
    }

    fn delta_resource(
        &mut self,
        resource: &[u8],
        tables: &mut Tables,
        watch: Option<Watch>,
    ) -> Result<()> {
        let (mut name, mut version, mut any) = (&[][..], &[][..], None);
        for (tag, value) in wire::fields(resource) {
            match (tag, value) {
                (1, Value::Bytes(text)) => version = text,
                (2, Value::Bytes(message)) => any = Some(message),
                (3, Value::Bytes(text)) => name = text,
                _ => {}
            }
        }
        let any = any.context("a resource without content")?;
        let kind = known_kind(wire::bytes(any, 1).unwrap_or_default())?;
        let (name, version) =
            tables.resource(kind, name, version, wire::bytes(any, 2).unwrap_or_default());
        self.hold(kind, name, version, watch);
        Ok(())
    }

    /// Resources have no version of their own here: their content tells whether they have changed.
    fn sotw_resource(
        &mut self,
        any: &[u8],
        tables: &mut Tables,
        watch: Option<Watch>,
    ) -> Result<()> {
        let kind = known_kind(wire::bytes(any, 1).unwrap_or_default())?;
        let content = wire::bytes(any, 2).unwrap_or_default();
        let name = wire::bytes(content, 1).context("a resource without a name")?;
        let (name, version) = tables.resource(kind, name, &xxh3_64(content).to_be_bytes(), content);
        self.hold(kind, name, version, watch);
        self.incoming.names.push(name);
        Ok(())
    }

    fn hold(&mut self, kind: Kind, name: NameId, version: VersionId, watch: Option<Watch>) {
        self.incoming.resources += 1;
        let subscription = self.of_mut(kind);
        let old = std::mem::replace(slot(&mut subscription.held, name), version);
        let asked = slot(&mut subscription.asked, name);
        if *asked == Asked::Unanswered {
            *asked = Asked::Answered;
        }
        let changed = old != version && watch == Some(Watch { kind, name });
        self.incoming.watched = watch
            .filter(|_| changed)
            .map(|watch| (watch, version))
            .or(self.incoming.watched);
    }

    /// A response is complete.
    fn end(&mut self, tables: &mut Tables) -> Result<()> {
        self.received.responses += 1;
        let incoming = std::mem::take(&mut self.incoming);
        self.received.resources += incoming.resources;
        self.watched = incoming.watched.or(self.watched);
        let kind = incoming.kind.context("a response without a type")?;
        for name in &incoming.removed {
            let name = tables.of(kind).id(name);
            let subscription = self.of_mut(kind);
            *slot(&mut subscription.held, name) = 0;
            let asked = slot(&mut subscription.asked, name);
            // That there is none is an answer.
            if *asked == Asked::Unanswered {
                *asked = Asked::Answered;
            }
            self.received.removals += 1;
        }
        let whole_state = self.mode == Mode::Sotw && matches!(kind, Kind::Cluster | Kind::Listener);
        let subscription = self.of_mut(kind);
        if whole_state {
            let before = std::mem::take(&mut subscription.held);
            for name in incoming.names {
                *slot(&mut subscription.held, name) =
                    before.get(name as usize).copied().unwrap_or_default();
            }
        }
        (
            subscription.answered,
            subscription.nonce,
            subscription.version,
        ) = (true, incoming.nonce, incoming.version);
        self.acknowledge(kind);
        match kind {
            Kind::Cluster => self.ask_for_references(Kind::Cluster, Kind::Endpoint, tables),
            Kind::Listener => self.ask_for_references(Kind::Listener, Kind::Route, tables),
            Kind::Endpoint | Kind::Route => {}
        }
        if !self.of(Kind::Listener).requested && self.of(Kind::Cluster).answered && self.assigned()
        {
            self.request_all(Kind::Listener, tables);
        }
        Ok(())
    }

    fn acknowledge(&mut self, kind: Kind) {
        let mut out = std::mem::take(&mut self.requests);
        let mut request = Request::begin(self.mode, &mut out);
        self.of(kind).describe(kind, self.mode, &mut request);
        request.finish();
        self.requests = out;
    }

    /// Asks for exactly what the resources of `of` refer to.
    fn ask_for_references(&mut self, of: Kind, kind: Kind, tables: &mut Tables) {
        let mut wanted: Vec<bool> = Vec::new();
        let table = tables.of(of);
        for (name, version) in self.of(of).held.iter().enumerate() {
            for referred in table.refers_to(name as NameId, *version) {
                *slot(&mut wanted, *referred) = true;
            }
        }
        let (mut new, mut old) = (Vec::new(), Vec::new());
        let subscription = self.of_mut(kind);
        let known = subscription.asked.len().max(wanted.len());
        for name in 0..known as NameId {
            let wanted = wanted.get(name as usize).copied().unwrap_or_default();
            let asked = slot(&mut subscription.asked, name);
            match (*asked, wanted) {
                (Asked::No, true) => {
                    *asked = Asked::Unanswered;
                    new.push(name);
                }
                (Asked::Unanswered | Asked::Answered, false) => {
                    *asked = Asked::No;
                    *slot(&mut subscription.held, name) = 0;
                    old.push(name);
                }
                _ => {}
            }
        }
        if new.is_empty() && old.is_empty() {
            return;
        }
        if !self.of(kind).requested || self.mode == Mode::Sotw {
            self.request_all(kind, tables);
            return;
        }
        let mut out = std::mem::take(&mut self.requests);
        let mut request = Request::begin(self.mode, &mut out);
        request.type_url(kind.url());
        for name in new {
            request.subscribe(tables.of(kind).name(name));
        }
        for name in old {
            request.unsubscribe(tables.of(kind).name(name));
        }
        request.finish();
        self.requests = out;
    }

    /// The first request of a type on a stream, or, in state of the world, one with other names.
    fn request_all(&mut self, kind: Kind, tables: &mut Tables) {
        let mut out = std::mem::take(&mut self.requests);
        let mut request = Request::begin(self.mode, &mut out);
        if !std::mem::replace(&mut self.node_sent, true) {
            request.node(&self.node);
        }
        let (mode, table) = (self.mode, tables.of(kind));
        let subscription = self.of_mut(kind);
        subscription.requested = true;
        let asked = || {
            subscription
                .asked
                .iter()
                .zip(0..)
                .filter(|(asked, _)| **asked != Asked::No)
                .map(|(_, name)| name)
        };
        match mode {
            Mode::Delta => {
                for name in asked() {
                    request.subscribe(table.name(name));
                }
                for (version, name) in subscription
                    .held
                    .iter()
                    .zip(0..)
                    .filter(|(version, _)| **version > 0)
                {
                    request.held(table.name(name), table.version_text(name, *version));
                }
            }
            Mode::Sotw => {
                subscription.names = table.shared_names(asked().collect(), |table, names| {
                    encoded_names(names.iter().map(|name| table.name(*name)))
                })
            }
        }
        subscription.describe(kind, mode, &mut request);
        request.finish();
        self.requests = out;
    }
}

impl Subscription {
    /// No name that was asked for lacks an answer.
    fn is_answered(&self) -> bool {
        !self.asked.contains(&Asked::Unanswered)
    }

    /// What every request of a type says.
    fn describe(&self, kind: Kind, mode: Mode, request: &mut Request<'_>) {
        request.type_url(kind.url());
        if !self.nonce.is_empty() {
            request.nonce(&self.nonce);
        }
        if mode == Mode::Sotw {
            request.version(&self.version);
            request.names(&self.names);
        }
    }
}

fn known_kind(url: &[u8]) -> Result<Kind> {
    Kind::of_url(url).with_context(|| {
        format!(
            "a response of a type that was not asked for: {:?}",
            String::from_utf8_lossy(url)
        )
    })
}

/// The place of a name, which is made if the list is too short.
fn slot<T: Clone + Default>(list: &mut Vec<T>, name: NameId) -> &mut T {
    let index = name as usize;
    if list.len() <= index {
        list.resize(index + 1, T::default());
    }
    &mut list[index]
}
