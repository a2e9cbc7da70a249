//! Who stands before routers.

use serde_json::Value;

use crate::rules::at::At;
use crate::rules::spec::{Decode, one_of};

/// Who stands before routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GatewayTopology {
    /// How many proxies that stand before a router tell the truth about clients.
    pub num_trusted_proxies: u32,
    /// What routers say of clients' certificates.
    pub forward_client_cert_details: ForwardClientCert,
}

/// What routers say of clients' certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardClientCert {
    /// As routers do.
    #[default]
    Undefined,
    /// Nothing.
    Sanitize,
    /// What clients say.
    ForwardOnly,
    /// What clients say, and the truth besides.
    AppendForward,
    /// The truth.
    SanitizeSet,
    /// What clients say, whether or not they have a certificate.
    AlwaysForwardOnly,
}

impl Decode for GatewayTopology {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        super::known_by_istio(value, at, &["proxyProtocol"], |f| Self {
            num_trusted_proxies: f.get("numTrustedProxies"),
            forward_client_cert_details: f.get("forwardClientCertDetails"),
        })
    }
}

impl Decode for ForwardClientCert {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("UNDEFINED", 0, Self::Undefined),
            ("SANITIZE", 1, Self::Sanitize),
            ("FORWARD_ONLY", 2, Self::ForwardOnly),
            ("APPEND_FORWARD", 3, Self::AppendForward),
            ("SANITIZE_SET", 4, Self::SanitizeSet),
            ("ALWAYS_FORWARD_ONLY", 5, Self::AlwaysForwardOnly),
        ];
        one_of(value, at, &all)
    }
}
