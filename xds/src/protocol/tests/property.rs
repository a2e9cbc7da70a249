//! Properties that hold whatever happens: random worlds, delays, cuts, rejections and time, against the model of Envoy.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::envoy::{BAD, Envoy};
use super::script::{CDS, EDS, LDS, RDS, Said, decode};
use super::world::{Text, World};
use crate::fanout::Fanout;
use crate::protocol::{Mode, Service, Settings, Stream};
use crate::resource::ResourceType;

#[derive(Debug, Clone)]
enum Event {
    /// A resource changes: of this type, with this name and version, using some of these. Version 0: it goes.
    Change(usize, usize, u64, [usize; 2]),
    /// A whole service comes or goes: cluster, endpoints, listener, route.
    Service(usize, u64),
    Publish,
    ToServer(usize),
    ToClient(usize),
    Wait(u64),
    Cut,
    Quiet,
}

fn event(bad: bool) -> impl Strategy<Value = Event> {
    let version = if bad {
        prop_oneof![6 => 0..5u64, 1 => Just(BAD)].boxed()
    } else {
        (0..5u64).boxed()
    };
    prop_oneof![
        6 => (0..5usize, 0..6usize, version.clone(), [0..6usize, 0..6usize])
            .prop_map(|(t, n, v, uses)| Event::Change(t, n, v, uses)),
        3 => (0..6usize, version).prop_map(|(n, v)| Event::Service(n, v)),
        6 => Just(Event::Publish),
        8 => (1..4usize).prop_map(Event::ToServer),
        8 => (1..4usize).prop_map(Event::ToClient),
        2 => (1..6_000u64).prop_map(Event::Wait),
        1 => Just(Event::Cut),
        1 => Just(Event::Quiet),
    ]
}

const CLUSTERS: [&str; 6] = ["a", "b", "c", "d", "sa", "own"];
const LISTENERS: [&str; 6] = ["l", "m", "n", "o", "p", "own"];
const ROUTES: [&str; 6] = ["r", "q", "t", "u", "v", "own"];
const TABLES: [&str; 6] = ["x"; 6];

fn names(t: ResourceType) -> [&'static str; 6] {
    match t {
        ResourceType::Cluster | ResourceType::Endpoint => CLUSTERS,
        ResourceType::Listener => LISTENERS,
        ResourceType::Route => ROUTES,
        ResourceType::NameTable => TABLES,
    }
}

struct Run {
    mode: Mode,
    world: World,
    shared: Arc<Fanout>,
    stream: Stream,
    envoy: Envoy,
    to_client: VecDeque<Said>,
    now: Instant,
    /// Clusters of each generation.
    clusters: BTreeMap<u64, BTreeSet<String>>,
    /// What has been sent on this stream: versions on the wire, and when the last response of a type was.
    sent: [BTreeMap<String, String>; ResourceType::ALL.len()],
    last: [Option<Instant>; ResourceType::ALL.len()],
    /// All texts that have ever been sent on this stream: what is taken back is not new.
    texts: BTreeSet<String>,
    rejections: bool,
}

