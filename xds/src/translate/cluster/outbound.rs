//! Clusters of services.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::{Cluster, cluster};
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::clusters::common::dns::v3::DnsLookupFamily;
use envoy_types::pb::envoy::extensions::clusters::dns::v3::DnsCluster;
use envoy_types::pb::envoy::extensions::network::dns_resolver::cares::v3::CaresDnsResolverConfig;
use envoy_types::pb::google::protobuf::Value;
use envoy_types::util::pack_any;
use pilothouse_core::mesh::Endpoints;
use pilothouse_core::model::Labels;

use super::super::assignment;
use super::super::common::{ISTIO_METADATA, ads, duration, metadata, number, object, text, uint};
use super::super::{Notes, Output, dynamic};
use super::{http_options, of_type, output, policy, services, unlimited};
use crate::extensions::{Extension, Missing};
use crate::inputs::clusters::{Discovery, OutboundCluster};
use crate::names;
use crate::resource::Cause;
use crate::selection::Family;

/// Spreads what many proxies would resolve at once.
const DNS_JITTER: Duration = Duration::from_millis(100);
/// c-ares reuses a UDP socket, and so its source port, this many times.
const QUERIES_PER_SOCKET: u32 = 100;

pub(super) fn translate(input: &OutboundCluster) -> Output {
    let key = &input.service.key;
    let subset = input.governed.subset.as_ref();
    let subset = subset.map_or("", |subset| &*subset.name);
    let name = match input.by_server_name {
        false => names::outbound_cluster(input.port.port, subset, &key.host),
        true => names::sni_cluster(input.port.port, subset, &key.host),
    };
    let mut cluster = Cluster {
        name: name.to_string(),
        // Prometheus' rules find the end of the name by it.
        alt_stat_name: format!("{name};"),
        connect_timeout: duration(input.connect_timeout),
        circuit_breakers: Some(unlimited()),
        lb_policy: cluster::LbPolicy::LeastRequest.into(),
        common_lb_config: Some(by_locality()),
        typed_extension_protocol_options: http_options(policy::protocol_options(
            input.port.protocol,
            &input.governed.blocks,
        )),
        metadata: metadata([(ISTIO_METADATA, object(istio_metadata(input)))]),
        ..Default::default()
    };
    match &input.discovery {
        Discovery::Assignment => {
            cluster.cluster_discovery_type = of_type(cluster::DiscoveryType::Eds);
            cluster.eds_cluster_config = Some(cluster::EdsClusterConfig {
                eds_config: Some(ads()),
                service_name: name.to_string(),
            });
        }
        Discovery::OriginalDestination => {
            cluster.cluster_discovery_type = of_type(cluster::DiscoveryType::OriginalDst);
            cluster.lb_policy = cluster::LbPolicy::ClusterProvided.into();
            cluster.common_lb_config = None;
        }
        Discovery::ByRequest(cache) => cluster = dynamic::by_request(cluster, *cache),
        Discovery::Dns {
            endpoints,
            one_at_a_time,
            refresh,
            family,
            without,
            spread,
        } => {
            let endpoints: &[_] = endpoints
                .as_ref()
                .map_or(&[], |endpoints| Endpoints::as_slice(endpoints));
            let labels = input.governed.subset.as_ref();
            let labels = labels.map_or_else(Labels::default, |subset| subset.labels.clone());
            let inline = assignment::inline(
                name.as_str(),
                &input.port,
                endpoints.iter(),
                input.service.publish_not_ready,
                *one_at_a_time,
                &labels,
                spread.as_ref(),
            );
            // Envoy refuses a logical cluster that has no name to resolve.
            let logical = *one_at_a_time && !inline.endpoints.is_empty();
            cluster = by_name(cluster, logical, *refresh, *family, *without);
            cluster.load_assignment = Some(inline);
        }
    }
    policy::apply(&mut cluster, input);
    let mut notes = Notes::default();
    notes.causes.insert(Cause::Service(key.clone()));
    let rules = input.governed.rules.iter().cloned();
    notes.causes.extend(rules.map(Cause::Rule));
    output(name, notes, cluster)
}

