//! What connections begin with: TLS, a PROXY header, both or nothing.
//!
//! Certificates and keys come from the agent beside the proxy, by names that say the files.

use envoy_types::pb::envoy::config::core::v3::{
    ProxyProtocolConfig, TransportSocket, proxy_protocol_config,
};
use envoy_types::pb::envoy::extensions::transport_sockets::proxy_protocol::v3::ProxyProtocolUpstreamTransport;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, SubjectAltNameMatcher, UpstreamTlsContext,
    common_tls_context,
};
use envoy_types::util::pack_any;
use pilothouse_core::rules::resolve::{FileTls, ProxyProtocol, Tls};

use super::super::super::secrets::{OWN, ROOTS, TLS, named, san, secret, validation};
use crate::inputs::clusters::OutboundCluster;

const RAW: &str = "envoy.transport_sockets.raw_buffer";
const PROXY_PROTOCOL: &str = "envoy.transport_sockets.upstream_proxy_protocol";

pub(super) fn socket(input: &OutboundCluster) -> Option<TransportSocket> {
    // What passes through has its TLS already.
    if input.by_server_name {
        return None;
    }
    let blocks = &input.governed.blocks;
    let tls = blocks.tls.as_deref().and_then(|tls| context(tls, input));
    let tls = tls.map(|context| named(TLS, pack_any(context)));
    let Some(version) = blocks.proxy_protocol else {
        return tls;
    };
    let version = match version {
        ProxyProtocol::V1 => proxy_protocol_config::Version::V1,
        ProxyProtocol::V2 => proxy_protocol_config::Version::V2,
    };
    let config = ProxyProtocolUpstreamTransport {
        config: Some(ProxyProtocolConfig {
            version: version.into(),
            ..Default::default()
        }),
        transport_socket: tls.or_else(|| Some(named(RAW, pack_any(RawBuffer::default())))),
        ..Default::default()
    };
    Some(named(PROXY_PROTOCOL, pack_any(config)))
}

fn context(tls: &Tls, input: &OutboundCluster) -> Option<UpstreamTlsContext> {
    match tls {
        Tls::Disable => None,
        Tls::Files(files) => Some(with_files(files, input)),
        Tls::IstioMutual {
            sni,
            subject_alt_names,
        } => Some(mutual(sni.as_deref(), subject_alt_names, input)),
        Tls::Unserved => Some(nobody()),
    }
}

fn with_files(files: &FileTls, input: &OutboundCluster) -> UpstreamTlsContext {
    let own = files.own.as_ref();
    let own = own.map(|(certificate, key)| secret(format!("file-cert:{certificate}~{key}")));
    let roots = files.authorities.as_deref().unwrap_or("system");
    let roots = format!("file-root:{roots}");
    let speaks_http2 = spoken_http2(input);
    UpstreamTlsContext {
        sni: files.sni.as_deref().unwrap_or_default().into(),
        common_tls_context: Some(CommonTlsContext {
            tls_certificate_sds_secret_configs: own.into_iter().collect(),
            validation_context_type: files
                .verify
                .then(|| validation(roots, bearing(names(&files.subject_alt_names, input)))),
            alpn_protocols: speaks_http2.then(|| "h2".to_owned()).into_iter().collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn mutual(
    sni: Option<&str>,
    said: &[std::sync::Arc<str>],
    input: &OutboundCluster,
) -> UpstreamTlsContext {
    let subset = input.governed.subset.as_ref();
    let sni = sni.map_or_else(
        || {
            format!(
                "outbound_.{}_.{}_.{}",
                input.port.port,
                subset.map_or("", |subset| &*subset.name),
                input.service.key.host
            )
        },
        str::to_owned,
    );
    let mut protocols = vec!["istio-peer-exchange".to_owned(), "istio".to_owned()];
    protocols.extend(spoken_http2(input).then(|| "h2".to_owned()));
    UpstreamTlsContext {
        sni,
        common_tls_context: Some(CommonTlsContext {
            tls_certificate_sds_secret_configs: vec![secret(OWN)],
            validation_context_type: Some(validation(ROOTS, bearing(names(said, input)))),
            alpn_protocols: protocols,
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Nobody's certificate is believed: it is not known whose could be.
fn nobody() -> UpstreamTlsContext {
    UpstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            validation_context_type: Some(
                common_tls_context::ValidationContextType::ValidationContext(
                    CertificateValidationContext {
                        verify_certificate_hash: vec!["0".repeat(64)],
                        ..Default::default()
                    },
                ),
            ),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn spoken_http2(input: &OutboundCluster) -> bool {
    let pool = input.governed.blocks.connection_pool.as_ref();
    let protocol = input.port.protocol;
    protocol.is_http2()
        || protocol.is_http()
            && pool.is_some_and(|pool| pool.upgrade == Some(true) && !pool.client_protocol)
}

/// The names of which a certificate has to bear one: what the rule says, or else the service.
fn names(said: &[std::sync::Arc<str>], input: &OutboundCluster) -> Vec<SubjectAltNameMatcher> {
    let of_service = &input.service.subject_alt_names;
    if said.is_empty() {
        of_service.iter().map(|name| san(name)).collect()
    } else {
        said.iter().map(|name| san(name)).collect()
    }
}

fn bearing(names: Vec<SubjectAltNameMatcher>) -> CertificateValidationContext {
    CertificateValidationContext {
        match_typed_subject_alt_names: names,
        ..Default::default()
    }
}