impl Run {
    fn new(mode: Mode, rejections: bool, names_culprits: bool) -> Self {
        let shared = Arc::new(Fanout::default());
        let stream = Stream::new(mode, Service::Ads, shared.clone(), Settings::default());
        let mut run = Self {
            mode,
            world: World::new("", "", "", ""),
            shared,
            stream,
            envoy: Envoy::new(mode, names_culprits),
            to_client: VecDeque::new(),
            now: Instant::now(),
            clusters: BTreeMap::new(),
            sent: Default::default(),
            last: Default::default(),
            texts: BTreeSet::new(),
            rejections,
        };
        run.publish();
        run.envoy.connect();
        run
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Change(t, n, version, uses) => {
                self.change(ResourceType::ALL[*t], *n, *version, *uses)
            }
            Event::Service(n, version) => {
                for t in ResourceType::ALL {
                    self.change(t, *n, *version, [*n, *n]);
                }
            }
            Event::Publish => self.publish(),
            Event::ToServer(n) => {
                for _ in 0..*n {
                    self.deliver();
                }
            }
            Event::ToClient(n) => {
                for _ in 0..*n {
                    self.answer();
                }
            }
            Event::Wait(millis) => {
                self.now += Duration::from_millis(*millis);
                self.poll();
            }
            Event::Cut => self.cut(),
            Event::Quiet => self.quiet(),
        }
    }

    fn change(&mut self, t: ResourceType, n: usize, version: u64, uses: [usize; 2]) {
        let name = names(t)[n].to_owned();
        let resources = &mut self.world.resources[t.index()];
        // Load assignments are made by us and are never bad.
        let version = if t == EDS && version == BAD {
            1
        } else {
            version
        };
        if version == 0 {
            resources.remove(&name);
            return;
        }
        let some = |names: [&str; 6]| -> Vec<String> {
            let used: BTreeSet<_> = uses.iter().map(|u| names[*u].to_owned()).collect();
            used.into_iter().collect()
        };
        let text = Text {
            version,
            clusters: if [LDS, RDS].contains(&t) {
                some(CLUSTERS)
            } else {
                Vec::new()
            },
            routes: if t == LDS { some(ROUTES) } else { Vec::new() },
        };
        resources.insert(name, text);
    }

    fn publish(&mut self) {
        let snapshot = self.world.snapshot();
        let clusters = self.world.resources[CDS.index()].keys().cloned().collect();
        self.clusters.insert(snapshot.generation, clusters);
        self.stream.publish(snapshot, self.now);
        self.poll();
    }

    fn cut(&mut self) {
        self.to_client.clear();
        self.sent = Default::default();
        self.last = Default::default();
        self.texts.clear();
        let doubted = self.stream.in_doubt();
        self.stream = Stream::new(
            self.mode,
            Service::Ads,
            self.shared.clone(),
            Settings::default(),
        );
        self.stream.doubt(&doubted);
        self.envoy.connect();
        self.publish();
    }

    fn deliver(&mut self) -> bool {
        let Some(ask) = self.envoy.to_server.pop_front() else {
            return false;
        };
        for name in &ask.subscribe {
            self.sent[ask.resource_type.index()].remove(name);
        }
        self.stream
            .request(ask.request(self.mode), self.now)
            .unwrap();
        self.poll();
        true
    }

    fn answer(&mut self) -> bool {
        let Some(said) = self.to_client.pop_front() else {
            return false;
        };
        self.envoy.receive(&said);
        true
    }

    fn poll(&mut self) {
        for polled in 0.. {
            assert!(polled < 50, "it does not end");
            let before = self.stream.report();
            let Some(response) = self.stream.poll(self.now) else {
                return;
            };
            let said = decode(self.mode, &response);
            let t = said.resource_type;
            if before.types[t.index()].unacknowledged > 0 {
                let last = self.last[t.index()].unwrap();
                assert!(
                    self.now >= last + Settings::default().ack_timeout,
                    "two responses under way: {said:?}"
                );
            }
            self.last[t.index()] = Some(self.now);
            self.check_uses(&said);
            self.check_repetition(&said);
            self.to_client.push_back(said);
        }
    }

    /// Make before break: what is sent does not use clusters that there are and the client does not have.
    fn check_uses(&self, said: &Said) {
        let report = self.stream.report();
        if report.gate_timeouts > 0 || said.resource_type < LDS {
            return;
        }
        let clusters = &self.clusters[&report.target.unwrap()];
        let refused = &report.types[CDS.index()].refused;
        for (name, _, text) in &said.resources {
            let held = self.envoy.state[said.resource_type.index()].get(name);
            if held.is_some_and(|held| held.text == *text) || self.texts.contains(text) {
                continue;
            }
            for used in Text::read(text).1.clusters {
                let known = self.envoy.state[CDS.index()].contains_key(&used)
                    && (used.starts_with('s') || self.envoy.state[EDS.index()].contains_key(&used));
                let told = refused.iter().any(|r| r.name.as_str() == used);
                assert!(
                    known || told || !clusters.contains(&used),
                    "{text} is sent before {used}: {:?}",
                    self.envoy
                );
            }
        }
    }

    /// Nothing is sent twice on one stream, except where the client has lost it or waits for it.
    fn check_repetition(&mut self, said: &Said) {
        let t = said.resource_type;
        for (name, version, text) in &said.resources {
            self.texts.insert(text.clone());
            let old = self.sent[t.index()].insert(name.clone(), version.clone());
            let repeated = old.as_ref() == Some(version) && self.mode == Mode::Delta;
            assert!(!repeated || self.rejections, "{name} is repeated: {said:?}");
            if t == CDS {
                self.sent[EDS.index()].remove(name);
            }
        }
        for name in &said.removed {
            self.sent[t.index()].remove(name);
        }
    }

    fn quiet(&mut self) {
        self.rest();
        self.check_state();
    }

    /// Until nothing moves, however long that takes.
    fn rest(&mut self) {
        for _ in 0..2_000 {
            let moved = self.deliver() | self.answer();
            if !moved {
                let Some(deadline) = self.stream.deadline() else {
                    return;
                };
                self.now = self.now.max(deadline);
                self.poll();
            }
        }
        panic!("it does not come to rest: {:?}", self.envoy);
    }

    /// The client has what it is to have.
    fn check_state(&mut self) {
        self.publish();
        assert!(self.envoy.to_server.is_empty());
        self.rest();
        let report = self.stream.report();
        assert_eq!(report.target, report.newest);
        assert!(self.envoy.warming.is_empty(), "{:?}", self.envoy);
        for t in ResourceType::ALL {
            assert_eq!(report.types[t.index()].unacknowledged, 0);
            if !self.envoy.asked[t.index()] {
                continue;
            }
            let world = &self.world.resources[t.index()];
            let held = &self.envoy.state[t.index()];
            for (name, text) in world {
                let asked = t.has_wildcard() || self.envoy.names[t.index()].contains(name);
                if !asked || t == EDS && !self.world.resources[CDS.index()].contains_key(name) {
                    continue;
                }
                // A client that rejected the newest cluster has that of before, and its endpoints.
                let held = held.get(name).map(|got| got.text.as_str());
                if text.version == BAD {
                    assert_ne!(held, Some(&*text.write(name)));
                } else {
                    assert_eq!(held, Some(&*text.write(name)), "{t:?} {:?}", self.envoy);
                }
            }
            // What is rejected may pin what it uses. A client that came back and rejects the first whole state keeps what it
            // has: of what it rejects it may have an older version, which a whole state without it would take away.
            let bad = || world.values().any(|text| text.version == BAD);
            let pinned = self.rejections && (t != LDS || self.mode == Mode::Sotw && bad());
            if t != EDS && !pinned && self.mode == Mode::Delta || t.has_wildcard() && !pinned {
                let left: Vec<_> = held.keys().filter(|n| !world.contains_key(*n)).collect();
                assert!(left.is_empty(), "{t:?} {left:?} {:?}", self.envoy);
            }
        }
        // And gets nothing more.
        self.publish();
        assert!(self.to_client.is_empty());
        assert!(self.stream.settled().is_some());
    }
}

