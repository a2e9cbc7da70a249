//! A filter chain in two phrases: what it takes, and where that leads.

use serde_json::Value;

use super::super::super::json::{list, number, text, type_name};
use super::super::route::{domains, matches};
use super::Kind;

/// See the [module](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// `ALL`, or what has to hold.
    pub(super) matches: String,
    /// A cluster, a route table, or that it is neither.
    pub(super) destination: String,
    /// What it makes of bytes.
    pub(super) kind: Kind,
}

impl Chain {
    /// What a filter chain does.
    pub(super) fn of(chain: &Value) -> Self {
        let (kind, destination) = list(&chain["filters"])
            .iter()
            .find_map(|filter| {
                let config = &filter["typed_config"];
                match (type_name(config), text(&filter["name"])) {
                    ("HttpConnectionManager", _)
                    | ("", "envoy.filters.network.http_connection_manager") => {
                        Some((Kind::Http, of_requests(config)))
                    }
                    ("TcpProxy", _) | ("", "envoy.filters.network.tcp_proxy") => {
                        Some((Kind::Tcp, of_bytes(config)))
                    }
                    _ => None,
                }
            })
            .unwrap_or((Kind::Unknown, "Non-HTTP/Non-TCP".to_owned()));
        Self {
            matches: condition(&chain["filter_chain_match"]),
            destination,
            kind,
        }
    }

    /// What a listener without sockets does: it is for a gRPC client.
    pub(super) fn of_api(manager: &Value) -> Self {
        Self {
            matches: "API".to_owned(),
            destination: of_requests(manager),
            kind: Kind::Http,
        }
    }
}

/// What a connection has to be.
fn condition(of: &Value) -> String {
    let mut parts = Vec::new();
    let mut add = |what: &str, texts: Vec<String>| {
        if !texts.is_empty() {
            parts.push(format!("{what}: {}", texts.join(",")));
        }
    };
    add("SNI", owned(&of["server_names"]));
    let transport = text(&of["transport_protocol"]);
    if !transport.is_empty() {
        add("Trans", vec![transport.to_owned()]);
    }
    add("App", owned(&of["application_protocols"]));
    let port = number(&of["destination_port"]).map(|port| format!(":{port}"));
    let mut addresses = ranges(&of["prefix_ranges"]);
    match (addresses.last_mut(), port) {
        (Some(last), Some(port)) => last.push_str(&port),
        (None, Some(port)) => addresses.push(format!("*{port}")),
        (_, None) => {}
    }
    add("Addr", addresses);
    match text(&of["source_type"]) {
        "" | "ANY" => {}
        kind => add("Source", vec![kind.to_owned()]),
    }
    add("Source", ranges(&of["source_prefix_ranges"]));
    add("Source ports", numbers(&of["source_ports"]));
    if parts.is_empty() {
        return "ALL".to_owned();
    }
    parts.join("; ")
}

fn of_requests(manager: &Value) -> String {
    let named = text(&manager["rds"]["route_config_name"]);
    if !named.is_empty() {
        return format!("Route: {named}");
    }
    let table = &manager["route_config"];
    if !table.is_object() {
        return "HTTP".to_owned();
    }
    if let Some(cluster) = only_cluster(table) {
        return cluster;
    }
    let hosts: Vec<_> = list(&table["virtual_hosts"]).iter().map(of_host).collect();
    format!("Inline Route: {}", hosts.join("; "))
}

/// The cluster of a table that sends everything to one.
fn only_cluster(table: &Value) -> Option<String> {
    let [host] = list(&table["virtual_hosts"]) else {
        return None;
    };
    let [route] = list(&host["routes"]) else {
        return None;
    };
    let everything = host["domains"] == serde_json::json!(["*"]) && matches(route) == "/*";
    let cluster = text(&route["route"]["cluster"]);
    (everything && !cluster.is_empty()).then(|| named(cluster))
}

fn of_host(host: &Value) -> String {
    let routes: Vec<_> = list(&host["routes"]).iter().map(matches).collect();
    let routes = routes.join(", ");
    if host["domains"] == serde_json::json!(["*"]) {
        return routes;
    }
    format!("{} {routes}", domains(host))
}

fn of_bytes(proxy: &Value) -> String {
    let one = text(&proxy["cluster"]);
    if !one.is_empty() {
        return named(one);
    }
    let weighted: Vec<_> = list(&proxy["weighted_clusters"]["clusters"])
        .iter()
        .map(|cluster| match number(&cluster["weight"]) {
            Some(weight) => format!("{} ({weight})", text(&cluster["name"])),
            None => text(&cluster["name"]).to_owned(),
        })
        .collect();
    if weighted.is_empty() {
        return "TCP".to_owned();
    }
    format!("Clusters: {}", weighted.join(", "))
}

