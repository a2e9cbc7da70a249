//! Flags, environment, PROXY_CONFIG and mesh config → one [`Config`].

mod envoy;
mod layers;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use pilothouse_core::model::ProxyKind;
use pilothouse_process::value::{duration, listen_addr};
use serde_json::json;

use super::args::{EnvoyArgs, JobArgs, ProxyArgs, Role};
use super::identity::{Identity, identity};
use super::proxy_config::ProxyConfig;
use super::surroundings::Surroundings;
use super::{Certificates, Config, DnsConfig, EnvoyConfig, Ports};
use crate::status::{Probers, Scrape};
use envoy::{concurrency, drain, envoy_level, overlay, source};
use layers::{discovery, layers, mutual_tls, optional_file};

/// Where Istio's images have what Envoy reads.
const CONFIG_PATH: &str = "/etc/istio/proxy";
/// Where another process serves SDS, such as an agent of SPIRE.
const EXTERNAL_SDS: &str = "/var/run/secrets/workload-spiffe-uds/socket";

/// What is wrong.
#[derive(Debug)]
pub(super) enum Problem {
    /// With a flag, or with what it needs.
    Flag(String),
    /// With a variable or a file.
    Source(String),
}

/// Puts everything together.
pub(super) fn config(
    args: ProxyArgs,
    mut warnings: Vec<String>,
    around: &Surroundings,
) -> Result<Config, Problem> {
    let (layers, remarks) = layers(&args.discovery, around)?;
    warnings.extend(remarks);
    // What PROXY_CONFIG's proxyMetadata says is as good as the environment, which is stronger.
    let mut around = around.clone();
    for (name, value) in layers.proxy_metadata.iter().flatten() {
        let variable = around.environment.entry(name.clone());
        variable.or_insert_with(|| value.clone());
    }
    let around = &around;

    let kind = match args.role {
        Role::Sidecar => ProxyKind::Sidecar,
        Role::Router => ProxyKind::Router,
        Role::Ingress => {
            warnings.push("the role ingress is an old name of router".to_owned());
            ProxyKind::Router
        }
    };
    let labels = optional_file(&args.identity.labels_file)
        .map_err(|error| Problem::Source(format!("--labels-file {error}")))?;
    let mut identity = identity(
        kind,
        &args.identity,
        &layers,
        labels.as_deref().unwrap_or_default(),
        around,
    )
    .map_err(Problem::Flag)?;

    let ports = ports(&args.envoy, &args.jobs, &layers, around).map_err(Problem::Source)?;
    let dns = dns(&args.jobs, around).map_err(Problem::Source)?;
    let control_plane_tls = mutual_tls(&args.discovery, &layers)?;
    let direct_xds = args.discovery.direct_xds;
    let discovery = discovery(&args.discovery, &layers, control_plane_tls, around)?;
    if direct_xds && dns.is_some() {
        return Err(Problem::Flag(
            "--dns-capture answers with names that the agent's relay learns; leave --direct-xds out".to_owned(),
        ));
    }
    if direct_xds && control_plane_tls {
        return Err(Problem::Flag(
            "--direct-xds reaches discovery in plaintext, and --control-plane-auth-policy asks for MUTUAL_TLS; leave one of them out".to_owned(),
        ));
    }
    if let [first, _, ..] = discovery.as_slice()
        && direct_xds
    {
        warnings.push(format!(
            "with --direct-xds only the first address of discovery is used, {first}"
        ));
    }

    tell_of_ports(&mut identity, &ports, dns.is_some());
    let config_path = args
        .envoy
        .config_path
        .clone()
        .or_else(|| layers.config_path.clone())
        .unwrap_or_else(|| CONFIG_PATH.into());
    let drain_duration = args
        .envoy
        .drain_duration
        .or(layers.drain_duration)
        .unwrap_or(Duration::from_secs(45));
    let drain = drain(&args.envoy, &layers, drain_duration, around).map_err(Problem::Source)?;
    let probers = around
        .read("ISTIO_KUBE_APP_PROBERS", |json| {
            Probers::parse(json).map_err(|error| error.to_string())
        })
        .map_err(Problem::Source)?
        .unwrap_or_default();
    let scrape = around
        .read("ISTIO_PROMETHEUS_ANNOTATIONS", Scrape::parse)
        .map_err(Problem::Source)?
        .flatten();
    let certificates = certificates(&config_path, &args.jobs);
    let envoy = EnvoyConfig {
        source: source(&args.envoy, &layers),
        binary: args
            .envoy
            .binary_path
            .clone()
            .or_else(|| layers.binary_path.clone())
            .unwrap_or_else(|| around.envoy.clone()),
        concurrency: concurrency(&args.envoy, &layers, around).map_err(Problem::Source)?,
        log_level: envoy_level(&args.envoy.proxy_log_level).map_err(Problem::Flag)?,
        component_log_level: args.envoy.proxy_component_log_level,
        drain_duration,
        outlier_log: args.envoy.outlier_log_path,
        overlay: overlay(around)?,
    };
    Ok(Config {
        identity,
        discovery,
        control_plane_tls,
        direct_xds,
        config_path,
        envoy,
        ports,
        drain,
        dns,
        certificates,
        trust_domain: around
            .get("TRUST_DOMAIN")
            .unwrap_or("cluster.local")
            .to_owned(),
        probers,
        scrape,
        host_ip: around.get("HOST_IP").map(str::to_owned),
        log: args.log.options().map_err(Problem::Flag)?,
        warnings,
    })
}

