//! The clients of all threads, as the scenarios see them.

mod session;
mod worker;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::client::Received;
use crate::h2::Windows;
use crate::kind::{Kind, Mode};
use crate::node::NodeTemplate;

/// What the clients have in common.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) clients: usize,
    pub(crate) threads: usize,
    pub(crate) server: SocketAddr,
    pub(crate) mode: Mode,
    pub(crate) windows: Windows,
    pub(crate) node: NodeTemplate,
    /// A client with fewer load assignments is not complete.
    pub(crate) least_assignments: usize,
    /// How long any step may take.
    pub(crate) patience: Duration,
}

/// The threads and their clients.
#[derive(Debug)]
pub(crate) struct Fleet {
    options: Arc<Options>,
    commands: Vec<mpsc::UnboundedSender<Command>>,
    events: mpsc::UnboundedReceiver<Event>,
}

/// Asked of every thread.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Every client connects, with what it holds.
    Connect,
    /// Every client breaks its connection off.
    Disconnect,
    /// The next version of this load assignment is waited for.
    Watch(Vec<u8>),
    /// Tell what has come.
    Count,
}

/// Told by every thread, once per command that has one.
#[derive(Debug)]
pub(crate) enum Event {
    /// When each client was complete.
    Complete(Vec<Instant>),
    Disconnected,
    /// The clients look out.
    Watching,
    /// When each client had acknowledged the watched assignment, and in which versions it came.
    Seen(Vec<Instant>, BTreeSet<Vec<u8>>),
    Counted(Totals),
}

/// What a number of clients has got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) received: Received,
    pub(crate) bytes: u64,
    /// Connections that failed or ended before they were broken off, and the last reason.
    pub(crate) broken: u64,
    pub(crate) last_break: Option<String>,
    /// What one client holds of each type: the least and the most.
    pub(crate) held: Vec<(Kind, usize, usize)>,
}

impl Fleet {
    /// Starts the threads; nothing connects yet.
    pub(crate) fn start(options: Options) -> Result<Self> {
        let options = Arc::new(options);
        let (sender, events) = mpsc::unbounded_channel();
        let mut commands = Vec::new();
        for index in 0..options.threads {
            let (command, receiver) = mpsc::unbounded_channel();
            commands.push(command);
            // Client `i` belongs to thread `i % threads`.
            let ours = (index..options.clients).step_by(options.threads).collect();
            let (options, sender) = (Arc::clone(&options), sender.clone());
            thread::Builder::new()
                .name(format!("clients-{index}"))
                .spawn(move || worker::run(ours, &options, receiver, sender))
                .context("starting a thread")?;
        }
        Ok(Self {
            options,
            commands,
            events,
        })
    }

    /// Connects every client; returns when each was complete.
    pub(crate) async fn connect(&mut self) -> Result<Vec<Instant>> {
        self.tell(&Command::Connect)?;
        let mut times = Vec::new();
        for event in self.gather("all clients to be complete").await? {
            if let Event::Complete(mut some) = event {
                times.append(&mut some);
            }
        }
        times.sort_unstable();
        Ok(times)
    }

    /// Breaks every connection off; the clients keep what they hold.
    pub(crate) async fn disconnect(&mut self) -> Result<()> {
        self.tell(&Command::Disconnect)?;
        self.gather("all clients to disconnect").await.map(drop)
    }

    /// From here on, looks out for the next version of a load assignment.
    pub(crate) async fn watch(&mut self, name: &str) -> Result<()> {
        self.tell(&Command::Watch(name.as_bytes().to_vec()))?;
        self.gather("the clients to look out").await.map(drop)
    }

    /// When each client had acknowledged the watched load assignment, which has to come to all in one version.
    pub(crate) async fn seen(&mut self) -> Result<Vec<Instant>> {
        let (mut times, mut versions) = (Vec::new(), BTreeSet::new());
        for event in self.gather("the last client to get the change").await? {
            if let Event::Seen(mut some, mut more) = event {
                times.append(&mut some);
                versions.append(&mut more);
            }
        }
        times.sort_unstable();
        let versions = versions.len();
        ensure!(
            versions == 1,
            "a change reached the clients in {versions} versions"
        );
        Ok(times)
    }

    /// What has come since the start.
    pub(crate) async fn totals(&mut self) -> Result<Totals> {
        self.tell(&Command::Count)?;
        let mut sum = Totals::default();
        for event in self.gather("the clients' counts").await? {
            if let Event::Counted(some) = event {
                sum.add(some);
            }
        }
        Ok(sum)
    }

    fn tell(&self, command: &Command) -> Result<()> {
        self.commands
            .iter()
            .try_for_each(|thread| thread.send(command.clone()))
            .map_err(|_| anyhow!("a thread of clients has died"))
    }

    /// One event of each thread.
    async fn gather(&mut self, what: &str) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        let gathering = async {
            while events.len() < self.commands.len() {
                events.push(
                    self.events
                        .recv()
                        .await
                        .context("all threads of clients have died")?,
                );
            }
            Ok(())
        };
        match timeout(self.options.patience, gathering).await {
            Ok(outcome) => outcome.map(|()| events),
            Err(_) => Err(self.explain(what).await),
        }
    }

    /// Why a step takes too long, as far as the threads know.
    async fn explain(&mut self, what: &str) -> anyhow::Error {
        self.tell(&Command::Count).ok();
        let mut sum = Totals::default();
        while let Ok(Some(event)) = timeout(Duration::from_secs(5), self.events.recv()).await {
            if let Event::Counted(some) = event {
                sum.add(some);
            }
        }
        anyhow!(
            "waited {:?} for {what}; by then: {sum:?}",
            self.options.patience
        )
    }
}

impl Totals {
    fn add(&mut self, other: Self) {
        self.received.responses += other.received.responses;
        self.received.resources += other.received.resources;
        self.received.removals += other.received.removals;
        self.bytes += other.bytes;
        self.broken += other.broken;
        self.last_break = other.last_break.or(self.last_break.take());
        if self.held.is_empty() {
            self.held = other.held;
            return;
        }
        for ((_, least, most), (_, other_least, other_most)) in self.held.iter_mut().zip(other.held)
        {
            *least = other_least.min(*least);
            *most = other_most.max(*most);
        }
    }
}
