//! Endpoints as a page of a running Envoy has them, and as a dump has them, in one form.

use serde::Serialize;
use serde_json::Value;

use super::super::super::dump::{Dump, Section};
use super::super::super::json::{address, joined, list, number, text};

/// The page of a running Envoy.
pub(super) const PAGE: &str = "/clusters?format=json";

/// An endpoint of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(in super::super) struct Endpoint {
    /// Its address without the port.
    pub(super) address: String,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
    /// The cluster that has it.
    pub(super) cluster: String,
    /// `ADDRESS:PORT`, or the path of a socket.
    pub(super) endpoint: String,
    /// What discovery says of it; in a dump what Envoy makes of that and of its own checks.
    pub(super) status: String,
    /// `OK`, or `FAILED` while outlier detection keeps it out, or `-` where that is not known.
    pub(super) outlier_check: String,
    /// The name that led to the address.
    #[serde(skip_serializing_if = "String::is_empty")]
    hostname: String,
    /// `REGION/ZONE/SUBZONE`, as far as it is known.
    #[serde(skip_serializing_if = "String::is_empty")]
    locality: String,
    /// Its share among the endpoints of its locality.
    weight: u64,
}

/// Those on [`PAGE`].
pub(super) fn of_page(page: &Value) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for cluster in list(&page["cluster_statuses"]) {
        for host in list(&cluster["host_statuses"]) {
            let health = &host["health_status"];
            let status = match text(&health["eds_health_status"]) {
                "" | "UNKNOWN" => "HEALTHY",
                said => said,
            };
            let failed = health["failed_outlier_check"] == true;
            let outlier = if failed { "FAILED" } else { "OK" };
            endpoints.push(Endpoint::new(
                text(&cluster["name"]),
                &host["address"],
                status,
                outlier,
                Details {
                    hostname: &host["hostname"],
                    locality: &host["locality"],
                    weight: &host["weight"],
                },
            ));
        }
    }
    endpoints
}

/// Those of a dump.
pub(in super::super) fn of_dump(dump: &Dump) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for held in dump.held(Section::Endpoints) {
        let assignment = held.resource;
        for locality in list(&assignment["endpoints"]) {
            for host in list(&locality["lb_endpoints"]) {
                let status = match text(&host["health_status"]) {
                    "" | "UNKNOWN" => "HEALTHY",
                    said => said,
                };
                // What outlier detection keeps out is not healthy.
                let outlier = if status == "HEALTHY" || status == "DEGRADED" {
                    "OK"
                } else {
                    "-"
                };
                endpoints.push(Endpoint::new(
                    text(&assignment["cluster_name"]),
                    &host["endpoint"]["address"],
                    status,
                    outlier,
                    Details {
                        hostname: &host["endpoint"]["hostname"],
                        locality: &locality["locality"],
                        weight: &host["load_balancing_weight"],
                    },
                ));
            }
        }
    }
    endpoints
}

struct Details<'a> {
    hostname: &'a Value,
    locality: &'a Value,
    weight: &'a Value,
}

impl Endpoint {
    fn new(cluster: &str, at: &Value, status: &str, outlier: &str, details: Details<'_>) -> Self {
        let (ip, port) = address(at);
        Self {
            endpoint: joined(&ip, port),
            address: ip,
            port,
            cluster: cluster.to_owned(),
            status: status.to_owned(),
            outlier_check: outlier.to_owned(),
            hostname: text(details.hostname).to_owned(),
            locality: locality(details.locality),
            weight: number(details.weight).unwrap_or(1),
        }
    }
}

fn locality(of: &Value) -> String {
    let parts = ["region", "zone", "sub_zone"].map(|part| text(&of[part]));
    parts.join("/").trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(endpoints: &[Endpoint]) -> Vec<(&str, &str, &str)> {
        endpoints
            .iter()
            .map(|endpoint| {
                (
                    endpoint.endpoint.as_str(),
                    endpoint.status.as_str(),
                    endpoint.outlier_check.as_str(),
                )
            })
            .collect()
    }

    fn at(address: &str) -> Value {
        json!({ "socket_address": { "address": address, "port_value": 80 } })
    }

    #[test]
    fn what_a_page_says_of_health() {
        let host = |address: &str, health: Value| json!({ "address": at(address), "health_status": health });
        let page = json!({ "cluster_statuses": [{ "name": "a", "host_statuses": [
            host("10.0.0.1", json!({ "eds_health_status": "HEALTHY" })),
            host("10.0.0.2", json!({ "eds_health_status": "HEALTHY", "failed_outlier_check": true })),
            host("10.0.0.3", json!({ "eds_health_status": "DRAINING" })),
            host("10.0.0.4", json!({})),
        ] }, { "name": "none" }] });
        assert_eq!(
            rows(&of_page(&page)),
            [
                ("10.0.0.1:80", "HEALTHY", "OK"),
                ("10.0.0.2:80", "HEALTHY", "FAILED"),
                ("10.0.0.3:80", "DRAINING", "OK"),
                ("10.0.0.4:80", "HEALTHY", "OK"),
            ]
        );
    }

    #[test]
    fn what_a_dump_says_of_health() {
        let host = |address: &str, health: &str| json!({ "endpoint": { "address": at(address) }, "health_status": health });
        let dump = json!({ "configs": [{ "@type": "x.EndpointsConfigDump", "dynamic_endpoint_configs": [{ "endpoint_config": {
            "cluster_name": "a",
            "endpoints": [{ "lb_endpoints": [host("10.0.0.1", "HEALTHY"), host("10.0.0.2", "UNHEALTHY"), host("10.0.0.3", "UNKNOWN")] }],
        } }] }] });
        let dump = Dump::read(dump.to_string().as_bytes(), &[Section::Endpoints], "it").unwrap();
        assert_eq!(
            rows(&of_dump(&dump)),
            [
                ("10.0.0.1:80", "HEALTHY", "OK"),
                ("10.0.0.2:80", "UNHEALTHY", "-"),
                ("10.0.0.3:80", "HEALTHY", "OK"),
            ]
        );
    }

    #[test]
    fn localities() {
        for (of, expected) in [
            (json!({ "region": "eu", "zone": "eu-1" }), "eu/eu-1"),
            (json!({ "region": "eu", "sub_zone": "r" }), "eu//r"),
            (json!({}), ""),
        ] {
            assert_eq!(locality(&of), expected);
        }
    }
}
