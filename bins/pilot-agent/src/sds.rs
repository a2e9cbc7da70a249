//! Serves certificates from files to Envoy.
//!
//! ```text
//! files ─ watch ─► keeper ─ load (parsed, key and certificate match) ─► secrets ─► subscription (what is sent when) ─► Envoy
//! ```
//!
//! Envoy asks over a Unix socket for secrets by name, and what a name stands for is said in `name`: two of them are the
//! certificates mounted for this proxy, the others say in themselves which files they are. So whoever configures Envoy can
//! make it read each file that the agent can read and that is a certificate or a key, and no other; the answer goes to
//! Envoy alone, through a socket that only its user can open.
//!
//! What is good stays: a pair of which one half is new, a file cut in the middle and a file that is gone leave the last good
//! secret in force. A name without any is not answered, so that what needs it waits in Envoy.

mod keeper;
mod load;
mod name;
mod service;
mod subscription;
#[cfg(test)]
mod tests;
mod wanted;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server::SecretDiscoveryServiceServer;
use futures::stream;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::unix_socket::UnixSocket;
use keeper::Keeper;
use service::Service;
use wanted::Wanted;

/// How long streams may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// What is served, and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The socket that Envoy connects to.
    pub socket: PathBuf,
    /// Its mode: 0600, or 0660 where Envoy runs as another user of the same group.
    pub mode: u32,
    /// The certificates of this proxy: what `default` and `ROOTCA` stand for.
    pub mounted: Option<Mounted>,
    /// How often files are looked at although no event says that they have changed.
    pub poll: Duration,
}

/// The certificates of a proxy, as a platform mounts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// The certificate, and what leads from it to its root.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The roots of everybody else's.
    pub root: PathBuf,
}

/// A server of secrets whose socket is bound and which serves nothing yet.
#[derive(Debug)]
pub struct Sds {
    settings: Settings,
    socket: UnixSocket,
}

impl Sds {
    /// Binds Envoy's socket. To be called within a runtime.
    ///
    /// # Errors
    /// The socket cannot be bound, or another process serves it.
    pub async fn bind(settings: Settings) -> Result<Self> {
        let socket = UnixSocket::bind(&settings.socket, settings.mode).await?;
        Ok(Self { settings, socket })
    }

    /// Serves until `stop` is cancelled.
    ///
    /// # Errors
    /// The server has failed by itself.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let Self { settings, socket } = self;
        let wanted = Arc::new(Wanted::default());
        let (keeper, secrets) = Keeper::new(settings.mounted, settings.poll, Arc::clone(&wanted));
        let service = Service::new(secrets, wanted, stop.clone());
        let connections = stream::unfold(socket, |socket| async {
            let stream = socket.accept().await;
            Some((Ok::<_, std::io::Error>(stream), socket))
        });
        let serve = Server::builder()
            .add_service(SecretDiscoveryServiceServer::new(service))
            .serve_with_incoming_shutdown(connections, stop.clone().cancelled_owned());
        let overdue = async {
            stop.cancelled().await;
            sleep(GRACE).await;
        };
        tokio::select! {
            // Whoever is left after that has stopped reading.
            () = overdue => Ok(()),
            served = serve => served.context("the server of secrets has failed"),
            () = keeper.run() => Ok(()),
        }
    }
}
