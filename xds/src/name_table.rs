//! The name table: Istio's message for DNS proxies, which says what addresses the names of the mesh have.
//!
//! It is a resource like Envoy's, served to the agents that ask for it. Envoy's API does not have it, so the message stands
//! here, with fields as in Istio's `nds.proto`. Maps are sorted: equal tables have equal bytes.

use std::collections::BTreeMap;

/// `istio.networking.nds.v1.NameTable`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct NameTable {
    /// What is known of each host.
    #[prost(btree_map = "string, message", tag = "1")]
    pub table: BTreeMap<String, NameInfo>,
}

/// `istio.networking.nds.v1.NameTable.NameInfo`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct NameInfo {
    /// Its addresses.
    #[prost(string, repeated, tag = "1")]
    pub ips: Vec<String>,
    /// How the host is formed: see [`KUBERNETES`] and [`EXTERNAL`].
    #[prost(string, tag = "2")]
    pub registry: String,
    /// The service's name, where hosts are formed of name and namespace.
    #[prost(string, tag = "3")]
    pub shortname: String,
    /// The service's namespace, where hosts are formed of name and namespace.
    #[prost(string, tag = "4")]
    pub namespace: String,
    /// Further names of the host.
    #[prost(string, repeated, tag = "5")]
    pub alt_hosts: Vec<String>,
}

/// The registry of hosts that are formed as Kubernetes forms them, and have its short names.
pub const KUBERNETES: &str = "Kubernetes";

/// The registry of all other hosts.
pub const EXTERNAL: &str = "External";

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn bytes_are_those_of_the_fields_and_sorted_by_host() {
        let info = NameInfo {
            ips: vec!["10.0.0.1".into()],
            registry: KUBERNETES.into(),
            shortname: "a".into(),
            namespace: "b".into(),
            alt_hosts: vec!["c".into()],
        };
        let table = NameTable {
            table: [("z".to_owned(), NameInfo::default()), ("a".into(), info)].into(),
        };
        let entry =
            b"\x0a\x01a\x12\x1f\x0a\x0810.0.0.1\x12\x0aKubernetes\x1a\x01a\x22\x01b\x2a\x01c";
        let mut expected = vec![0x0a, u8::try_from(entry.len()).unwrap()];
        expected.extend(entry);
        expected.extend(b"\x0a\x03\x0a\x01z");
        assert_eq!(table.encode_to_vec(), expected);
        assert_eq!(NameTable::decode(&*expected).unwrap(), table);
    }
}
