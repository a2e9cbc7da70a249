//! Sockets from flags: what a flag's address means on this machine, and errors that name the flag.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use crate::value::ListenAddr;

/// Binds the first address that `addr` stands for and that can be bound.
///
/// # Errors
/// None can; the error names `flag`.
pub async fn bind(flag: &str, addr: &ListenAddr) -> Result<TcpListener> {
    first(addr, |address| {
        std::future::ready(std::net::TcpListener::bind(address))
    })
    .await
    .and_then(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    })
    .with_context(|| unbindable(flag, addr))
}

/// The first success of `bind` on the addresses that `addr` stands for. Every address of this machine is one socket for
/// both versions of IP where there is IPv6, else one for IPv4.
///
/// # Errors
/// The last failure.
pub async fn first<T, F: Future<Output = io::Result<T>>>(
    addr: &ListenAddr,
    bind: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let candidates: Vec<SocketAddr> = match &addr.host {
        None => vec![
            (Ipv6Addr::UNSPECIFIED, addr.port).into(),
            (Ipv4Addr::UNSPECIFIED, addr.port).into(),
        ],
        Some(host) => tokio::net::lookup_host((host.as_str(), addr.port))
            .await?
            .collect(),
    };
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in candidates {
        match bind(address).await {
            Ok(bound) => return Ok(bound),
            // A port that is taken is taken: the other version of IP would hide that.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// What cannot be done, for errors.
pub fn unbindable(flag: &str, addr: &ListenAddr) -> String {
    format!("cannot listen on {addr} ({flag}); give it another address, or port 0 for any")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: Option<&str>, port: u16) -> ListenAddr {
        ListenAddr {
            host: host.map(str::to_owned),
            port,
        }
    }

    #[tokio::test]
    async fn port_0_is_any_port() {
        for host in [None, Some("localhost"), Some("127.0.0.1")] {
            let listener = bind("--http-addr", &at(host, 0)).await.unwrap();
            assert_ne!(listener.local_addr().unwrap().port(), 0);
        }
    }

    #[tokio::test]
    async fn errors_name_the_flag() {
        let taken = bind("--http-addr", &at(Some("127.0.0.1"), 0))
            .await
            .unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = bind("--grpc-addr", &at(Some("127.0.0.1"), port))
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("127.0.0.1:{port} (--grpc-addr)")),
            "{error}"
        );
        assert!(
            bind("--grpc-addr", &at(Some("host.invalid"), 0))
                .await
                .is_err()
        );
    }
}