fn run(mode: Mode, rejections: bool, names_culprits: bool, events: &[Event]) {
    let mut run = Run::new(mode, rejections, names_culprits);
    for event in events {
        run.apply(event);
    }
    run.quiet();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn delta(events in prop::collection::vec(event(false), 1..120)) {
        run(Mode::Delta, false, true, &events);
    }

    #[test]
    fn sotw(events in prop::collection::vec(event(false), 1..120)) {
        run(Mode::Sotw, false, true, &events);
    }

    #[test]
    fn delta_with_rejections(events in prop::collection::vec(event(true), 1..120), named: bool) {
        run(Mode::Delta, true, named, &events);
    }

    #[test]
    fn sotw_with_rejections(events in prop::collection::vec(event(true), 1..120), named: bool) {
        run(Mode::Sotw, true, named, &events);
    }
}

#[test]
fn a_client_that_came_back_loses_what_went_while_it_refused() {
    let service = |version| Event::Service(5, version);
    let events = [
        service(1),
        Event::Quiet,
        service(BAD),
        Event::Cut,
        service(0),
    ];
    run(Mode::Sotw, true, false, &events);
}

#[test]
fn a_client_that_was_cut_off_while_it_refused_is_not_believed() {
    let events = [
        Event::Service(2, BAD),
        Event::Service(3, 1),
        Event::Quiet,
        Event::Cut,
        Event::ToServer(1),
        Event::ToClient(1),
        Event::ToServer(5),
        Event::ToClient(2),
        Event::Change(0, 2, 0, [0, 0]),
        Event::Cut,
    ];
    run(Mode::Sotw, true, false, &events);
}

