//! Where a connection goes: an IP address, a name to be resolved, or a Unix socket.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::host::Host;

/// A destination without its port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Address {
    /// An IP address.
    Ip(IpAddr),
    /// A name that the proxy resolves.
    Host(Host),
    /// The absolute path of a Unix domain socket.
    Unix(Arc<str>),
}

/// Why a text is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is neither an IP address, nor a host name, nor unix:// followed by an absolute path"
)]
pub struct InvalidAddress(String);

impl Address {
    /// The IP address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            _ => None,
        }
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress(text.to_owned());
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(invalid())
            };
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(ip));
        }
        match Host::new(text) {
            Ok(host) if !host.is_wildcard() => Ok(Self::Host(host)),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Host(host) => host.fmt(f),
            Self::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}

/// An address that a service is reached by: one IP address, or a block of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cidr(IpNet);

impl Cidr {
    /// The network address.
    pub fn ip(&self) -> IpAddr {
        self.0.addr()
    }

    /// How many leading bits count.
    pub fn prefix_len(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether this is one address rather than a block.
    pub fn is_single(&self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }

    /// Whether `ip` is in this block.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip)
    }
}

impl From<IpAddr> for Cidr {
    fn from(ip: IpAddr) -> Self {
        Self(ip.into())
    }
}

impl FromStr for Cidr {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(ip.into());
        }
        text.parse::<IpNet>()
            .map(|net| Self(net.trunc()))
            .map_err(|_| InvalidAddress(text.to_owned()))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}
