//! Small parts of Envoy's API that many messages share.

use std::net::IpAddr;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiVersion, ConfigSource, Metadata, Pipe, SocketAddress,
    address, config_source, socket_address,
};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{self, BoolValue, ListValue, Struct, UInt32Value, Value};
use pilothouse_core::model::Host;

/// How long Envoy waits for a load assignment or route before it goes on without.
pub(super) const INITIAL_FETCH_TIMEOUT: Duration = Duration::from_secs(15);

/// The key of Istio's own metadata.
pub(super) const ISTIO_METADATA: &str = "istio";

pub(super) fn duration(duration: Duration) -> Option<protobuf::Duration> {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Some(protobuf::Duration {
        seconds,
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    })
}

pub(super) fn uint(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

pub(super) fn boolean(value: bool) -> Option<BoolValue> {
    Some(BoolValue { value })
}

/// Where load assignments and routes come from: the stream that everything comes from.
pub(super) fn ads() -> ConfigSource {
    ConfigSource {
        initial_fetch_timeout: duration(INITIAL_FETCH_TIMEOUT),
        resource_api_version: ApiVersion::V3.into(),
        config_source_specifier: Some(config_source::ConfigSourceSpecifier::Ads(
            AggregatedConfigSource {},
        )),
        ..Default::default()
    }
}

pub(super) fn socket_address(host: impl ToString, port: u16) -> SocketAddress {
    SocketAddress {
        address: host.to_string(),
        port_specifier: Some(socket_address::PortSpecifier::PortValue(port.into())),
        ..Default::default()
    }
}

pub(super) fn ip_address(ip: IpAddr, port: u16) -> Address {
    address(socket_address(ip, port))
}

/// The address of a name that Envoy resolves.
pub(super) fn name_address(name: &Host, port: u16) -> Address {
    address(socket_address(name, port))
}

fn address(socket: SocketAddress) -> Address {
    Address {
        address: Some(address::Address::SocketAddress(socket)),
    }
}

pub(super) fn pipe(path: &str) -> Address {
    Address {
        address: Some(address::Address::Pipe(Pipe {
            path: path.into(),
            mode: 0,
        })),
    }
}

pub(super) fn text(value: impl Into<String>) -> Value {
    Value {
        kind: Some(Kind::StringValue(value.into())),
    }
}

pub(super) fn number(value: impl Into<f64>) -> Value {
    Value {
        kind: Some(Kind::NumberValue(value.into())),
    }
}

pub(super) fn list(values: Vec<Value>) -> Value {
    Value {
        kind: Some(Kind::ListValue(ListValue { values })),
    }
}

pub(super) fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Struct {
    Struct {
        fields: fields
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    }
}

pub(super) fn nested(object: Struct) -> Value {
    Value {
        kind: Some(Kind::StructValue(object)),
    }
}

pub(super) fn metadata<'a>(of: impl IntoIterator<Item = (&'a str, Struct)>) -> Option<Metadata> {
    let filter_metadata = of
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    Some(Metadata {
        filter_metadata,
        ..Default::default()
    })
}
