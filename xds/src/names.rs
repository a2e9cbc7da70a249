//! Names that are kept byte for byte as Istio has them: people, dashboards and patches depend on them.

mod short;

use std::fmt::Display;

use pilothouse_core::model::Host;

use crate::resource::Name;

pub use short::{completions, short_forms};

/// The cluster that drops everything.
pub const BLACK_HOLE: &str = "BlackHoleCluster";
/// The cluster that forwards outbound connections to where they were going.
pub const PASSTHROUGH: &str = "PassthroughCluster";
/// The cluster that forwards inbound connections to where they were going.
pub const INBOUND_PASSTHROUGH: &str = "InboundPassthroughCluster";

/// The listener that all captured outbound connections reach first.
pub const VIRTUAL_OUTBOUND: &str = "virtualOutbound";
/// The listener that all captured inbound connections reach.
pub const VIRTUAL_INBOUND: &str = "virtualInbound";
/// The chain that ends connections to the outbound port itself.
pub const VIRTUAL_OUTBOUND_BLACK_HOLE: &str = "virtualOutbound-blackhole";
/// The chain of outbound connections that no listener claims.
pub const VIRTUAL_OUTBOUND_CATCH_ALL: &str = "virtualOutbound-catchall-tcp";
/// The chain that ends connections to the inbound port itself.
pub const VIRTUAL_INBOUND_BLACK_HOLE: &str = "virtualInbound-blackhole";
/// The chain of inbound HTTP that no service claims.
pub const VIRTUAL_INBOUND_CATCH_ALL_HTTP: &str = "virtualInbound-catchall-http";
/// The chain of connections to a shared address that no service there claims.
pub const PASSTHROUGH_CHAIN: &str = "PassthroughFilterChain";

/// The port that captured outbound connections are redirected to.
pub const OUTBOUND_PORT: u16 = 15001;
/// The port that captured inbound connections are redirected to.
pub const INBOUND_PORT: u16 = 15006;
/// The port on which a proxy answers health checks of the platform.
pub const HEALTH_PORT: u16 = 15021;
/// The port on which a proxy answers Prometheus.
pub const PROMETHEUS_PORT: u16 = 15090;
/// Envoy's admin port.
pub const ADMIN_PORT: u16 = 15000;
/// The agent's status port.
pub const STATUS_PORT: u16 = 15020;

/// The one name table. Istio's has no name, and its agents take any.
pub const NAME_TABLE: &str = "name-table";

/// The route of the HTTP proxy listener.
pub const HTTP_PROXY_ROUTE: &str = "http_proxy";
/// The virtual host, and its route, of requests that no service claims and that pass.
pub const ALLOW_ANY: &str = "allow_any";
/// The virtual host, and its route, of requests that no service claims and that are refused.
pub const BLOCK_ALL: &str = "block_all";
/// The route of a virtual host that no rule says anything about.
pub const DEFAULT_ROUTE: &str = "default";

/// `outbound|PORT|SUBSET|HOST`.
pub fn outbound_cluster(port: u16, subset: &str, host: &Host) -> Name {
    format!("outbound|{port}|{subset}|{host}").into()
}

/// The parts of `outbound|PORT|SUBSET|HOST`.
pub fn parse_outbound_cluster(name: &str) -> Option<(u16, &str, Host)> {
    let mut parts = name.strip_prefix("outbound|")?.splitn(3, '|');
    let (port, subset, host) = (parts.next()?, parts.next()?, parts.next()?);
    Some((parse_port(port)?, subset, Host::new(host).ok()?))
}

/// `outbound_.PORT_.SUBSET_.HOST`: what connections between workloads of the mesh have as server name, and the cluster that they
/// are let through to.
pub fn sni_cluster(port: u16, subset: &str, host: &Host) -> Name {
    format!("outbound_.{port}_.{subset}_.{host}").into()
}

/// The parts of `outbound_.PORT_.SUBSET_.HOST`.
pub fn parse_sni_cluster(name: &str) -> Option<(u16, &str, Host)> {
    let mut parts = name.strip_prefix("outbound_.")?.splitn(3, "_.");
    let (port, subset, host) = (parts.next()?, parts.next()?, parts.next()?);
    Some((parse_port(port)?, subset, Host::new(host).ok()?))
}

/// `http.PORT`, or `http.PORT.ADDRESS`: the route configuration of all HTTP servers of a router's port.
pub fn router_http_route(port: u16, bind: &str) -> Name {
    format!("http.{port}{}", dotted(bind)).into()
}

/// `https.PORT.PORTNAME.GATEWAY.NAMESPACE`, or with an address behind: that of a server at which TLS ends.
pub fn router_https_route(
    port: u16,
    port_name: &str,
    (gateway, namespace): (&str, &str),
    bind: &str,
) -> Name {
    let bind = dotted(bind);
    format!("https.{port}.{port_name}.{gateway}.{namespace}{bind}").into()
}

fn dotted(bind: &str) -> String {
    match bind {
        "" => String::new(),
        bind => format!(".{bind}"),
    }
}