#[test]
fn what_two_late_rejections_do_not_name_is_not_refused() {
    let events = [
        Event::Service(4, 1),
        Event::Service(2, BAD),
        Event::Publish,
        Event::ToServer(1),
        Event::ToClient(1),
        Event::Change(2, 0, BAD, [0, 0]),
        Event::ToServer(2),
        Event::ToClient(1),
        Event::Publish,
        Event::ToServer(1),
        Event::Wait(5_000),
        Event::Wait(5_000),
    ];
    for mode in [Mode::Delta, Mode::Sotw] {
        for named in [false, true] {
            run(mode, true, named, &events);
        }
    }
}

#[test]
fn a_rejection_that_comes_late_takes_no_endpoints_back() {
    let events = [
        Event::Quiet,
        Event::Change(0, 0, BAD, [0, 0]),
        Event::Publish,
        Event::Service(0, 1),
        Event::Wait(5_000),
        Event::Publish,
    ];
    for mode in [Mode::Delta, Mode::Sotw] {
        for named in [false, true] {
            run(mode, true, named, &events);
        }
    }
}

#[test]
fn a_cluster_that_a_second_whole_state_repeats_gets_its_assignment() {
    let events = [
        Event::Change(0, 5, 1, [0, 0]),
        Event::Quiet,
        Event::Change(0, 5, 2, [0, 0]),
        Event::Change(0, 1, BAD, [0, 0]),
        Event::Cut,
        Event::Change(0, 1, 1, [0, 0]),
        Event::ToServer(1),
        Event::Change(0, 0, 0, [0, 0]),
        Event::ToServer(1),
        Event::Wait(5_000),
        Event::Publish,
    ];
    run(Mode::Sotw, true, false, &events);
}

#[test]
fn what_a_second_whole_state_was_accepted_with_explains_no_rejection() {
    let events = [
        Event::Change(0, 4, BAD, [0, 0]),
        Event::Change(0, 0, 1, [0, 0]),
        Event::Publish,
        Event::Change(0, 4, 0, [0, 0]),
        Event::ToServer(1),
        Event::Publish,
        Event::Change(0, 1, BAD, [0, 0]),
        Event::Wait(5_000),
    ];
    run(Mode::Sotw, true, false, &events);
}

#[test]
fn what_a_rejected_whole_state_took_away_is_new() {
    let events = [
        Event::Change(0, 0, 1, [0, 0]),
        Event::Quiet,
        Event::Service(0, 0),
        Event::Change(0, 1, BAD, [0, 0]),
        Event::Publish,
        Event::Service(0, 1),
        Event::Wait(5_000),
        Event::Publish,
    ];
    run(Mode::Sotw, true, true, &events);
}
