//! The question: who sends what, and where it enters the proxy.

use std::net::SocketAddr;

use super::headers::Headers;

/// A connection, and what is sent over it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Where it enters the proxy.
    pub entrance: Entrance,
    /// Who sends it.
    pub source: SocketAddr,
    /// How TLS begins, if the client speaks it.
    pub tls: Option<ClientHello>,
    /// What is sent.
    pub payload: Payload,
    /// Decides everything that Envoy leaves to chance: weights, fractions, faults.
    pub random: u64,
}

/// Where a connection enters the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// The workload connects to this address, and the connection is captured. Where nothing is captured it reaches the
    /// listener at that address.
    Outbound(SocketAddr),
    /// Somebody connects to this address of the workload, and the connection is captured.
    Inbound(SocketAddr),
    /// Somebody connects to a socket of the proxy: a router's, that for clients of an HTTP proxy, or any where nothing is
    /// captured.
    Listener(SocketAddr),
}

impl Entrance {
    /// The address that is connected to.
    pub fn address(self) -> SocketAddr {
        match self {
            Self::Outbound(to) | Self::Inbound(to) | Self::Listener(to) => to,
        }
    }
}

/// What a client says when it begins TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The name of the server it wants.
    pub server_name: Option<String>,
    /// The protocols it offers (ALPN), the best first.
    pub application_protocols: Vec<String>,
}

/// What is sent over a connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// Bytes that are not HTTP, or nothing of which the proxy could tell.
    Bytes,
    /// A request.
    Http(Request),
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2
    Http2,
}

/// A request as its client sends it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// The version.
    pub version: Version,
    /// The method.
    pub method: String,
    /// The scheme where the client names one: HTTP/2, or an absolute URL.
    pub scheme: Option<String>,
    /// `Host`, or `:authority`.
    pub authority: String,
    /// The path with its query.
    pub path: String,
    /// All other headers.
    pub headers: Headers,
}

impl Call {
    /// `GET path` of `authority` in plain HTTP/1.1, from a client on this machine.
    pub fn get(entrance: Entrance, authority: &str, path: &str) -> Self {
        Self {
            entrance,
            source: SocketAddr::from(([127, 0, 0, 1], 40000)),
            tls: None,
            payload: Payload::Http(Request {
                method: "GET".into(),
                authority: authority.into(),
                path: path.into(),
                ..Request::default()
            }),
            random: 0,
        }
    }
}
