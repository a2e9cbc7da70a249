//! Requests that flow while configuration changes, and an oracle that knows which failures the changes explain.

mod oracle;

pub use oracle::{Failure, Oracle};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::http;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The listener of the sidecar that takes them.
    pub via: SocketAddr,
    /// The host they ask for.
    pub host: String,
    /// Their path.
    pub path: String,
}

/// One client per target, each with one request at a time.
#[derive(Debug)]
pub struct Traffic {
    log: Arc<Mutex<Log>>,
    stop: CancellationToken,
    clients: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Log {
    sent: u64,
    answers: BTreeMap<(String, String), u64>,
    oracle: Oracle,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Requests that were sent.
    pub sent: u64,
    /// Those that failed, whatever the reason.
    pub failed: Vec<Failure>,
    /// Those that failed although nothing that they need had gone.
    pub unexplained: Vec<Failure>,
}

impl Traffic {
    /// Begins; each client pauses between its requests.
    pub fn start(targets: Vec<Target>, pause: Duration) -> Self {
        let mut this = Self {
            log: Arc::default(),
            stop: CancellationToken::new(),
            clients: JoinSet::new(),
        };
        for target in targets {
            this.clients.spawn(send_until_stopped(
                target,
                pause,
                Arc::clone(&this.log),
                this.stop.clone(),
            ));
        }
        this
    }

    /// Tells the oracle that `host`, or its last endpoint, is being deleted: requests to it may fail from here on, until it is back.
    pub fn excuse(&self, host: &str) {
        lock(&self.log).oracle.gone(host, Instant::now());
    }

    /// Tells the oracle that `host` has an endpoint again: requests to it may fail a little longer, no more.
    pub fn restored(&self, host: &str) {
        lock(&self.log).oracle.back(host, Instant::now());
    }

    /// What has happened so far.
    pub fn report(&self) -> Report {
        let log = lock(&self.log);
        Report {
            sent: log.sent,
            failed: log.oracle.failures().to_vec(),
            unexplained: log.oracle.unexplained(),
        }
    }

    /// How often each answer came from `host`: the first line of its body, which for a [`crate::backend::Backend`] is its name.
    pub fn answers(&self, host: &str) -> BTreeMap<String, u64> {
        let log = lock(&self.log);
        log.answers
            .iter()
            .filter(|((asked, _), _)| asked == host)
            .map(|((_, answer), count)| (answer.clone(), *count))
            .collect()
    }

    /// Lets the requests that are under way finish, and ends.
    pub async fn stop(mut self) -> Report {
        self.stop.cancel();
        while self.clients.join_next().await.is_some() {}
        self.report()
    }
}

async fn send_until_stopped(
    target: Target,
    pause: Duration,
    log: Arc<Mutex<Log>>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let began = Instant::now();
        let outcome = match http::get(target.via, &target.host, &target.path, REQUEST_TIMEOUT).await
        {
            Ok(answer) if answer.status == 200 => {
                Ok(answer.body.lines().next().unwrap_or_default().to_owned())
            }
            Ok(answer) => Err(format!("status {}: {}", answer.status, answer.body.trim())),
            Err(error) => Err(format!("{error:#}")),
        };
        {
            let mut log = lock(&log);
            log.sent += 1;
            match outcome {
                Ok(answer) => {
                    *log.answers
                        .entry((target.host.clone(), answer))
                        .or_default() += 1
                }
                Err(why) => log.oracle.failed(Failure {
                    host: target.host.clone(),
                    via: target.via,
                    why,
                    began,
                    ended: Instant::now(),
                }),
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
}

/// A client that panicked has its own trace; what it had counted stays true.
fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
