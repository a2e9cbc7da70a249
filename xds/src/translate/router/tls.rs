//! TLS that ends at a router.
//!
//! Certificates and keys come from the agent beside the proxy, by names that say the files.

use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, TlsParameters,
    common_tls_context, tls_parameters::TlsProtocol,
};
use envoy_types::util::pack_any;
use pilothouse_core::rules::resolve::{ClientCertificate, ServerCertificate, Termination};
use pilothouse_core::rules::spec::gateway::TlsVersion;

use super::super::common::boolean;
use super::super::secrets::{OWN, ROOTS, TLS, named, san, secret, validation};

/// What clients of requests may speak.
const HTTP: [&str; 2] = ["h2", "http/1.1"];

/// Ends TLS for requests or for bytes.
pub(in crate::translate) fn socket(tls: &Termination, http: bool) -> TransportSocket {
    let own = match &tls.own {
        ServerCertificate::Mesh => vec![secret(OWN)],
        ServerCertificate::Files(files) => files
            .iter()
            .map(|(certificate, key)| secret(format!("file-cert:{certificate}~{key}")))
            .collect(),
    };
    let root = |path: &str| format!("file-root:{path}");
    let (roots, required) = match &tls.client {
        ClientCertificate::None => (None, false),
        ClientCertificate::Required { authorities } => {
            let roots = authorities.as_ref().map(|path| root(path));
            (Some(roots.unwrap_or_else(|| ROOTS.to_owned())), true)
        }
        ClientCertificate::Optional { authorities } => (Some(root(authorities)), false),
    };
    let protocols: &[&str] = if http { &HTTP } else { &[] };
    let context = DownstreamTlsContext {
        require_client_certificate: boolean(required),
        common_tls_context: Some(CommonTlsContext {
            tls_params: Some(parameters(tls)),
            tls_certificate_sds_secret_configs: own,
            validation_context_type: verification(tls, roots),
            alpn_protocols: protocols.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        }),
        ..Default::default()
    };
    named(TLS, pack_any(context))
}

/// What clients' certificates have to be like.
fn verification(
    tls: &Termination,
    roots: Option<String>,
) -> Option<common_tls_context::ValidationContextType> {
    let own = CertificateValidationContext {
        match_typed_subject_alt_names: tls.subject_alt_names.iter().map(|name| san(name)).collect(),
        verify_certificate_spki: tls.spki.iter().map(ToString::to_string).collect(),
        verify_certificate_hash: tls.hashes.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    roots.map(|roots| validation(roots, own))
}

fn parameters(tls: &Termination) -> TlsParameters {
    let (min, max) = tls.versions;
    let version = |version, default: TlsProtocol| match version {
        TlsVersion::Auto => default,
        TlsVersion::V1_0 => TlsProtocol::TlSv10,
        TlsVersion::V1_1 => TlsProtocol::TlSv11,
        TlsVersion::V1_2 => TlsProtocol::TlSv12,
        TlsVersion::V1_3 => TlsProtocol::TlSv13,
    };
    TlsParameters {
        tls_minimum_protocol_version: version(min, TlsProtocol::TlSv12).into(),
        tls_maximum_protocol_version: version(max, TlsProtocol::TlsAuto).into(),
        cipher_suites: tls.ciphers.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}
