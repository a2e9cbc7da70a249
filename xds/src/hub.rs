//! The hub: where streams find what their proxy is to have, and the publisher finds the streams that a change concerns.
//!
//! Proxies with an equal selection form a class and share one snapshot. A stream takes a seat in the class of its proxy; the
//! publisher puts a new snapshot into the class and wakes the seats that ask for something that changed. Nobody waits for
//! anybody here: a slow stream finds the newest snapshot when it looks, and no queue exists.

mod groups;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use arc_swap::ArcSwapOption;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use pilothouse_core::model::Proxy;
use pilothouse_core::readiness::Readiness;
use tokio::sync::{mpsc, watch};

use crate::fanout::Set;
use crate::protocol::Interest;
use crate::resource::{Name, ResourceType};
use crate::server::{Attachment, NotReady, Source};
use crate::snapshot::Snapshot;
use groups::Groups;

pub(crate) use groups::MemberId;

/// The streams' side of the publisher. Clones are the same hub.
#[derive(Debug, Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    readiness: Readiness,
    ready: watch::Sender<bool>,
    next: AtomicU64,
    publisher: mpsc::UnboundedSender<Event>,
}

/// What streams tell the publisher.
#[derive(Debug)]
pub(crate) enum Event {
    /// A stream wants a seat in the class of its proxy.
    Connected(Arc<Seat>),
    /// It has gone.
    Left(MemberId),
}

impl Hub {
    /// A hub, and what its publisher reads.
    pub(crate) fn new(readiness: Readiness) -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (publisher, events) = mpsc::unbounded_channel();
        let shared = Shared {
            readiness,
            ready: watch::channel(false).0,
            next: AtomicU64::new(1),
            publisher,
        };
        (
            Self {
                shared: Arc::new(shared),
            },
            events,
        )
    }

    /// Whether streams are taken.
    pub fn is_ready(&self) -> bool {
        *self.shared.ready.borrow()
    }

    /// Whether streams are taken, to be waited for.
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.shared.ready.subscribe()
    }

    /// From here on streams are taken.
    pub(crate) fn set_ready(&self) {
        self.shared.ready.send_replace(true);
    }

    fn waiting_for(&self) -> String {
        let pending: Vec<_> = self
            .shared
            .readiness
            .pending()
            .iter()
            .map(|step| step.name.to_string())
            .collect();
        if pending.is_empty() {
            "the first configuration".to_owned()
        } else {
            pending.join(", ")
        }
    }
}

impl Source for Hub {
    /// Takes a seat. Its first snapshot follows within moments, and wakes it.
    fn connect(&self, proxy: Arc<Proxy>) -> Result<Box<dyn Attachment>, NotReady> {
        if !self.is_ready() {
            return Err(NotReady {
                waiting_for: self.waiting_for(),
            });
        }
        let seat = Arc::new(Seat {
            id: self.shared.next.fetch_add(1, Ordering::Relaxed),
            proxy,
            waker: AtomicWaker::new(),
            place: Mutex::default(),
        });
        // The publisher ends only with the process; then the stream is ended by its server.
        let _ = self.shared.publisher.send(Event::Connected(seat.clone()));
        Ok(Box::new(Attached {
            seat,
            publisher: self.shared.publisher.clone(),
        }))
    }
}

/// A stream's hold on its seat. Dropping it gives the seat up.
#[derive(Debug)]
struct Attached {
    seat: Arc<Seat>,
    publisher: mpsc::UnboundedSender<Event>,
}

impl Attachment for Attached {
    fn current(&self) -> Option<Arc<Snapshot>> {
        self.seat
            .place
            .lock()
            .class
            .as_ref()
            .and_then(|class| class.current.load_full())
    }

    fn register(&self, waker: &Waker) {
        self.seat.waker.register(waker);
    }

    fn regroup(&self, resource_type: ResourceType, interest: Interest) {
        self.seat.regroup(resource_type, interest);
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.seat.leave();
        let _ = self.publisher.send(Event::Left(self.seat.id));
    }
}

/// What the publisher holds of a stream.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) id: MemberId,
    pub(crate) proxy: Arc<Proxy>,
    waker: AtomicWaker,
    place: Mutex<Place>,
}

#[derive(Debug, Default)]
struct Place {
    class: Option<Arc<Class>>,
    interests: [Interest; ResourceType::ALL.len()],
    left: bool,
}

impl Seat {
    /// Moves the stream to a class, and wakes it.
    pub(crate) fn place(self: &Arc<Self>, class: &Arc<Class>) {
        let mut place = self.place.lock();
        if place.left
            || place
                .class
                .as_ref()
                .is_some_and(|old| Arc::ptr_eq(old, class))
        {
            return;
        }
        for resource_type in ResourceType::ALL {
            let interest = &place.interests[resource_type.index()];
            if let Some(old) = &place.class {
                old.groups
                    .lock()
                    .regroup(self.id, self, resource_type, interest, &Interest::None);
            }
            class
                .groups
                .lock()
                .regroup(self.id, self, resource_type, &Interest::None, interest);
        }
        place.class = Some(class.clone());
        drop(place);
        self.waker.wake();
    }

    fn regroup(self: &Arc<Self>, resource_type: ResourceType, interest: Interest) {
        let mut place = self.place.lock();
        let before = std::mem::replace(
            &mut place.interests[resource_type.index()],
            interest.clone(),
        );
        if let Some(class) = &place.class {
            class
                .groups
                .lock()
                .regroup(self.id, self, resource_type, &before, &interest);
        }
    }

    fn leave(self: &Arc<Self>) {
        let mut place = self.place.lock();
        place.left = true;
        let Some(class) = place.class.take() else {
            return;
        };
        for resource_type in ResourceType::ALL {
            let before = &place.interests[resource_type.index()];
            class
                .groups
                .lock()
                .regroup(self.id, self, resource_type, before, &Interest::None);
        }
    }
}

/// The streams whose proxies have an equal selection, and what they are to have.
#[derive(Debug, Default)]
pub(crate) struct Class {
    current: ArcSwapOption<Snapshot>,
    groups: Mutex<Groups<Arc<Seat>>>,
}

impl Class {
    /// The newest snapshot.
    pub(crate) fn current(&self) -> Option<Arc<Snapshot>> {
        self.current.load_full()
    }

    /// Replaces the snapshot and wakes those who ask for something in which it differs. Returns how many.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>, differences: &mut Differences) -> usize {
        let before = self.current.swap(Some(snapshot.clone()));
        let Some(before) = before else { return 0 };
        let groups = self.groups.lock();
        let mut woken = 0;
        for resource_type in ResourceType::ALL {
            let (old, new) = (before.set(resource_type), snapshot.set(resource_type));
            if Arc::ptr_eq(old, new) {
                continue;
            }
            groups.concerned(resource_type, differences.between(old, new), |_, seat| {
                woken += 1;
                seat.waker.wake();
            });
        }
        woken
    }
}

/// The names in which sets differ, found once for all classes that get the same sets in one publication.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// By the addresses of both sets.
    found: BTreeMap<(usize, usize), Vec<Name>>,
    /// The sets, so that no other takes the address of one meanwhile.
    kept: Vec<[Arc<Set>; 2]>,
}

impl Differences {
    fn between(&mut self, old: &Arc<Set>, new: &Arc<Set>) -> &[Name] {
        let key = (Arc::as_ptr(old).addr(), Arc::as_ptr(new).addr());
        self.found.entry(key).or_insert_with(|| {
            self.kept.push([old.clone(), new.clone()]);
            old.changed(new).into_iter().cloned().collect()
        })
    }
}