fn ports(
    args: &EnvoyArgs,
    jobs: &JobArgs,
    layers: &ProxyConfig,
    around: &Surroundings,
) -> Result<Ports, String> {
    let admin = args
        .proxy_admin_port
        .or(layers.proxy_admin_port)
        .unwrap_or(15000);
    let status = jobs.status_port.or(layers.status_port).unwrap_or(15020);
    Ok(Ports {
        admin: SocketAddr::from((Ipv4Addr::LOCALHOST, admin)),
        status: Some(status).filter(|port| *port != 0),
        readiness: around.parse("ENVOY_STATUS_PORT")?.unwrap_or(15021),
        prometheus: around.parse("ENVOY_PROMETHEUS_PORT")?.unwrap_or(15090),
    })
}

fn dns(args: &JobArgs, around: &Surroundings) -> Result<Option<DnsConfig>, String> {
    let wanted = match args.dns_capture {
        Some(wanted) => wanted,
        None => around.switch("ISTIO_META_DNS_CAPTURE")?.unwrap_or(false),
    };
    if !wanted {
        return Ok(None);
    }
    let listen = match &args.dns_addr {
        Some(listen) => listen.clone(),
        None => around
            .read("DNS_PROXY_ADDR", listen_addr)?
            .map_or_else(|| listen_addr("localhost:15053"), Ok)?,
    };
    let forward_timeout = around.read("DNS_FORWARD_TIMEOUT", duration)?;
    Ok(Some(DnsConfig {
        listen,
        forward_timeout: forward_timeout.unwrap_or(Duration::from_secs(5)),
    }))
}

/// Discovery leaves these ports to Envoy's own listeners, and answers names where they are asked for.
fn tell_of_ports(identity: &mut Identity, ports: &Ports, dns: bool) {
    let metadata = &mut identity.metadata;
    metadata.insert("ENVOY_STATUS_PORT".to_owned(), json!(ports.readiness));
    metadata.insert("ENVOY_PROMETHEUS_PORT".to_owned(), json!(ports.prometheus));
    if dns {
        metadata.insert("DNS_CAPTURE".to_owned(), json!("true"));
    }
}

fn certificates(config_path: &Path, args: &JobArgs) -> Certificates {
    let external = Path::new(EXTERNAL_SDS).exists();
    Certificates {
        socket: if external {
            EXTERNAL_SDS.into()
        } else {
            config_path.join("SDS")
        },
        external,
        dir: args.cert_dir.clone(),
    }
}
