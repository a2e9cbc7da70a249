//! Who the proxy is: what is said, and what a platform's habits add.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pilothouse_core::model::{Locality, NodeId, ProxyKind};
use serde_json::{Map, Value, json};

use super::args::{Capture, IdentityArgs, ServiceRegistry};
use super::metadata;
use super::proxy_config::ProxyConfig;
use super::surroundings::Surroundings;

/// Who the proxy is.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Its node id.
    pub node: NodeId,
    /// Its namespace.
    pub namespace: String,
    /// The group that it belongs to.
    pub cluster: String,
    /// Where it runs.
    pub locality: Locality,
    /// What else discovery is told.
    pub metadata: Map<String, Value>,
}

/// What stands in for a group that nobody names.
const CLUSTER: &str = "istio-proxy";
/// What stands in for a platform's cluster that nobody names, as in discovery.
const CLUSTER_ID: &str = "default";

/// Puts the proxy's identity together. `labels` is the text of the labels file.
///
/// # Errors
/// Something needed is missing, or cannot be read; the text says what and how to give it.
pub(super) fn identity(
    kind: ProxyKind,
    args: &IdentityArgs,
    layers: &ProxyConfig,
    labels: &str,
    around: &Surroundings,
) -> Result<Identity, String> {
    let mut metadata = metadata::from_environment(&around.environment)?;
    let ip = match args.ip {
        Some(ip) => ip,
        None => address(around)?,
    };
    let named = Named::new(args, ip, around)?;
    let namespace = args
        .namespace
        .as_deref()
        .or_else(|| around.get("POD_NAMESPACE"))
        .or_else(|| metadata.get("NAMESPACE").and_then(Value::as_str))
        .or_else(|| namespace_in(args))
        .unwrap_or("default")
        .to_owned();
    let labels = all_labels(args, labels, &metadata)?;
    let cluster = args
        .service_cluster
        .clone()
        .or_else(|| layers.service_cluster.clone())
        .or_else(|| labels.get("app").map(|app| format!("{app}.{namespace}")))
        .unwrap_or_else(|| CLUSTER.to_owned());
    let zone = args
        .availability_zone
        .as_deref()
        .or(layers.availability_zone.as_deref())
        .unwrap_or_default();

    metadata.insert("NAMESPACE".to_owned(), json!(namespace));
    if !labels.is_empty() {
        metadata.insert("LABELS".to_owned(), json!(labels));
    }
    if let Some(mode) = interception(args, layers)? {
        metadata.insert("INTERCEPTION_MODE".to_owned(), json!(mode));
    }
    let mut add = |key: &str, value: Option<String>| {
        if let (None, Some(value)) = (metadata.get(key), value) {
            metadata.insert(key.to_owned(), Value::String(value));
        }
    };
    add("CLUSTER_ID", Some(CLUSTER_ID.to_owned()));
    add("INSTANCE_IPS", Some(instance_ips(ip, around)));
    add("NAME", around.get("POD_NAME").map(str::to_owned));
    add(
        "SERVICE_ACCOUNT",
        around.get("SERVICE_ACCOUNT").map(str::to_owned),
    );
    Ok(Identity {
        node: NodeId {
            kind,
            ip,
            name: named.id.into(),
            domain: named.domain.into(),
        },
        namespace,
        cluster,
        locality: locality(zone),
        metadata,
    })
}

struct Named {
    id: String,
    domain: String,
}

