//! What Envoy is configured with at start: made, or read, and put where Envoy finds it.
//!
//! The agent's own bootstrap says who the proxy is and where the agent's sockets are; a template or a file of the operator's may
//! stand in its place.

mod data;
mod file;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pilothouse_xds::bootstrap::{
    Beside, BootstrapParams, DiscoveryAddress, GrpcBootstrapParams, Readiness, Variant,
    bootstrap_json, grpc_bootstrap_json,
};

use crate::config::{Client, Config, Source};
use crate::relay::Address;
use crate::template;

/// The socket of the relay, in the agent's directory.
const XDS_SOCKET: &str = "XDS";

/// Where Envoy asks for its configuration.
pub fn xds_socket(config: &Config) -> PathBuf {
    config.config_path.join(XDS_SOCKET)
}

/// What a client would be started with.
///
/// # Errors
/// A template or a file cannot be read, or is wrong.
pub fn text(config: &Config, client: Client) -> Result<String> {
    match (client, &config.envoy.source) {
        (Client::Grpc, _) => Ok(format!("{:#}\n", grpc_bootstrap_json(&grpc(config)))),
        (Client::Envoy, Source::Own) => {
            let json = bootstrap_json(&own(config)).context("writing the bootstrap")?;
            Ok(format!("{json:#}\n"))
        }
        (Client::Envoy, Source::File(path)) => fs::read_to_string(path)
            .with_context(|| format!("--custom-config-file {}", path.display())),
        (Client::Envoy, Source::Template { file, .. }) => {
            let what = || format!("--template-file {}", file.display());
            let template = fs::read_to_string(file).with_context(what)?;
            let text = template::render(&template, &data::data(config)).with_context(what)?;
            template::checked(&text)
                .with_context(|| format!("what {} makes cannot be used", what()))?;
            Ok(text)
        }
    }
}

/// Whether what Envoy is started with takes its configuration through the agent. A template or a file need not.
pub fn uses_relay(config: &Config, text: &str) -> bool {
    text.contains(&*absolute(&xds_socket(config)).to_string_lossy())
}

/// Puts what Envoy is started with where it finds it, whole or not at all.
///
/// # Errors
/// There is no room for it.
pub fn write(config: &Config, text: &str) -> Result<PathBuf> {
    let name = match &config.envoy.source {
        Source::File(path) => return Ok(path.clone()),
        Source::Own => "envoy-rev.json",
        Source::Template { .. } => "envoy.yaml",
    };
    let path = config.config_path.join(name);
    file::put(&path, text).with_context(|| {
        format!(
            "cannot write {}, and what was there is unchanged; make room or choose another --config-path",
            path.display()
        )
    })?;
    Ok(path)
}

fn own(config: &Config) -> BootstrapParams {
    let node = &config.identity.node;
    let everybody: IpAddr = match node.ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let ports = config.ports;
    BootstrapParams {
        node: node.clone(),
        cluster: config.identity.cluster.clone(),
        metadata: config.identity.metadata.clone(),
        locality: config.identity.locality.clone(),
        admin: ports.admin,
        discovery: if config.direct_xds {
            direct(config)
        } else {
            DiscoveryAddress::Unix(absolute(&xds_socket(config)))
        },
        variant: Variant::Delta,
        beside: Beside {
            secrets: Some(absolute(&config.certificates.socket)),
            prometheus: Some(SocketAddr::new(everybody, ports.prometheus)),
            readiness: ports.status.map(|status| Readiness {
                listen: SocketAddr::new(everybody, ports.readiness),
                agent: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), status),
            }),
            outlier_log: config.envoy.outlier_log.clone(),
        },
    }
}

/// A gRPC client asks discovery itself: it has no need of an agent.
fn grpc(config: &Config) -> GrpcBootstrapParams {
    GrpcBootstrapParams {
        node: config.identity.node.clone(),
        cluster: config.identity.cluster.clone(),
        metadata: config.identity.metadata.clone(),
        locality: config.identity.locality.clone(),
        discovery: direct(config),
    }
}

fn direct(config: &Config) -> DiscoveryAddress {
    let (host, port) = match config.discovery.first() {
        Some(Address { host, port }) => (host.as_str(), *port),
        None => ("localhost", 15010),
    };
    match host.parse() {
        Ok(ip) => DiscoveryAddress::Ip(SocketAddr::new(ip, port)),
        Err(_) => DiscoveryAddress::Host(host.to_owned(), port),
    }
}

/// Envoy may have another working directory than whoever wrote a flag.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
