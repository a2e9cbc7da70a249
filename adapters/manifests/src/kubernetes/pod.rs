//! `Pod`: a workload, and what is known of the proxy beside it.

use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::model::{Address, Health, Workload, WorkloadKey};
use pilothouse_core::registry::{Meta, Value};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::decode::{List, Text, nullable};
use super::{Names, Said, ports, topology};

/// The account of a pod that names none.
const DEFAULT_ACCOUNT: &str = "default";

/// As written.
#[derive(Debug, Deserialize)]
pub(super) struct Written<'a> {
    #[serde(default, deserialize_with = "nullable")]
    metadata: Metadata,
    #[serde(default, borrow, deserialize_with = "nullable")]
    spec: Spec<'a>,
    #[serde(default, borrow, deserialize_with = "nullable")]
    status: Status<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(default, borrow)]
    node_name: Text<'a>,
    #[serde(default, borrow)]
    service_account_name: Text<'a>,
    #[serde(default, borrow)]
    containers: List<Container<'a>>,
    #[serde(default, borrow)]
    init_containers: List<Container<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container<'a> {
    #[serde(default, borrow)]
    ports: List<ports::OfContainer<'a>>,
    #[serde(default, borrow)]
    restart_policy: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(default, borrow)]
    phase: Text<'a>,
    #[serde(default, borrow, rename = "podIP")]
    pod_ip: Text<'a>,
    #[serde(default, borrow, rename = "podIPs")]
    pod_ips: List<PodIp<'a>>,
    #[serde(default, borrow)]
    conditions: List<Condition<'a>>,
}

#[derive(Debug, Deserialize)]
struct PodIp<'a> {
    #[serde(default, borrow)]
    ip: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct Condition<'a> {
    #[serde(default, borrow)]
    r#type: Text<'a>,
    #[serde(default, borrow)]
    status: Text<'a>,
}

/// One that has run to its end is no workload: its address may be another's.
pub(super) fn read(meta: &Meta, written: &Written<'_>, names: &Names) -> Said {
    let Written {
        metadata,
        spec,
        status,
    } = written;
    if matches!(&*status.phase, "Succeeded" | "Failed") {
        return Said::default();
    }
    let account = match &*spec.service_account_name {
        "" => DEFAULT_ACCOUNT,
        named => named,
    };
    let ports = ports::of_containers(spec.listening().flat_map(Container::ports));
    Said::value(Value::from(Workload {
        key: WorkloadKey::new(meta.key.namespace.clone(), Arc::clone(&meta.key.name)),
        cluster: names.cluster.clone(),
        network: topology::network(&meta.labels),
        addresses: status.addresses(),
        labels: meta.labels.clone(),
        locality: topology::of_pod(&meta.labels),
        identity: None,
        service_account: names.present(account),
        ports: names.ports.share(ports),
        weight: 1,
        health: if metadata.deletion_timestamp.is_some() {
            Health::Terminating
        } else if status.is_ready() {
            Health::Healthy
        } else {
            Health::Unhealthy
        },
        tls_mode: topology::tls_mode(&meta.labels),
        node: names.present(&spec.node_name),
    }))
}

impl<'a> Spec<'a> {
    /// The containers that run as long as the pod does.
    fn listening(&self) -> impl Iterator<Item = &Container<'a>> {
        let beside = self.init_containers.iter();
        let beside = beside.filter(|(_, container)| &*container.restart_policy == "Always");
        self.containers
            .iter()
            .chain(beside)
            .map(|(_, container)| container)
    }
}

impl<'a> Container<'a> {
    fn ports(&self) -> impl Iterator<Item = &ports::OfContainer<'a>> {
        self.ports.iter().map(|(_, port)| port)
    }
}

impl Status<'_> {
    /// The preferred one first.
    fn addresses(&self) -> Vec<Address> {
        let all = self.pod_ips.iter().map(|(_, one)| &*one.ip);
        let mut addresses = Vec::new();
        for text in [&*self.pod_ip].into_iter().chain(all) {
            let address = text.parse::<IpAddr>().ok().map(Address::Ip);
            addresses.extend(address.filter(|address| !addresses.contains(address)));
        }
        addresses.shrink_to_fit();
        addresses
    }

    /// A pod of which no condition is known is one that somebody wrote down.
    fn is_ready(&self) -> bool {
        let mut conditions = self.conditions.iter().map(|(_, one)| one).peekable();
        conditions.peek().is_none()
            || conditions.any(|one| (&*one.r#type, &*one.status) == ("Ready", "True"))
    }
}
