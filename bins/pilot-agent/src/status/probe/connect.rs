//! Connections to the application, as if they came from outside its pod.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};
use tokio::net::{TcpSocket, TcpStream, lookup_host};

/// Where the application is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    at: IpAddr,
}

impl Place {
    pub(super) fn new(at: IpAddr) -> Self {
        Self { at }
    }

    /// Connects to this port of the application, or of `host` if the manifest names one.
    pub(super) async fn connect(&self, host: Option<&str>, port: u16) -> Result<TcpStream> {
        let Some(host) = host else {
            let at = SocketAddr::new(self.at, port);
            return dial(at)
                .await
                .with_context(|| format!("the application does not take connections on {at}"));
        };
        let mut addresses = lookup_host((host, port))
            .await
            .with_context(|| format!("looking up {host}"))?;
        let at = addresses
            .next()
            .with_context(|| format!("{host} has no address"))?;
        TcpStream::connect(at)
            .await
            .with_context(|| format!("nobody takes connections on {at}"))
    }

    /// Its address, as it stands in a URL.
    pub(super) fn authority(&self, port: u16) -> String {
        SocketAddr::new(self.at, port).to_string()
    }

    pub(super) fn is(&self, host: &str) -> bool {
        host.trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip == self.at)
    }
}

/// Connections from this address are those that Envoy itself makes inwards, so captured traffic rules let them pass to the
/// application. Where the address is not there, nothing is captured either.
async fn dial(at: SocketAddr) -> std::io::Result<TcpStream> {
    let (socket, source): (_, IpAddr) = match at {
        SocketAddr::V4(_) => (TcpSocket::new_v4()?, Ipv4Addr::new(127, 0, 0, 6).into()),
        SocketAddr::V6(_) => (
            TcpSocket::new_v6()?,
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6).into(),
        ),
    };
    if socket.bind(SocketAddr::new(source, 0)).is_err() {
        return TcpStream::connect(at).await;
    }
    socket.connect(at).await
}