/// The clusters that every proxy has say by their name what they are.
fn named(cluster: &str) -> String {
    if cluster.contains("Cluster") {
        cluster.to_owned()
    } else {
        format!("Cluster: {cluster}")
    }
}

fn owned(texts: &Value) -> Vec<String> {
    list(texts)
        .iter()
        .map(|value| text(value).to_owned())
        .collect()
}

fn numbers(values: &Value) -> Vec<String> {
    let numbers = list(values).iter().filter_map(number);
    numbers.map(|number| number.to_string()).collect()
}

fn ranges(of: &Value) -> Vec<String> {
    list(of)
        .iter()
        .map(|range| {
            let length = number(&range["prefix_len"]).unwrap_or_default();
            format!("{}/{length}", text(&range["address_prefix"]))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions() {
        for (of, expected) in [
            (json!(null), "ALL"),
            (json!({}), "ALL"),
            (json!({ "destination_port": 15006 }), "Addr: *:15006"),
            (
                json!({ "prefix_ranges": [{ "address_prefix": "0.0.0.0" }] }),
                "Addr: 0.0.0.0/0",
            ),
            (
                json!({
                    "server_names": ["a.test", "b.test"],
                    "transport_protocol": "tls",
                    "application_protocols": ["h2", "http/1.1"],
                    "destination_port": 443,
                    "prefix_ranges": [{ "address_prefix": "10.0.0.0", "prefix_len": 8 }, { "address_prefix": "fd00::", "prefix_len": 16 }],
                }),
                "SNI: a.test,b.test; Trans: tls; App: h2,http/1.1; Addr: 10.0.0.0/8,fd00::/16:443",
            ),
            (
                json!({ "source_type": "SAME_IP_OR_LOOPBACK", "source_ports": [1, 2] }),
                "Source: SAME_IP_OR_LOOPBACK; Source ports: 1,2",
            ),
            (json!({ "something_new": true }), "ALL"),
        ] {
            assert_eq!(condition(&of), expected, "{of}");
        }
    }

    fn chain_of(filter: &Value) -> (Kind, String) {
        let chain = Chain::of(
            &json!({ "filters": [{ "name": "first", "typed_config": { "@type": "x/y.Other" } }, filter] }),
        );
        (chain.kind, chain.destination)
    }

    #[test]
    fn destinations_of_bytes() {
        let tcp = |config: Value| {
            let mut config = config;
            config["@type"] =
                json!("type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy");
            chain_of(&json!({ "name": "any", "typed_config": config }))
        };
        for (config, expected) in [
            (
                json!({ "cluster": "outbound|1||a" }),
                "Cluster: outbound|1||a",
            ),
            (json!({ "cluster": "BlackHoleCluster" }), "BlackHoleCluster"),
            (
                json!({ "weighted_clusters": { "clusters": [{ "name": "a", "weight": 3 }, { "name": "b" }] } }),
                "Clusters: a (3), b",
            ),
            (json!({}), "TCP"),
        ] {
            assert_eq!(tcp(config), (Kind::Tcp, expected.to_owned()));
        }
        assert_eq!(
            chain_of(&json!({ "name": "x" })),
            (Kind::Unknown, "Non-HTTP/Non-TCP".to_owned())
        );
    }

    #[test]
    fn destinations_of_requests() {
        let host = |domains: Value, routes: Value| json!({ "name": "h", "domains": domains, "routes": routes });
        let to = |prefix: &str, cluster: &str| json!({ "match": { "prefix": prefix }, "route": { "cluster": cluster } });
        for (config, expected) in [
            (json!({ "rds": { "route_config_name": "80" } }), "Route: 80"),
            (json!({ "scoped_routes": {} }), "HTTP"),
            (
                json!({ "route_config": { "virtual_hosts": [host(json!(["*"]), json!([to("/", "inbound|80||")]))] } }),
                "Cluster: inbound|80||",
            ),
            (
                json!({ "route_config": { "virtual_hosts": [
                    host(json!(["*"]), json!([to("/healthz", "a"), { "match": { "path": "/x" } }])),
                    host(json!(["a.test"]), json!([to("/", "a")])),
                ] } }),
                "Inline Route: /healthz*, /x; a.test /*",
            ),
        ] {
            let filter = json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": config });
            assert_eq!(chain_of(&filter), (Kind::Http, expected.to_owned()));
        }
    }
}
