//! The one connection to discovery: made, watched, and made again elsewhere when it is lost.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use pilothouse_process::causes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::backoff::Backoff;
use super::connection::Connection;
use super::dial::{Dialer, Driver};
use super::health::Verdict;
use super::tasks::Tasks;
use super::{Address, Counters, Settings, Status};

/// Keeps a connection to discovery.
///
/// All addresses are tried in their order, then waits. One that was connected to is kept until it is lost: there is no going
/// back to a preferred one, which would break streams for nothing.
#[derive(Debug)]
pub(super) struct Connector {
    addresses: Vec<Address>,
    dialer: Dialer,
    backoff: Backoff,
    connection: watch::Sender<Option<Connection>>,
    status: watch::Sender<Status>,
    counters: Arc<Counters>,
    /// Whether the log has said that discovery is away, or not yet that it is there.
    complained: bool,
    announced: bool,
}

impl Connector {
    /// A connector, and the connection that it has at the moment.
    pub(super) fn new(
        settings: &Settings,
        status: watch::Sender<Status>,
        counters: Arc<Counters>,
        tasks: Tasks,
    ) -> (Self, watch::Receiver<Option<Connection>>) {
        let limits = &settings.limits;
        let (connection, current) = watch::channel(None);
        let this = Self {
            addresses: settings.discovery.clone(),
            dialer: Dialer::new(settings, tasks),
            backoff: Backoff::new(limits.backoff, limits.longest_backoff),
            connection,
            status,
            counters,
            complained: false,
            announced: false,
        };
        (this, current)
    }

    /// Never ends.
    pub(super) async fn run(mut self) {
        loop {
            self.round().await;
            sleep(self.backoff.next()).await;
        }
    }

    /// Tries every address, until one has worked and is lost again.
    async fn round(&mut self) {
        for address in self.addresses.clone() {
            let peers = match address.resolve().await {
                Ok(peers) => peers,
                Err(why) => {
                    self.failed(why);
                    continue;
                }
            };
            for peer in peers {
                match self.dialer.dial(&address, peer).await {
                    Ok((connection, driver)) => {
                        let has_worked = self.keep(&address, peer, connection, driver).await;
                        if has_worked {
                            self.backoff.reset();
                            return;
                        }
                    }
                    Err(why) => self.failed(why),
                }
            }
        }
    }

    /// Lets streams use a connection until it is lost; says whether it was of any use.
    async fn keep(
        &mut self,
        address: &Address,
        peer: SocketAddr,
        connection: Connection,
        driver: Driver,
    ) -> bool {
        let began = Instant::now();
        let health = Arc::clone(&connection.health);
        let mut verdicts = health.watch();
        self.counters.connected();
        tracing::debug!(target: "xdsproxy", %address, %peer, "connected");
        self.status
            .send_modify(|status| status.connected(address.to_string(), peer));
        self.connection.send_replace(Some(connection));
        let mut driver = pin!(driver);
        let mut works = false;
        let why = loop {
            tokio::select! {
                biased;
                ended = &mut driver => break match ended {
                    Ok(()) => "it has closed the connection".to_owned(),
                    Err(error) => causes(&error),
                },
                Ok(()) = verdicts.changed() => match verdicts.borrow_and_update().clone() {
                    Verdict::Untried => {}
                    Verdict::Works => {
                        works = true;
                        self.announce(address, peer);
                    }
                    Verdict::Refuses(why) => break why,
                },
            }
        };
        // Streams that are open go on for as long as they can: one that asks its clients to leave serves them until they have.
        self.connection.send_replace(None);
        self.failed(format!("{address} ({peer}): {why}"));
        works || began.elapsed() >= self.backoff.longest()
    }

    /// Says once that discovery answers.
    fn announce(&mut self, address: &Address, peer: SocketAddr) {
        if self.complained || !self.announced {
            tracing::info!(target: "xdsproxy", %address, %peer, "discovery answers");
        }
        (self.complained, self.announced) = (false, true);
    }

    /// Notes what went wrong, and says the first of it that follows something that went well.
    fn failed(&mut self, why: String) {
        self.counters.failed();
        if self.complained {
            tracing::debug!(target: "xdsproxy", why, "discovery cannot be reached");
        } else {
            self.complained = true;
            tracing::warn!(
                target: "xdsproxy",
                why,
                "discovery cannot be reached; Envoy keeps what it has, and every address is tried until one answers"
            );
        }
        self.status.send_modify(|status| status.failed(why));
    }
}
