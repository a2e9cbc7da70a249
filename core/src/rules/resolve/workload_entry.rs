//! `WorkloadEntry` → [`Workload`], and what its fields mean wherever they stand.

use std::sync::Arc;

use crate::model::{
    Address, ByName, ClusterId, Health, Labels, Locality, NamespaceName, NetworkId, TlsMode,
    Workload, WorkloadKey,
};
use crate::registry::Meta;
use crate::rules::spec::WorkloadEntry;

/// Says in one label where a workload runs: `region/zone/subzone`, or with dots, as labels have no slashes.
const LOCALITY_LABEL: &str = "istio-locality";
/// Says in one label which network a workload is on.
const NETWORK_LABEL: &str = "topology.istio.io/network";
/// Says in one label whether a workload's proxy takes mutual TLS.
const TLS_MODE_LABEL: &str = "security.istio.io/tlsMode";

/// The workload that a checked `WorkloadEntry` declares. The object's own labels go before those in its spec.
pub fn workload(
    meta: &Meta,
    spec: &WorkloadEntry,
    cluster: &ClusterId,
    trust_domain: &str,
) -> Workload {
    let traits = Traits::of(spec, &meta.labels, &meta.key.namespace, trust_domain);
    Workload {
        key: WorkloadKey::new(meta.key.namespace.clone(), Arc::clone(&meta.key.name)),
        cluster: cluster.clone(),
        network: traits.network,
        addresses: address(spec).into_iter().collect(),
        labels: traits.labels,
        locality: traits.locality,
        identity: traits.identity,
        service_account: None,
        ports: port_numbers(spec),
        weight: spec.weight.max(1),
        health: Health::Healthy,
        tls_mode: traits.tls_mode,
        node: None,
    }
}

/// What follows from an entry's labels, account, network and locality.
pub(super) struct Traits {
    pub(super) labels: Labels,
    pub(super) network: NetworkId,
    pub(super) locality: Locality,
    pub(super) identity: Option<Arc<str>>,
    pub(super) tls_mode: TlsMode,
}

impl Traits {
    /// `own` are labels that go before the entry's.
    pub(super) fn of(
        spec: &WorkloadEntry,
        own: &Labels,
        namespace: &NamespaceName,
        trust_domain: &str,
    ) -> Self {
        let labels = own.over(&spec.labels);
        let account = spec.service_account.as_str();
        Self {
            network: match spec.network.as_str() {
                "" => labels
                    .get(NETWORK_LABEL)
                    .map(NetworkId::from)
                    .unwrap_or_default(),
                network => network.into(),
            },
            locality: match spec.locality.as_str() {
                "" => locality_of_label(labels.get(LOCALITY_LABEL).unwrap_or_default()),
                locality => Locality::parse(locality),
            },
            identity: (!account.is_empty())
                .then(|| format!("spiffe://{trust_domain}/ns/{namespace}/sa/{account}").into()),
            tls_mode: match labels.get(TLS_MODE_LABEL) {
                Some("istio") => TlsMode::Istio,
                None if !account.is_empty() => TlsMode::Istio,
                _ => TlsMode::Disabled,
            },
            labels,
        }
    }
}

/// The port numbers that an entry gives by name.
pub(super) fn port_numbers(spec: &WorkloadEntry) -> ByName<u16> {
    let number = |number: &u32| u16::try_from(*number).ok().filter(|number| *number != 0);
    spec.ports
        .iter()
        .filter_map(|(name, port)| Some((name, number(port)?)))
        .collect()
}

/// The address that an entry gives, if it gives one.
pub(super) fn address(spec: &WorkloadEntry) -> Option<Address> {
    spec.address.parse().ok()
}

fn locality_of_label(text: &str) -> Locality {
    if text.contains('/') {
        Locality::parse(text)
    } else {
        Locality::parse(&text.replace('.', "/"))
    }
}
