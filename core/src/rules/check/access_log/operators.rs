//! Envoy's command operators: those that stock Envoy has without further extensions, and what each takes.

/// What stands behind an operator's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing.
    Nothing,
    /// A parameter, if one likes.
    Optional,
    /// A parameter of any text.
    Text,
    /// The same, and a length.
    TextAndLength,
    /// A header, perhaps `?` and a second one, and a length.
    Header,
    /// A key of filter state and how it is written, and a length.
    FilterState,
    /// Whose metadata, and a length.
    Metadata,
    /// Two points in time and a precision.
    CommonDuration,
    /// One of these between colons, if one likes, and a length.
    Options(&'static [&'static [&'static str]]),
    /// How a gRPC status is written, if one likes.
    GrpcStatus,
    /// Operators as JSON, and a length.
    Coalesce,
}

/// What an operator takes, and whether Envoy 1.36, the oldest version that is supported, does not know it. `None` for what
/// is no operator.
pub(super) fn operator(name: &str) -> Option<(Takes, bool)> {
    let has = |table: &[&str]| table.binary_search(&name).is_ok();
    if has(&PLAIN) {
        return Some((Takes::Nothing, false));
    }
    if has(&RECENT) {
        return Some((Takes::Nothing, true));
    }
    SPECIAL
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, takes, recent)| (*takes, *recent))
}

/// All operators.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let special = SPECIAL.iter().map(|(name, ..)| *name);
    PLAIN.into_iter().chain(RECENT).chain(special)
}

/// Operators with a meaning of their own for what stands behind their name, and whether Envoy 1.36 does not know them. What an
/// expression of CEL says is left to Envoy.
const SPECIAL: [(&str, Takes, bool); 38] = [
    ("CEL", Takes::TextAndLength, false),
    ("CLUSTER_METADATA", Takes::Text, false),
    ("COALESCE", Takes::Coalesce, true),
    ("COMMON_DURATION", Takes::CommonDuration, false),
    (
        "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT",
        Takes::Optional,
        false,
    ),
    (
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
        Takes::Optional,
        false,
    ),
    (
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        Takes::Optional,
        false,
    ),
    ("DOWNSTREAM_PEER_CERT_V_END", Takes::Optional, false),
    ("DOWNSTREAM_PEER_CERT_V_START", Takes::Optional, false),
    (
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
        Takes::Optional,
        false,
    ),
    ("DYNAMIC_METADATA", Takes::TextAndLength, false),
    ("EMIT_TIME", Takes::Optional, false),
    ("EMIT_TIME_LOCAL", Takes::Optional, false),
    ("ENVIRONMENT", Takes::TextAndLength, false),
    ("FILTER_STATE", Takes::FilterState, false),
    ("GRPC_STATUS", Takes::GrpcStatus, false),
    ("METADATA", Takes::Metadata, false),
    (
        "PATH",
        Takes::Options(&[&["", "WQ", "NQ"], &["", "ORIG", "PATH", "ORIG_OR_PATH"]]),
        false,
    ),
    ("QUERY_PARAM", Takes::TextAndLength, false),
    (
        "QUERY_PARAMS",
        Takes::Options(&[&["", "ORIG", "DECODED"]]),
        true,
    ),
    ("REQ", Takes::Header, false),
    ("REQUEST_HEADER", Takes::Header, true),
    ("REQ_WITHOUT_QUERY", Takes::Header, false),
    ("RESP", Takes::Header, false),
    ("RESPONSE_CODE_DETAILS", Takes::Optional, false),
    ("RESPONSE_HEADER", Takes::Header, true),
    ("RESPONSE_TRAILER", Takes::Header, true),
    ("START_TIME", Takes::Optional, false),
    ("START_TIME_LOCAL", Takes::Optional, false),
    ("STREAM_INFO_REQ", Takes::Header, false),
    ("TRAILER", Takes::Header, false),
    ("TYPED_CEL", Takes::TextAndLength, false),
    ("UPSTREAM_FILTER_STATE", Takes::FilterState, false),
    (
        "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        Takes::Optional,
        false,
    ),
    ("UPSTREAM_METADATA", Takes::Text, false),
    ("UPSTREAM_PEER_CERT_V_END", Takes::Optional, false),
    ("UPSTREAM_PEER_CERT_V_START", Takes::Optional, false),
    (
        "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
        Takes::Optional,
        false,
    ),
];