/// `inbound|PORT||`, where the port is the one that the workload listens on.
pub fn inbound_cluster(target_port: u16) -> Name {
    format!("inbound|{target_port}||").into()
}

/// `inbound|http|PORT`, the virtual host of requests for a service's port.
pub fn inbound_virtual_host(port: u16) -> String {
    format!("inbound|http|{port}")
}

/// `ADDRESS_PORT`.
pub fn listener(address: impl Display, port: u16) -> Name {
    format!("{address}_{port}").into()
}

/// The parts of `ADDRESS_PORT`.
pub fn parse_listener(name: &str) -> Option<(&str, u16)> {
    let (address, port) = name.rsplit_once('_')?;
    Some((address, parse_port(port)?))
}

/// `HOST:PORT`, a virtual host.
pub fn virtual_host(host: &Host, port: u16) -> String {
    format!("{host}:{port}")
}

/// `HOST:PORT`, the listener of a gRPC client, by whatever name it calls the host.
pub fn api_listener(name: impl Display, port: u16) -> Name {
    format!("{name}:{port}").into()
}

/// The parts of `HOST:PORT`.
pub fn parse_api_listener(name: &str) -> Option<(&str, u16)> {
    let (host, port) = name.rsplit_once(':')?;
    Some((host, parse_port(port)?))
}

/// A route configuration's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RouteName {
    /// `PORT`: all HTTP services of a port.
    Port(u16),
    /// `HOST:PORT`: a service whose protocol the proxy finds out.
    Sniffed(Host, u16),
    /// `http_proxy`: all HTTP services.
    HttpProxy,
}

impl RouteName {
    /// Reads what [`RouteName::name`] writes.
    pub fn parse(name: &str) -> Option<Self> {
        if name == HTTP_PROXY_ROUTE {
            return Some(Self::HttpProxy);
        }
        match name.rsplit_once(':') {
            None => parse_port(name).map(Self::Port),
            Some((host, port)) => Some(Self::Sniffed(Host::new(host).ok()?, parse_port(port)?)),
        }
    }

    /// The text.
    pub fn name(&self) -> Name {
        match self {
            Self::Port(port) => port.to_string().into(),
            Self::Sniffed(host, port) => virtual_host(host, *port).into(),
            Self::HttpProxy => HTTP_PROXY_ROUTE.into(),
        }
    }
}

/// A port as names have it: one spelling only, so that no two names mean the same.
fn parse_port(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    (port.to_string() == text).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        Host::new(text).unwrap()
    }

    #[test]
    fn names_are_istios() {
        assert_eq!(
            outbound_cluster(80, "v1", &host("a.b")).as_str(),
            "outbound|80|v1|a.b"
        );
        assert_eq!(
            sni_cluster(80, "v1", &host("a.b")).as_str(),
            "outbound_.80_.v1_.a.b"
        );
        assert_eq!(router_http_route(80, "").as_str(), "http.80");
        assert_eq!(router_http_route(80, "::1").as_str(), "http.80.::1");
        assert_eq!(
            router_https_route(443, "web", ("gw", "ns"), "").as_str(),
            "https.443.web.gw.ns"
        );
        assert_eq!(inbound_cluster(8080).as_str(), "inbound|8080||");
        assert_eq!(listener("0.0.0.0", 80).as_str(), "0.0.0.0_80");
        assert_eq!(
            RouteName::Sniffed(host("a.b"), 80).name().as_str(),
            "a.b:80"
        );
        assert_eq!(virtual_host(&host("a.b"), 80), "a.b:80");
    }

    #[test]
    fn names_are_read_back() {
        assert_eq!(
            parse_sni_cluster("outbound_.80_._.a_.b"),
            Some((80, "", host("a_.b")))
        );
        assert_eq!(parse_sni_cluster("outbound|80||a.b"), None);
        assert_eq!(
            parse_outbound_cluster("outbound|80||*.b"),
            Some((80, "", host("*.b")))
        );
        for bad in [
            "outbound|080||a",
            "outbound|x||a",
            "outbound|80|a",
            "outbound|80||",
            "inbound|80||",
        ] {
            assert_eq!(parse_outbound_cluster(bad), None, "{bad}");
        }
        assert_eq!(parse_listener("fd00::1_80"), Some(("fd00::1", 80)));
        assert_eq!(parse_listener(VIRTUAL_INBOUND), None);
        assert_eq!(api_listener("a.b", 80).as_str(), "a.b:80");
        assert_eq!(parse_api_listener("a.b:80"), Some(("a.b", 80)));
        assert_eq!(parse_api_listener("a.b:080"), None);
        assert_eq!(parse_api_listener("a.b"), None);
        for name in [
            RouteName::Port(80),
            RouteName::Sniffed(host("a"), 1),
            RouteName::HttpProxy,
        ] {
            assert_eq!(RouteName::parse(name.name().as_str()), Some(name));
        }
        assert_eq!(RouteName::parse("inbound|80||"), None);
        assert_eq!(RouteName::parse("+80"), None);
    }
}
