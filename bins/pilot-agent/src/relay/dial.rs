//! From a socket's address to an HTTP/2 connection that is alive.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use http::uri::{Authority, Scheme};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::connection::Connection;
use super::health::Health;
use super::tasks::Tasks;
use super::tls::Files;
use super::wire::{Socket, Wire};
use super::{Address, Limits, Settings};

/// Ends when no more streams can be opened, and says why.
pub(super) type Driver = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

/// Makes connections.
#[derive(Debug)]
pub(super) struct Dialer {
    tls: Option<Files>,
    limits: Limits,
    tasks: Tasks,
}

impl Dialer {
    pub(super) fn new(settings: &Settings, tasks: Tasks) -> Self {
        Self {
            tls: settings.tls.clone().map(Files::new),
            limits: settings.limits.clone(),
            tasks,
        }
    }

    /// Connects, and waits for a first word: a process that is stopped lets connections be made.
    pub(super) async fn dial(
        &mut self,
        address: &Address,
        peer: SocketAddr,
    ) -> Result<(Connection, Driver), String> {
        let within = self.limits.connect;
        timeout(within, self.connect(address, peer))
            .await
            .unwrap_or_else(|_| Err(format!("it does not answer within {within:?}")))
            .map_err(|why| format!("{address} ({peer}): {why}"))
    }

    async fn connect(
        &mut self,
        address: &Address,
        peer: SocketAddr,
    ) -> Result<(Connection, Driver), String> {
        let stream = TcpStream::connect(peer)
            .await
            .map_err(|error| error.to_string())?;
        // Without it a connection still works, only slower.
        let _ = stream.set_nodelay(true);
        let (socket, scheme) = match &mut self.tls {
            None => (Socket::Plain(stream), Scheme::HTTP),
            Some(files) => {
                let name = ServerName::try_from(address.host.clone())
                    .map_err(|error| error.to_string())?;
                let stream = TlsConnector::from(files.load()?)
                    .connect(name, stream)
                    .await
                    .map_err(|error| format!("TLS: {error}"))?;
                (Socket::Tls(Box::new(stream)), Scheme::HTTPS)
            }
        };
        let authority = address
            .to_string()
            .parse::<Authority>()
            .map_err(|error| error.to_string())?;
        let (wire, mut heard) = Wire::new(socket);
        let (sender, driver) = self
            .builder()
            .handshake(TokioIo::new(wire))
            .await
            .map_err(|error| error.to_string())?;
        let mut driver: Driver = Box::pin(driver);
        tokio::select! {
            biased;
            heard = pin!(&mut heard) => heard.map_err(|_| "it has hung up".to_owned())?,
            ended = &mut driver => return Err(ended.err().map_or_else(|| "it has hung up".to_owned(), |error| error.to_string())),
        }
        let connection = Connection {
            sender,
            scheme,
            authority,
            health: Arc::new(Health::new()),
        };
        Ok((connection, driver))
    }

    fn builder(&self) -> http2::Builder<Tasks> {
        let limits = &self.limits;
        let streams = u32::try_from(limits.streams).unwrap_or(u32::MAX);
        let mut builder = http2::Builder::new(self.tasks.clone());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(limits.keepalive)
            .keep_alive_timeout(limits.keepalive_timeout)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(limits.window)
            // Streams whose Envoy reads nothing leave room for the others.
            .initial_connection_window_size(
                limits.window.saturating_mul(streams).min(i32::MAX as u32),
            )
            .max_send_buf_size(limits.window as usize);
        builder
    }
}
