//! Protobuf by hand: only the fields that a load generator looks at, without copying or allocating.

use prost::encoding::{WireType, decode_varint, encode_key, encode_varint};

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message as (tag, value); it ends where the message is malformed.
pub(crate) fn fields(mut message: &[u8]) -> impl Iterator<Item = (u32, Value<'_>)> {
    std::iter::from_fn(move || next_field(&mut message))
}

/// The first bytes field with this tag.
pub(crate) fn bytes(message: &[u8], tag: u32) -> Option<&[u8]> {
    all(message, tag).next()
}

/// Every bytes field with this tag.
pub(crate) fn all(message: &[u8], tag: u32) -> impl Iterator<Item = &[u8]> {
    fields(message).filter_map(move |(found, value)| match value {
        Value::Bytes(bytes) if found == tag => Some(bytes),
        _ => None,
    })
}

/// The name that the assignment of an EDS cluster has; `None` for other clusters.
pub(crate) fn assignment_of_cluster(cluster: &[u8]) -> Option<&[u8]> {
    const EDS: u64 = 3;
    let (mut name, mut eds, mut service) = (None, false, None);
    for (tag, value) in fields(cluster) {
        match (tag, value) {
            (1, Value::Bytes(text)) => name = Some(text),
            (2, Value::Number(kind)) => eds = kind == EDS,
            (3, Value::Bytes(config)) => service = bytes(config, 2),
            _ => {}
        }
    }
    if eds {
        service.filter(|service| !service.is_empty()).or(name)
    } else {
        None
    }
}

/// Calls `found` with the name of every route table that a listener's HTTP connection managers ask for.
pub(crate) fn routes_of_listener(listener: &[u8], mut found: impl FnMut(&[u8])) {
    const FILTER_CHAINS: u32 = 3;
    const DEFAULT_FILTER_CHAIN: u32 = 25;
    let managers = all(listener, FILTER_CHAINS)
        .chain(all(listener, DEFAULT_FILTER_CHAIN))
        .flat_map(|chain| all(chain, 3))
        .filter_map(|filter| bytes(filter, 4))
        .filter(|any| bytes(any, 1).is_some_and(|url| url.ends_with(b".v3.HttpConnectionManager")));
    for manager in managers {
        if let Some(name) = bytes(manager, 2)
            .and_then(|config| bytes(config, 3))
            .and_then(|rds| bytes(rds, 2))
        {
            found(name);
        }
    }
}

/// Appends a bytes or text field.
pub(crate) fn put(tag: u32, value: &[u8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Takes a field off the front; `None` at the end, or where it makes no sense.
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<(u32, Value<'a>)> {
    while !rest.is_empty() {
        let key = decode_varint(rest).ok()?;
        let tag = u32::try_from(key >> 3).ok()?;
        match key & 7 {
            0 => return Some((tag, Value::Number(decode_varint(rest).ok()?))),
            2 => {
                let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
                let (value, after) = rest.split_at_checked(length)?;
                *rest = after;
                return Some((tag, Value::Bytes(value)));
            }
            // Fixed 64 and 32 bit numbers are of no interest here.
            1 => *rest = rest.get(8..)?,
            5 => *rest = rest.get(4..)?,
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig};
    use envoy_types::pb::envoy::config::cluster::v3::Cluster;
    use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
    use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, Listener};
    use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
    use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{HttpConnectionManager, Rds};
    use envoy_types::pb::google::protobuf::Any;
    use prost::{Message, Name};

    use super::*;

    #[test]
    fn clusters_name_their_assignments() {
        let check = |kind: DiscoveryType, service: &str, expected: Option<&str>| {
            let cluster = Cluster {
                name: "a".to_owned(),
                cluster_discovery_type: Some(ClusterDiscoveryType::Type(kind.into())),
                eds_cluster_config: Some(EdsClusterConfig {
                    service_name: service.to_owned(),
                    ..EdsClusterConfig::default()
                }),
                ..Cluster::default()
            };
            assert_eq!(
                assignment_of_cluster(&cluster.encode_to_vec()),
                expected.map(str::as_bytes)
            );
        };
        check(DiscoveryType::Eds, "", Some("a"));
        check(DiscoveryType::Eds, "b", Some("b"));
        check(DiscoveryType::Static, "", None);
        check(DiscoveryType::StrictDns, "", None);
    }

    #[test]
    fn listeners_name_their_route_tables() {
        let chain = |table: &str| {
            let rds = Rds {
                route_config_name: table.to_owned(),
                ..Rds::default()
            };
            let manager = HttpConnectionManager {
                route_specifier: Some(RouteSpecifier::Rds(rds)),
                stat_prefix: "x".to_owned(),
                ..HttpConnectionManager::default()
            };
            let any = Any {
                type_url: HttpConnectionManager::type_url(),
                value: manager.encode_to_vec(),
            };
            let filters = vec![
                Filter {
                    name: "hcm".to_owned(),
                    config_type: Some(ConfigType::TypedConfig(any)),
                },
                Filter::default(),
            ];
            FilterChain {
                filters,
                ..FilterChain::default()
            }
        };
        let listener = Listener {
            filter_chains: vec![chain("80"), chain("81")],
            default_filter_chain: Some(chain("82")),
            ..Listener::default()
        };
        let mut found = Vec::new();
        routes_of_listener(&listener.encode_to_vec(), |name| {
            found.push(String::from_utf8(name.to_vec()).unwrap())
        });
        assert_eq!(found, ["80", "81", "82"]);
    }

    #[test]
    fn malformed_messages_end_early() {
        let mut message = Vec::new();
        put(1, b"good", &mut message);
        message.extend_from_slice(&[0x12, 0x50, 0x00]);
        assert_eq!(
            fields(&message).collect::<Vec<_>>(),
            [(1, Value::Bytes(b"good"))]
        );
    }
}
