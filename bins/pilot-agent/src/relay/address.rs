//! Where discovery may be: host names and addresses, and the sockets that they stand for at the moment.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

/// How long a name may take to be looked up.
const LOOKUP: Duration = Duration::from_secs(5);

/// A host name or IP address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The name or the IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// The sockets that it stands for. Those of a name come in random order, so that proxies spread over the replicas of
    /// discovery.
    pub(super) async fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        let found = timeout(LOOKUP, lookup_host((self.host.as_str(), self.port))).await;
        let mut sockets: Vec<_> = match found {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(error)) => return Err(format!("looking up {}: {error}", self.host)),
            Err(_) => return Err(format!("looking up {} takes too long", self.host)),
        };
        let random = RandomState::new();
        sockets.sort_by_cached_key(|socket| random.hash_one(socket));
        sockets.dedup();
        Ok(sockets)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str) -> Address {
        Address {
            host: host.to_owned(),
            port: 7,
        }
    }

    #[tokio::test]
    async fn names_are_looked_up_and_addresses_are_not() {
        assert_eq!(at("::1").to_string(), "[::1]:7");
        assert_eq!(
            at("::1").resolve().await.unwrap(),
            ["[::1]:7".parse().unwrap()]
        );
        let local = at("localhost").resolve().await.unwrap();
        assert!(!local.is_empty() && local.iter().all(|socket| socket.ip().is_loopback()));
        let error = at("host.invalid").resolve().await.unwrap_err();
        assert!(error.contains("host.invalid"), "{error}");
    }
}