/// What telemetry, patches and people read of where a cluster comes from.
fn istio_metadata(input: &OutboundCluster) -> Vec<(&'static str, Value)> {
    let key = &input.service.key;
    let service = (
        key.host.as_str(),
        &*input.service.name,
        key.namespace.as_str(),
    );
    let mut all = vec![
        ("default_original_port", number(input.port.port)),
        ("services", services([service].into_iter())),
    ];
    if let Some(rule) = input.governed.rules.first() {
        let path = format!(
            "/apis/networking.istio.io/v1/namespaces/{}/destination-rule/{}",
            rule.namespace, rule.name
        );
        all.push(("config", text(path)));
    }
    if let Some(subset) = &input.governed.subset {
        all.push(("subset", text(&*subset.name)));
    }
    all
}

/// Makes the weights of localities count.
fn by_locality() -> cluster::CommonLbConfig {
    use cluster::common_lb_config::{LocalityConfigSpecifier, LocalityWeightedLbConfig};
    cluster::CommonLbConfig {
        locality_config_specifier: Some(LocalityConfigSpecifier::LocalityWeightedLbConfig(
            LocalityWeightedLbConfig {},
        )),
        ..Default::default()
    }
}

/// Makes a cluster resolve names.
fn by_name(
    cluster: Cluster,
    logical: bool,
    refresh: Duration,
    family: Family,
    without: Missing,
) -> Cluster {
    let resolver = (!without.has(Extension::CaresResolver)).then(resolver);
    if without.has(Extension::DnsCluster) {
        return old_by_name(cluster, logical, refresh, family, resolver);
    }
    let family = match family {
        Family::V4 => DnsLookupFamily::V4Only,
        Family::V6 => DnsLookupFamily::V6Only,
        Family::Dual => DnsLookupFamily::All,
    };
    let config = DnsCluster {
        dns_refresh_rate: duration(refresh),
        respect_dns_ttl: true,
        dns_jitter: duration(DNS_JITTER),
        dns_lookup_family: family.into(),
        all_addresses_in_single_endpoint: logical,
        typed_dns_resolver_config: resolver,
        ..Default::default()
    };
    let discovery = cluster::ClusterDiscoveryType::ClusterType(cluster::CustomClusterType {
        // Envoy finds it by its message; the name is Istio's.
        name: "envoy.clusters.dns".into(),
        typed_config: Some(pack_any(config)),
    });
    Cluster {
        cluster_discovery_type: Some(discovery),
        ..cluster
    }
}

/// The same by the cluster's own fields, for Envoys that know no others.
#[expect(
    deprecated,
    reason = "newer Envoys announce the extension and never get here"
)]
fn old_by_name(
    cluster: Cluster,
    logical: bool,
    refresh: Duration,
    family: Family,
    resolver: Option<TypedExtensionConfig>,
) -> Cluster {
    let discovery = if logical {
        cluster::DiscoveryType::LogicalDns
    } else {
        cluster::DiscoveryType::StrictDns
    };
    let family = match family {
        Family::V4 => cluster::DnsLookupFamily::V4Only,
        Family::V6 => cluster::DnsLookupFamily::V6Only,
        Family::Dual => cluster::DnsLookupFamily::All,
    };
    Cluster {
        cluster_discovery_type: of_type(discovery),
        dns_refresh_rate: duration(refresh),
        respect_dns_ttl: true,
        dns_lookup_family: family.into(),
        typed_dns_resolver_config: resolver,
        ..cluster
    }
}

/// The resolver of names, with settings.
pub(in crate::translate) fn resolver() -> TypedExtensionConfig {
    let config = CaresDnsResolverConfig {
        udp_max_queries: uint(QUERIES_PER_SOCKET),
        ..Default::default()
    };
    TypedExtensionConfig {
        name: Extension::CaresResolver.name().into(),
        typed_config: Some(pack_any(config)),
    }
}