/// Operators that take nothing.
const PLAIN: [&str; 104] = [
    "ACCESS_LOG_TYPE",
    "BYTES_RECEIVED",
    "BYTES_RETRANSMITTED",
    "BYTES_SENT",
    "CONNECTION_ID",
    "CONNECTION_TERMINATION_DETAILS",
    "CUSTOM_FLAGS",
    "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED",
    "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT",
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS",
    "DOWNSTREAM_DIRECT_LOCAL_PORT",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_PORT",
    "DOWNSTREAM_HANDSHAKE_DURATION",
    "DOWNSTREAM_HEADER_BYTES_RECEIVED",
    "DOWNSTREAM_HEADER_BYTES_SENT",
    "DOWNSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_LOCAL_DNS_SAN",
    "DOWNSTREAM_LOCAL_EMAIL_SAN",
    "DOWNSTREAM_LOCAL_IP_SAN",
    "DOWNSTREAM_LOCAL_OTHERNAME_SAN",
    "DOWNSTREAM_LOCAL_PORT",
    "DOWNSTREAM_LOCAL_SUBJECT",
    "DOWNSTREAM_LOCAL_URI_SAN",
    "DOWNSTREAM_PEER_CERT",
    "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1",
    "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256",
    "DOWNSTREAM_PEER_CHAIN_SERIALS",
    "DOWNSTREAM_PEER_DNS_SAN",
    "DOWNSTREAM_PEER_EMAIL_SAN",
    "DOWNSTREAM_PEER_FINGERPRINT_1",
    "DOWNSTREAM_PEER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_IP_SAN",
    "DOWNSTREAM_PEER_ISSUER",
    "DOWNSTREAM_PEER_OTHERNAME_SAN",
    "DOWNSTREAM_PEER_SERIAL",
    "DOWNSTREAM_PEER_SUBJECT",
    "DOWNSTREAM_PEER_URI_SAN",
    "DOWNSTREAM_REMOTE_ADDRESS",
    "DOWNSTREAM_REMOTE_PORT",
    "DOWNSTREAM_TLS_CIPHER",
    "DOWNSTREAM_TLS_SESSION_ID",
    "DOWNSTREAM_TLS_VERSION",
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
    "DOWNSTREAM_WIRE_BYTES_RECEIVED",
    "DOWNSTREAM_WIRE_BYTES_SENT",
    "DURATION",
    "FILTER_CHAIN_NAME",
    "GRPC_STATUS_NUMBER",
    "HOSTNAME",
    "LOCAL_REPLY_BODY",
    "PACKETS_RETRANSMITTED",
    "PROTOCOL",
    "REQUESTED_SERVER_NAME",
    "REQUEST_DURATION",
    "REQUEST_HEADERS_BYTES",
    "REQUEST_TX_DURATION",
    "RESPONSE_CODE",
    "RESPONSE_DURATION",
    "RESPONSE_FLAGS",
    "RESPONSE_FLAGS_LONG",
    "RESPONSE_HEADERS_BYTES",
    "RESPONSE_TRAILERS_BYTES",
    "RESPONSE_TX_DURATION",
    "ROUNDTRIP_DURATION",
    "ROUTE_NAME",
    "STREAM_ID",
    "TLS_JA3_FINGERPRINT",
    "TLS_JA4_FINGERPRINT",
    "TRACE_ID",
    "UNIQUE_ID",
    "UPSTREAM_CLUSTER",
    "UPSTREAM_CLUSTER_RAW",
    "UPSTREAM_CONNECTION_ID",
    "UPSTREAM_CONNECTION_POOL_READY_DURATION",
    "UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED",
    "UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT",
    "UPSTREAM_HEADER_BYTES_RECEIVED",
    "UPSTREAM_HEADER_BYTES_SENT",
    "UPSTREAM_HOST",
    "UPSTREAM_HOST_NAME",
    "UPSTREAM_HOST_NAME_WITHOUT_PORT",
    "UPSTREAM_LOCAL_ADDRESS",
    "UPSTREAM_LOCAL_DNS_SAN",
    "UPSTREAM_LOCAL_IP_SAN",
    "UPSTREAM_LOCAL_PORT",
    "UPSTREAM_LOCAL_URI_SAN",
    "UPSTREAM_PEER_CERT",
    "UPSTREAM_PEER_DNS_SAN",
    "UPSTREAM_PEER_IP_SAN",
    "UPSTREAM_PEER_ISSUER",
    "UPSTREAM_PEER_SUBJECT",
    "UPSTREAM_PEER_URI_SAN",
    "UPSTREAM_PROTOCOL",
    "UPSTREAM_REMOTE_ADDRESS",
    "UPSTREAM_REMOTE_PORT",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT",
    "UPSTREAM_TLS_CIPHER",
    "UPSTREAM_TLS_SESSION_ID",
    "UPSTREAM_TLS_VERSION",
    "UPSTREAM_TRANSPORT_FAILURE_REASON",
    "UPSTREAM_WIRE_BYTES_RECEIVED",
    "UPSTREAM_WIRE_BYTES_SENT",
    "VIRTUAL_CLUSTER_NAME",
];

/// The same that Envoy 1.36 does not know.
const RECENT: [&str; 22] = [
    "DOWNSTREAM_CX_RTT",
    "DOWNSTREAM_DETECTED_CLOSE_TYPE",
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID",
    "DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID",
    "DOWNSTREAM_LOCAL_CLOSE_REASON",
    "DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_ISSUER_SERIAL",
    "DOWNSTREAM_TLS_GROUP",
    "LISTENER_NAME",
    "ROUTE_RESOLUTION_COUNT",
    "ROUTE_RESOLUTION_TIME_US",
    "SPAN_ID",
    "UPSTREAM_CONNECTION_IDS_ATTEMPTED",
    "UPSTREAM_DETECTED_CLOSE_TYPE",
    "UPSTREAM_HOSTS_ATTEMPTED",
    "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT",
    "UPSTREAM_HOST_NAMES_ATTEMPTED",
    "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT",
    "UPSTREAM_LOCAL_CLOSE_REASON",
    "UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID",
    "UPSTREAM_SERVER_NAME",
    "UPSTREAM_TLS_GROUP",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_say_everything_once() {
        assert!(PLAIN.is_sorted() && RECENT.is_sorted());
        let mut all: Vec<_> = names().collect();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
