//! One thread with its clients: they share its tables and its one buffer, and nothing with other threads.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::session::live;
use super::{Command, Event, Options, Totals};
use crate::client::{Client, Watch};
use crate::kind::Kind;
use crate::tables::Tables;

/// Large enough for what the kernel has at a time.
const BUFFER: usize = 256 << 10;

/// What the clients of a thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tables: Tables,
    pub(super) buffer: Vec<u8>,
    pub(super) bytes: u64,
    pub(super) broken: u64,
    pub(super) last_break: Option<String>,
    pub(super) watch: Option<Watch>,
    clients: usize,
    complete: Vec<Instant>,
    seen: Vec<Instant>,
    seen_versions: BTreeSet<Vec<u8>>,
    events: mpsc::UnboundedSender<Event>,
}

/// Runs until the fleet is dropped.
pub(super) fn run(
    indices: Vec<usize>,
    options: &Options,
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::UnboundedSender<Event>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        // The fleet sees the closed channels.
        Err(_) => return,
    };
    LocalSet::new().block_on(&runtime, obey(indices, options, commands, events));
}

async fn obey(
    indices: Vec<usize>,
    options: &Options,
    mut commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::UnboundedSender<Event>,
) {
    let shared = Rc::new(RefCell::new(Shared {
        tables: Tables::default(),
        buffer: vec![0; BUFFER],
        bytes: 0,
        broken: 0,
        last_break: None,
        watch: None,
        clients: indices.len(),
        complete: Vec::new(),
        seen: Vec::new(),
        seen_versions: BTreeSet::new(),
        events,
    }));
    let options = Rc::new(options.clone());
    let clients: Vec<_> = indices
        .iter()
        .map(|index| {
            Rc::new(RefCell::new(Client::new(
                options.mode,
                options.node.encode(*index),
                options.least_assignments,
            )))
        })
        .collect();
    let mut sessions = JoinSet::new();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Connect => {
                shared.borrow_mut().complete.clear();
                for (index, client) in indices.iter().zip(&clients) {
                    sessions.spawn_local(live(
                        *index,
                        Rc::clone(client),
                        Rc::clone(&shared),
                        Rc::clone(&options),
                    ));
                }
                shared.borrow().tell_if_complete();
            }
            Command::Disconnect => {
                sessions.shutdown().await;
                shared.borrow().tell(Event::Disconnected);
            }
            Command::Watch(name) => {
                let shared = &mut *shared.borrow_mut();
                shared.watch = Some(Watch {
                    kind: Kind::Endpoint,
                    name: shared.tables.of(Kind::Endpoint).id(&name),
                });
                shared.seen.clear();
                shared.seen_versions.clear();
                shared.tell(Event::Watching);
                shared.tell_if_seen();
            }
            Command::Count => {
                let shared = shared.borrow();
                shared.tell(Event::Counted(shared.totals(&clients)));
            }
        }
    }
}

impl Shared {
    /// One more client is complete.
    pub(super) fn complete(&mut self) {
        self.complete.push(Instant::now());
        self.tell_if_complete();
    }

    /// One more client has acknowledged what is watched.
    pub(super) fn seen(&mut self, version: Vec<u8>) {
        self.seen.push(Instant::now());
        self.seen_versions.insert(version);
        self.tell_if_seen();
    }

    fn tell_if_complete(&self) {
        if self.complete.len() == self.clients {
            self.tell(Event::Complete(self.complete.clone()));
        }
    }

    fn tell_if_seen(&self) {
        if self.seen.len() == self.clients {
            self.tell(Event::Seen(self.seen.clone(), self.seen_versions.clone()));
        }
    }

    /// A fleet that is gone needs no telling.
    fn tell(&self, event: Event) {
        self.events.send(event).ok();
    }

    fn totals(&self, clients: &[Rc<RefCell<Client>>]) -> Totals {
        let mut totals = Totals {
            bytes: self.bytes,
            broken: self.broken,
            last_break: self.last_break.clone(),
            ..Totals::default()
        };
        for client in clients {
            let received = client.borrow().received();
            totals.received.responses += received.responses;
            totals.received.resources += received.resources;
            totals.received.removals += received.removals;
        }
        let counts = |kind| {
            clients
                .iter()
                .map(move |client| client.borrow().count(kind))
        };
        totals.held = Kind::ALL
            .into_iter()
            .map(|kind| {
                (
                    kind,
                    counts(kind).min().unwrap_or_default(),
                    counts(kind).max().unwrap_or_default(),
                )
            })
            .collect();
        totals
    }
}
