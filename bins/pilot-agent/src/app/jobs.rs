//! From [`Config`] to each job's own settings, and bound.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use pilothouse_process::value::ListenAddr;
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::metrics::metrics;
use crate::bootstrap::xds_socket;
use crate::config::{Config, Source};
use crate::dns::table::NameTable;
use crate::dns::{self, Dns};
use crate::envoy::Control;
use crate::relay::{self, Relay, Tls};
use crate::sds::{self, Mounted, Sds};
use crate::status::{self, Condition, EnvoyPages, Names, Note, Status};

/// Envoy runs as the same user.
const SOCKET_MODE: u32 = 0o600;
/// How often certificates are looked at although no event says that they have changed.
const POLL: Duration = Duration::from_secs(30);

/// The way to discovery.
pub(super) async fn relay(config: &Config) -> Result<Relay> {
    let mounted = mounted(config);
    let tls = config.control_plane_tls.then(|| Tls {
        server_names: server_names(config),
        chain: mounted.chain,
        key: mounted.key,
        root: mounted.root,
    });
    let settings = relay::Settings {
        socket: xds_socket(config),
        mode: SOCKET_MODE,
        discovery: config.discovery.clone(),
        tls,
        names: config.dns.is_some(),
        limits: relay::Limits::default(),
    };
    Relay::bind(settings).await
}

/// Names that discovery's certificate may have: the hosts that are asked, and the identities of Istio's own control planes in
/// the namespaces that these are in. None is the host of each address.
fn server_names(config: &Config) -> Vec<String> {
    let hosts = config
        .discovery
        .iter()
        .map(|address| address.host.as_str())
        .filter(|host| host.parse::<IpAddr>().is_err());
    let domain = &config.trust_domain;
    hosts
        .flat_map(|host| {
            let namespace = host.split('.').nth(1).into_iter();
            let identities = namespace.flat_map(move |namespace| {
                ["istiod", "istio-pilot-service-account"]
                    .map(|account| format!("spiffe://{domain}/ns/{namespace}/sa/{account}"))
            });
            std::iter::once(host.to_owned()).chain(identities)
        })
        .collect()
}

/// The server of certificates, unless another process is it.
pub(super) async fn sds(config: &Config) -> Result<Option<Sds>> {
    if config.certificates.external {
        return Ok(None);
    }
    let settings = sds::Settings {
        socket: config.certificates.socket.clone(),
        mode: SOCKET_MODE,
        mounted: Some(mounted(config)),
        poll: POLL,
    };
    Sds::bind(settings).await.map(Some)
}

fn mounted(config: &Config) -> Mounted {
    let file = |name| config.certificates.dir.join(name);
    Mounted {
        chain: file("cert-chain.pem"),
        key: file("key.pem"),
        root: file("root-cert.pem"),
    }
}

/// DNS for names of the mesh, where it is wanted.
pub(super) async fn dns(config: &Config, relay: Option<&Relay>) -> Result<Option<Dns>> {
    let Some(wanted) = &config.dns else {
        return Ok(None);
    };
    let Some(relay) = relay else {
        tracing::warn!(
            "DNS is not answered: what Envoy is configured with does not ask the agent's relay, which learns the names"
        );
        return Ok(None);
    };
    let settings = dns::Settings {
        addresses: dns_addresses(&wanted.listen).await?,
        namespace: config.identity.namespace.clone(),
        outside: config
            .discovery
            .iter()
            .map(|address| address.host.clone())
            .filter(|host| host.parse::<IpAddr>().is_err())
            .collect(),
        forward_timeout: wanted.forward_timeout,
        ..dns::Settings::default()
    };
    let dns = Dns::bind(settings, relay.names())
        .await
        .context("--dns-addr")?;
    tracing::info!(addresses = ?dns.addresses(), "answering DNS");
    Ok(Some(dns))
}

/// All addresses of a name, as far as this machine has IPv6. `localhost` is every loopback address, whatever the machine's files
/// say: captured queries come to each.
async fn dns_addresses(listen: &ListenAddr) -> Result<Vec<SocketAddr>> {
    let host = match &listen.host {
        Some(host) if host.eq_ignore_ascii_case("localhost") => {
            let both = [
                IpAddr::from(Ipv4Addr::LOCALHOST),
                Ipv6Addr::LOCALHOST.into(),
            ];
            let usable = both.into_iter().filter(|ip| ip.is_ipv4() || has_ipv6());
            return Ok(usable.map(|ip| (ip, listen.port).into()).collect());
        }
        Some(host) => host.as_str(),
        None if has_ipv6() => "::",
        None => "0.0.0.0",
    };
    let mut addresses: Vec<_> = lookup_host((host, listen.port))
        .await
        .with_context(|| format!("--dns-addr {listen}"))?
        .collect();
    if addresses.len() > 1 && !has_ipv6() {
        addresses.retain(SocketAddr::is_ipv4);
    }
    addresses.dedup();
    Ok(addresses)
}

fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// The agent's pages, where they are wanted.
pub(super) async fn status(
    config: &Config,
    relay: Option<&Relay>,
    dns: Option<&Dns>,
    control: &Control,
    stop: &CancellationToken,
) -> Result<Option<Status>> {
    let Some(port) = config.ports.status else {
        return Ok(None);
    };
    let own = config.envoy.source == Source::Own;
    let names = dns.and(relay).map(Relay::names);
    let admin = config.ports.admin;
    let mut registry = Registry::default();
    registry.register_collector(Box::new(metrics(relay, dns)));
    let settings = status::Settings {
        listen: ListenAddr { host: None, port },
        envoy: Some(EnvoyPages {
            admin,
            stats: if own {
                SocketAddr::new(admin.ip(), config.ports.prometheus)
            } else {
                admin
            },
            discovery: own,
            control: control.clone(),
        }),
        conditions: names.clone().map(told).into_iter().collect(),
        notes: relay.map(why_away).into_iter().collect(),
        probers: config.probers.clone(),
        application: config.identity.node.ip,
        scrape: config.scrape.clone(),
        metrics: registry,
        names: names.map(page),
        stop: stop.clone(),
    };
    Status::bind(settings).await.map(Some)
}

/// What discovery has told about names.
type Told = watch::Receiver<Option<Arc<NameTable>>>;

/// Until discovery has told them, names of the mesh are not found, so an application must not begin.
fn told(names: Told) -> Condition {
    Arc::new(move || {
        names
            .borrow()
            .is_some()
            .then_some(())
            .ok_or_else(|| "discovery has not told the names of the mesh yet".into())
    })
}

/// The names that DNS answers.
fn page(names: Told) -> Names {
    Arc::new(move || {
        names
            .borrow()
            .as_ref()
            .map_or(Value::Null, |table| table.to_json())
    })
}

/// Why discovery has not been reached yet, which may be why Envoy is not ready.
fn why_away(relay: &Relay) -> Note {
    let status = relay.status();
    Arc::new(move || {
        let status = status.borrow();
        (!status.is_connected())
            .then(|| status.last_error.clone())
            .flatten()
            .map(|why| format!("discovery is away: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Command, Surroundings};

    fn config(flags: &str) -> Config {
        let line = ["pilot-agent", "proxy", "--ip", "10.0.0.1"]
            .into_iter()
            .chain(flags.split_whitespace());
        match config::parse(line, &Surroundings::default()) {
            Ok(Command::Proxy(config)) => *config,
            other => panic!("{flags}: {other:?}"),
        }
    }

    #[tokio::test]
    async fn localhost_is_every_loopback_address() {
        let addresses = |host: &str| {
            let listen = ListenAddr {
                host: Some(host.to_owned()),
                port: 53,
            };
            async move { dns_addresses(&listen).await.unwrap() }
        };
        let v4 = (Ipv4Addr::LOCALHOST, 53).into();
        let mut both = vec![v4];
        both.extend(has_ipv6().then_some(SocketAddr::from((Ipv6Addr::LOCALHOST, 53))));
        assert_eq!(addresses("localhost").await, both);
        assert_eq!(addresses("127.0.0.1").await, [v4]);
    }

    #[test]
    fn discovery_is_known_by_its_host_or_its_identity() {
        let names = |address: &str| server_names(&config(&format!("--discoveryAddress {address}")));
        assert_eq!(names("10.0.0.1:1,[::1]:1"), Vec::<String>::new());
        assert_eq!(names("pilot:1"), ["pilot"]);
        assert_eq!(
            names("istiod.mesh.svc:1"),
            [
                "istiod.mesh.svc",
                "spiffe://cluster.local/ns/mesh/sa/istiod",
                "spiffe://cluster.local/ns/mesh/sa/istio-pilot-service-account",
            ]
        );
    }

    #[test]
    fn names_are_waited_for_and_shown() {
        let (told_names, names) = watch::channel(None);
        let (condition, page) = (told(names.clone()), page(names));
        assert!(condition().is_err());
        assert_eq!(page(), Value::Null);
        told_names.send_replace(Some(Arc::new(NameTable::default())));
        assert_eq!(condition(), Ok(()));
        assert_eq!(page(), serde_json::json!({}));
    }

    #[tokio::test]
    async fn dns_listens_on_loopback_by_name() {
        let listen = |text| pilothouse_process::value::listen_addr(text).unwrap();
        let addresses = dns_addresses(&listen("localhost:15053")).await.unwrap();
        assert!(addresses.contains(&"127.0.0.1:15053".parse().unwrap()));
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
        let one = dns_addresses(&listen("127.0.0.9:53")).await.unwrap();
        assert_eq!(one, ["127.0.0.9:53".parse().unwrap()]);
    }
}
