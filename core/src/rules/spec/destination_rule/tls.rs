//! TLS that a client's proxy begins.

use serde::Serialize;
use serde_json::Value;

use crate::rules::at::At;
use crate::rules::spec::{Decode, object, one_of};

/// How TLS is begun.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClientTls {
    /// Whether, and as whom.
    pub mode: TlsMode,
    /// The file of the client's own certificate.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_certificate: String,
    /// The file of its key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub private_key: String,
    /// The file of the authorities that are believed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ca_certificates: String,
    /// The secret that has all three.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub credential_name: String,
    /// The names of which the server's certificate has to bear one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<String>,
    /// The server name that is asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sni: String,
    /// That the server's certificate is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
    /// The file of certificates that have been revoked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ca_crl: String,
}

/// Whether TLS is begun, and as whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TlsMode {
    /// It is not.
    #[default]
    Disable,
    /// Without a certificate of one's own.
    Simple,
    /// With one.
    Mutual,
    /// With the workload's own, as it was issued for the mesh.
    IstioMutual,
}

impl Decode for ClientTls {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            mode: f.get("mode"),
            client_certificate: f.get("clientCertificate"),
            private_key: f.get("privateKey"),
            ca_certificates: f.get("caCertificates"),
            credential_name: f.get("credentialName"),
            subject_alt_names: f.get("subjectAltNames"),
            sni: f.get("sni"),
            insecure_skip_verify: f.get("insecureSkipVerify"),
            ca_crl: f.get("caCrl"),
        })
    }
}

impl Decode for TlsMode {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("DISABLE", 0, Self::Disable),
            ("SIMPLE", 1, Self::Simple),
            ("MUTUAL", 2, Self::Mutual),
            ("ISTIO_MUTUAL", 3, Self::IstioMutual),
        ];
        one_of(value, at, &all)
    }
}
