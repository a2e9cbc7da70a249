//! The one stream over which everything comes: how it is asked for, and how soon again.

use envoy_types::pb::envoy::config::core::v3::api_config_source::ApiType;
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::grpc_service::{EnvoyGrpc, TargetSpecifier};
use envoy_types::pb::envoy::config::core::v3::{
    AggregatedConfigSource, ApiConfigSource, ApiVersion, BackoffStrategy, ConfigSource,
    GrpcService, RetryPolicy,
};
use envoy_types::pb::google::protobuf::Duration;

use super::{DISCOVERY_CLUSTER, DiscoveryAddress, Variant};

/// The stream to discovery.
pub(super) fn stream(variant: Variant, discovery: &DiscoveryAddress) -> ApiConfigSource {
    let api_type = match variant {
        Variant::Delta => ApiType::DeltaGrpc,
        Variant::Sotw => ApiType::Grpc,
    };
    let through = EnvoyGrpc {
        cluster_name: DISCOVERY_CLUSTER.to_owned(),
        retry_policy: retry_policy(discovery),
        ..EnvoyGrpc::default()
    };
    ApiConfigSource {
        api_type: api_type.into(),
        transport_api_version: ApiVersion::V3.into(),
        grpc_services: vec![GrpcService {
            target_specifier: Some(TargetSpecifier::EnvoyGrpc(through)),
            ..GrpcService::default()
        }],
        // A node is tens of kilobytes, most of them the list of extensions.
        set_node_on_first_message_only: true,
        ..ApiConfigSource::default()
    }
}

/// Waits for the first configuration for as long as it takes: a proxy without any would refuse its application's requests.
pub(super) fn over_ads() -> ConfigSource {
    ConfigSource {
        resource_api_version: ApiVersion::V3.into(),
        initial_fetch_timeout: Some(Duration::default()),
        config_source_specifier: Some(
            ConfigSourceSpecifier::Ads(AggregatedConfigSource::default()),
        ),
        ..ConfigSource::default()
    }
}

/// An agent on the same machine is asked again soon, because it holds streams until discovery is there and spares it;
/// discovery itself as Envoy does by default, after half a second and up to thirty.
fn retry_policy(discovery: &DiscoveryAddress) -> Option<RetryPolicy> {
    let DiscoveryAddress::Unix(_) = discovery else {
        return None;
    };
    Some(RetryPolicy {
        retry_back_off: Some(BackoffStrategy {
            base_interval: Some(Duration {
                seconds: 0,
                nanos: 200_000_000,
            }),
            max_interval: Some(Duration {
                seconds: 5,
                nanos: 0,
            }),
        }),
        ..RetryPolicy::default()
    })
}

#[cfg(test)]
mod tests {
    use prost::{Message, Name};
    use serde_json::{Value, json};

    use super::*;
    use crate::json;

    fn written(variant: Variant, discovery: &DiscoveryAddress) -> Value {
        let stream = stream(variant, discovery);
        json::to_json(&ApiConfigSource::full_name(), &stream.encode_to_vec()).unwrap()
    }

    #[test]
    fn state_of_the_world_is_asked_for_by_name() {
        let discovery = DiscoveryAddress::Ip("10.9.9.9:15010".parse().unwrap());
        assert_eq!(written(Variant::Sotw, &discovery)["api_type"], "GRPC");
    }

    #[test]
    fn an_agent_is_asked_again_soon() {
        let back_off = |discovery| {
            let stream = written(Variant::Delta, &discovery);
            stream
                .pointer("/grpc_services/0/envoy_grpc/retry_policy/retry_back_off")
                .cloned()
        };
        assert_eq!(
            back_off(DiscoveryAddress::Unix("/run/agent/xds".into())),
            Some(json!({ "base_interval": "0.200s", "max_interval": "5s" }))
        );
        let named = DiscoveryAddress::Host("pilot.test".to_owned(), 15010);
        assert_eq!(back_off(named), None);
    }
}