impl Named {
    fn new(args: &IdentityArgs, ip: IpAddr, around: &Surroundings) -> Result<Self, String> {
        let pod = around.get("POD_NAME");
        let platform = args.service_registry.unwrap_or(match pod {
            Some(_) => ServiceRegistry::Kubernetes,
            None => ServiceRegistry::Static,
        });
        let namespace = args
            .namespace
            .as_deref()
            .or_else(|| around.get("POD_NAMESPACE"))
            .unwrap_or("default");
        let id = match (&args.id, platform) {
            (Some(id), _) => id.clone(),
            (None, ServiceRegistry::Kubernetes) => {
                let pod = pod.ok_or(
                    "--service-registry Kubernetes takes the proxy's name from the environment's POD_NAME, which is not set; set it, or give --id NAME.NAMESPACE",
                )?;
                format!("{pod}.{namespace}")
            }
            (None, ServiceRegistry::Consul) => format!("{ip}.service.consul"),
            (None, ServiceRegistry::Static) => ip.to_string(),
        };
        let domain = match (&args.domain, platform) {
            (Some(domain), _) => domain.clone(),
            (None, ServiceRegistry::Kubernetes) => format!("{namespace}.svc.cluster.local"),
            (None, ServiceRegistry::Consul) => "service.consul".to_owned(),
            (None, ServiceRegistry::Static) => String::new(),
        };
        for (flag, text) in [("--id", &id), ("--domain", &domain)] {
            if text.contains(['~', ' ']) || (flag == "--id" && text.is_empty()) {
                return Err(format!("{flag} {text:?} cannot be part of a node id"));
            }
        }
        Ok(Self { id, domain })
    }
}

/// The proxy's address if no flag says.
fn address(around: &Surroundings) -> Result<IpAddr, String> {
    // Several addresses of a pod are separated by commas, the main one first.
    let given = around.read("INSTANCE_IP", |text| {
        let first = text.split(',').next().unwrap_or(text).trim();
        first
            .parse()
            .map_err(|_| "it is not an IP address".to_owned())
    })?;
    given
        .or_else(|| around.addresses.first().copied())
        .ok_or_else(|| {
            "this machine has no global address, and INSTANCE_IP is not set; give the proxy's address with --ip"
                .to_owned()
        })
}

/// All addresses, the main one first.
fn instance_ips(main: IpAddr, around: &Surroundings) -> String {
    let mut all = vec![main];
    match around.get("INSTANCE_IP") {
        Some(list) => all.extend(
            list.split(',')
                .filter_map(|ip| ip.trim().parse::<IpAddr>().ok()),
        ),
        None => all.extend(&around.addresses),
    }
    let mut texts: Vec<String> = Vec::new();
    for text in all.iter().map(IpAddr::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.join(",")
}

/// By convention an id is NAME.NAMESPACE, and a domain of several parts begins with the namespace.
fn namespace_in(args: &IdentityArgs) -> Option<&str> {
    let of_id = args
        .id
        .as_deref()
        .filter(|id| id.parse::<IpAddr>().is_err())
        .and_then(|id| id.rsplit_once('.'))
        .map(|(_, namespace)| namespace);
    let of_domain = args
        .domain
        .as_deref()
        .filter(|domain| domain.contains(".svc."))
        .and_then(|domain| domain.split_once('.'))
        .map(|(namespace, _)| namespace);
    of_domain.or(of_id).filter(|name| !name.is_empty())
}

/// A flag is stronger than the environment, and that than the file.
fn all_labels(
    args: &IdentityArgs,
    file: &str,
    metadata: &Map<String, Value>,
) -> Result<BTreeMap<String, String>, String> {
    let mut labels = metadata::labels(file)
        .map_err(|problem| format!("--labels-file {}: {problem}", args.labels_file.display()))?;
    if let Some(more) = metadata.get("LABELS").and_then(Value::as_object) {
        let text =
            |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        labels.extend(more.iter().filter_map(text));
    }
    labels.extend(args.labels.iter().cloned());
    Ok(labels)
}

fn interception(args: &IdentityArgs, layers: &ProxyConfig) -> Result<Option<&'static str>, String> {
    let name = |mode| match mode {
        Capture::Redirect => "REDIRECT",
        Capture::Tproxy => "TPROXY",
        Capture::None => "NONE",
    };
    if let Some(mode) = args.interception_mode {
        return Ok(Some(name(mode)));
    }
    let Some(text) = &layers.interception_mode else {
        return Ok(None);
    };
    clap::ValueEnum::from_str(text, true)
        .map(|mode| Some(name(mode)))
        .map_err(|_| format!("interceptionMode {text:?} is none of REDIRECT, TPROXY and NONE"))
}

/// 1.0 knows zones only.
fn locality(text: &str) -> Locality {
    if text.contains('/') {
        Locality::parse(text)
    } else {
        Locality::new("", text, "")
    }
}
