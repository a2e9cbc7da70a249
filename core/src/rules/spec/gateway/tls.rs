//! TLS as a router deals with it.

use serde::Serialize;
use serde_json::Value;

use crate::rules::at::At;
use crate::rules::spec::{Decode, object, one_of};

/// How TLS is dealt with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServerTls {
    /// That clients without TLS are sent to where there is TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_redirect: Option<bool>,
    /// Whether it ends at the router.
    pub mode: ServerTlsMode,
    /// The file of the router's certificate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server_certificate: String,
    /// The file of its key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub private_key: String,
    /// The file of the authorities that clients' certificates are believed by.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ca_certificates: String,
    /// The file of certificates that have been revoked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ca_crl: String,
    /// Further certificates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls_certificates: Vec<ServerCertificate>,
    /// The names of which a client's certificate has to bear one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<String>,
    /// The secret that has the certificate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub credential_name: String,
    /// The secrets that have certificates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub credential_names: Vec<String>,
    /// The secret that has the authorities.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ca_cert_credential_name: String,
    /// Hashes of clients' keys, of which one has to fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verify_certificate_spki: Vec<String>,
    /// Hashes of clients' certificates, of which one has to fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verify_certificate_hash: Vec<String>,
    /// The oldest version of TLS.
    pub min_protocol_version: TlsVersion,
    /// The youngest version of TLS.
    pub max_protocol_version: TlsVersion,
    /// The ciphers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cipher_suites: Vec<String>,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServerCertificate {
    /// The file of the certificate.
    pub server_certificate: String,
    /// The file of its key.
    pub private_key: String,
    /// The file of the authorities that clients' certificates are believed by.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ca_certificates: String,
}

/// Whether TLS ends at the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServerTlsMode {
    /// It does not: rules say where connections go, by server name.
    #[default]
    Passthrough,
    /// It does; clients need no certificate.
    Simple,
    /// It does; clients need a certificate.
    Mutual,
    /// It does not: the server name itself says where connections go.
    AutoPassthrough,
    /// It does, with the certificates of the mesh.
    IstioMutual,
    /// It does; a certificate of a client's is looked at if there is one.
    OptionalMutual,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TlsVersion {
    /// As the proxy does.
    #[default]
    #[serde(rename = "TLS_AUTO")]
    Auto,
    /// 1.0.
    #[serde(rename = "TLSV1_0")]
    V1_0,
    /// 1.1.
    #[serde(rename = "TLSV1_1")]
    V1_1,
    /// 1.2.
    #[serde(rename = "TLSV1_2")]
    V1_2,
    /// 1.3.
    #[serde(rename = "TLSV1_3")]
    V1_3,
}

impl Decode for ServerTls {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            https_redirect: f.get("httpsRedirect"),
            mode: f.get("mode"),
            server_certificate: f.get("serverCertificate"),
            private_key: f.get("privateKey"),
            ca_certificates: f.get("caCertificates"),
            ca_crl: f.get("caCrl"),
            tls_certificates: f.get("tlsCertificates"),
            subject_alt_names: f.get("subjectAltNames"),
            credential_name: f.get("credentialName"),
            credential_names: f.get("credentialNames"),
            ca_cert_credential_name: f.get("caCertCredentialName"),
            verify_certificate_spki: f.get("verifyCertificateSpki"),
            verify_certificate_hash: f.get("verifyCertificateHash"),
            min_protocol_version: f.get("minProtocolVersion"),
            max_protocol_version: f.get("maxProtocolVersion"),
            cipher_suites: f.get("cipherSuites"),
        })
    }
}

impl Decode for ServerCertificate {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            server_certificate: f.get("serverCertificate"),
            private_key: f.get("privateKey"),
            ca_certificates: f.get("caCertificates"),
        })
    }
}

impl Decode for ServerTlsMode {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("PASSTHROUGH", 0, Self::Passthrough),
            ("SIMPLE", 1, Self::Simple),
            ("MUTUAL", 2, Self::Mutual),
            ("AUTO_PASSTHROUGH", 3, Self::AutoPassthrough),
            ("ISTIO_MUTUAL", 4, Self::IstioMutual),
            ("OPTIONAL_MUTUAL", 5, Self::OptionalMutual),
        ];
        one_of(value, at, &all)
    }
}

impl Decode for TlsVersion {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("TLS_AUTO", 0, Self::Auto),
            ("TLSV1_0", 1, Self::V1_0),
            ("TLSV1_1", 2, Self::V1_1),
            ("TLSV1_2", 3, Self::V1_2),
            ("TLSV1_3", 4, Self::V1_3),
        ];
        one_of(value, at, &all)
    }
}
