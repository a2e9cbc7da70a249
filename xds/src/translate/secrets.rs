//! Certificates and keys, which come from the agent beside the proxy by name, and how certificates are verified.

use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3::{
    ApiConfigSource, ApiVersion, ConfigSource, GrpcService, TransportSocket, api_config_source,
    config_source, grpc_service, transport_socket,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, SdsSecretConfig, SubjectAltNameMatcher, common_tls_context,
    subject_alt_name_matcher,
};
use envoy_types::pb::envoy::r#type::matcher::v3::{StringMatcher, string_matcher};
use envoy_types::pb::google::protobuf::Any;

use super::common::{INITIAL_FETCH_TIMEOUT, duration};
use crate::bootstrap::SECRETS_CLUSTER;

/// The transport socket that speaks TLS.
pub(super) const TLS: &str = "envoy.transport_sockets.tls";
/// The workload's own certificate.
pub(super) const OWN: &str = "default";
/// The roots of the mesh.
pub(super) const ROOTS: &str = "ROOTCA";

/// A transport socket.
pub(super) fn named(name: &str, config: Any) -> TransportSocket {
    TransportSocket {
        name: name.into(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(config)),
    }
}

/// That a certificate bears this name.
pub(super) fn san(name: &str) -> SubjectAltNameMatcher {
    use subject_alt_name_matcher::SanType;
    let san_type = if name.contains("://") {
        SanType::Uri
    } else if name.parse::<IpAddr>().is_ok() {
        SanType::IpAddress
    } else {
        SanType::Dns
    };
    SubjectAltNameMatcher {
        san_type: san_type.into(),
        matcher: Some(StringMatcher {
            match_pattern: Some(string_matcher::MatchPattern::Exact(name.into())),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// That a certificate is believed by `roots`, and is as `own` says.
pub(super) fn validation(
    roots: impl Into<String>,
    own: CertificateValidationContext,
) -> common_tls_context::ValidationContextType {
    common_tls_context::ValidationContextType::CombinedValidationContext(
        common_tls_context::CombinedCertificateValidationContext {
            default_validation_context: Some(own),
            validation_context_sds_secret_config: Some(secret(roots)),
            ..Default::default()
        },
    )
}

/// A secret of the agent's.
pub(super) fn secret(name: impl Into<String>) -> SdsSecretConfig {
    let service = GrpcService {
        target_specifier: Some(grpc_service::TargetSpecifier::EnvoyGrpc(
            grpc_service::EnvoyGrpc {
                cluster_name: SECRETS_CLUSTER.into(),
                ..Default::default()
            },
        )),
        ..Default::default()
    };
    SdsSecretConfig {
        name: name.into(),
        sds_config: Some(ConfigSource {
            initial_fetch_timeout: duration(INITIAL_FETCH_TIMEOUT),
            resource_api_version: ApiVersion::V3.into(),
            config_source_specifier: Some(config_source::ConfigSourceSpecifier::ApiConfigSource(
                ApiConfigSource {
                    api_type: api_config_source::ApiType::Grpc.into(),
                    transport_api_version: ApiVersion::V3.into(),
                    grpc_services: vec![service],
                    set_node_on_first_message_only: true,
                    ..Default::default()
                },
            )),
            ..Default::default()
        }),
    }
}
