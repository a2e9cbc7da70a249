//! Ports of services and what is spoken on them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// HTTP/1.1 (and HTTP/1.0 where a proxy asks for it).
    Http,
    /// HTTP/2 without TLS.
    Http2,
    /// gRPC.
    Grpc,
    /// gRPC-Web.
    GrpcWeb,
    /// HTTP over TLS that the proxy does not terminate.
    Https,
    /// An HTTP forward proxy.
    HttpProxy,
    /// TLS that the proxy does not terminate.
    Tls,
    /// Bytes.
    Tcp,
    /// Datagrams: never proxied.
    Udp,
    /// MongoDB, carried as TCP.
    Mongo,
    /// Redis, carried as TCP.
    Redis,
    /// MySQL, carried as TCP.
    Mysql,
    /// Not declared: the proxy looks at the first bytes.
    Auto,
}

/// Server-first protocols live on these ports: sniffing would wait for ever.
const WELL_KNOWN_TCP: [u16; 4] = [25, 53, 3306, 27017];

impl Protocol {
    /// Reads a protocol's name, in any case; `None` for one that is unknown.
    pub fn parse(name: &str) -> Option<Self> {
        const NAMES: [(&str, Protocol); 12] = [
            ("http", Protocol::Http),
            ("http2", Protocol::Http2),
            ("grpc", Protocol::Grpc),
            ("grpc-web", Protocol::GrpcWeb),
            ("https", Protocol::Https),
            ("http_proxy", Protocol::HttpProxy),
            ("tls", Protocol::Tls),
            ("tcp", Protocol::Tcp),
            ("udp", Protocol::Udp),
            ("mongo", Protocol::Mongo),
            ("redis", Protocol::Redis),
            ("mysql", Protocol::Mysql),
        ];
        NAMES
            .iter()
            .find(|(text, _)| text.eq_ignore_ascii_case(name))
            .map(|(_, protocol)| *protocol)
    }

    /// Istio's order of selection: `appProtocol`, then the port's name up to the first `-`, then well-known TCP ports,
    /// otherwise [`Protocol::Auto`].
    pub fn select(app_protocol: Option<&str>, port_name: &str, port: u16) -> Self {
        let declared = app_protocol.and_then(|text| match text {
            "kubernetes.io/h2c" => Some(Self::Http2),
            "kubernetes.io/ws" => Some(Self::Http),
            "kubernetes.io/wss" => Some(Self::Https),
            _ => Self::parse(text),
        });
        declared
            .or_else(|| Self::of_port_name(port_name))
            .unwrap_or(if WELL_KNOWN_TCP.contains(&port) {
                Self::Tcp
            } else {
                Self::Auto
            })
    }

    fn of_port_name(name: &str) -> Option<Self> {
        let prefix = match name.get(..8) {
            Some(start) if start.eq_ignore_ascii_case("grpc-web") => start,
            _ => name.split('-').next().unwrap_or(name),
        };
        Self::parse(prefix)
    }

    /// Whether requests are routed one by one.
    pub fn is_http(self) -> bool {
        matches!(
            self,
            Self::Http | Self::Http2 | Self::Grpc | Self::GrpcWeb | Self::HttpProxy
        )
    }

    /// Whether requests are HTTP/2 without having been upgraded.
    pub fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Grpc | Self::GrpcWeb)
    }

    /// Whether connections are forwarded without looking at requests.
    pub fn is_tcp(self) -> bool {
        matches!(
            self,
            Self::Tcp | Self::Tls | Self::Https | Self::Mongo | Self::Redis | Self::Mysql
        )
    }

    /// Whether the first bytes are TLS, with a server name to route by.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::Https)
    }

    /// Whether the proxy has to find out.
    pub fn is_auto(self) -> bool {
        self == Self::Auto
    }
}

/// A port that a service listens on, seen from its clients.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServicePort {
    /// The number that clients connect to.
    pub port: u16,
    /// Unique within its service; endpoints name their ports alike.
    pub name: Arc<str>,
    /// What is spoken.
    pub protocol: Protocol,
    /// The number that workloads listen on where their endpoint does not name the port; `None`: the same as `port`.
    pub target_port: Option<u16>,
    /// The name that the workload itself has for the port, which then says the number. Of use where endpoints are selected workloads.
    pub target_name: Option<Arc<str>>,
}

impl ServicePort {
    /// The number that a workload listens on unless its endpoint says otherwise.
    pub fn target(&self) -> u16 {
        self.target_port.unwrap_or(self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_follows_istio() {
        let check = |app, name, port, expected| {
            assert_eq!(
                Protocol::select(app, name, port),
                expected,
                "{app:?} {name} {port}"
            );
        };
        check(None, "http", 80, Protocol::Http);
        check(None, "HTTP-web", 80, Protocol::Http);
        check(None, "grpc-web-x", 80, Protocol::GrpcWeb);
        check(None, "grpc-x", 80, Protocol::Grpc);
        check(None, "web", 80, Protocol::Auto);
        check(None, "db", 3306, Protocol::Tcp);
        check(Some("grpc"), "http", 80, Protocol::Grpc);
        check(Some("kubernetes.io/h2c"), "tcp", 80, Protocol::Http2);
        check(Some("acme.io/own"), "tcp-x", 80, Protocol::Tcp);
        check(None, "udp-dns", 53, Protocol::Udp);
    }
}
