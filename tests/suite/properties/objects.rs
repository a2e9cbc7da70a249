//! Random rules on a mesh of two namespaces.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

pub(super) const AMBER: &str = "amber";
pub(super) const BLUE: &str = "blue";
const ROOT: &str = "istio-system";
/// The host of a service to which no rule refers.
pub(super) const UNRELATED: &str = "unrelated.example";

/// A rule of one of the [`SHAPES`].
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) namespace: &'static str,
    shape: usize,
    number: u8,
    /// In seconds after the first day of some year.
    created: Option<u8>,
}

type Shape = (&'static str, fn(&str, &str) -> Json);

/// Kinds, and what rules of one namespace say, which know of another.
const SHAPES: &[Shape] = &[
    ("DestinationRule", |own, _| {
        json!({
            "host": format!("web.{own}.test"),
            "subsets": [
                { "name": "v1", "labels": { "version": "v1" } },
                { "name": "v2", "labels": { "version": "v2" }, "trafficPolicy": { "loadBalancer": { "simple": "RANDOM" } } },
            ],
            "trafficPolicy": { "outlierDetection": { "consecutive5xxErrors": 3 } },
        })
    }),
    ("DestinationRule", |_, other| {
        json!({
            "host": format!("web.{other}.test"),
            "trafficPolicy": { "connectionPool": { "tcp": { "maxConnections": 7 } }, "loadBalancer": { "consistentHash": { "useSourceIp": true } } },
            "exportTo": ["."],
        })
    }),
    ("DestinationRule", |_, _| {
        json!({
            "host": "*.test",
            "trafficPolicy": { "portLevelSettings": [{ "port": { "number": 443 }, "tls": { "mode": "SIMPLE" } }] },
        })
    }),
    ("DestinationRule", |own, _| {
        json!({
            "host": format!("web.{own}.test"),
            "workloadSelector": { "matchLabels": { "app": "web" } },
            "trafficPolicy": { "loadBalancer": { "localityLbSetting": { "failoverPriority": ["version"] } }, "outlierDetection": {} },
        })
    }),
    ("VirtualService", |own, _| {
        json!({
            "hosts": [format!("web.{own}.test")],
            "http": [{
                "route": [
                    { "destination": { "host": format!("web.{own}.test"), "subset": "v1" }, "weight": 70 },
                    { "destination": { "host": format!("web.{own}.test"), "subset": "v2" }, "weight": 30 },
                ],
                "retries": { "attempts": 2, "perTryTimeout": "1s" },
            }],
        })
    }),
    ("VirtualService", |own, other| {
        json!({
            "hosts": [format!("web.{own}.test"), "*.free.test"],
            "http": [
                { "match": [{ "sourceNamespace": other, "uri": { "prefix": "/a" } }], "route": [{ "destination": { "host": format!("web.{other}.test") } }] },
                { "match": [{ "sourceLabels": { "app": "web" } }, { "port": 80, "headers": { "x": { "regex": "a+" } } }], "rewrite": { "uri": "/b" },
                  "route": [{ "destination": { "host": format!("own.{own}.svc.cluster.local"), "port": { "number": 80 } } }] },
                { "fault": { "abort": { "httpStatus": 503, "percentage": { "value": 1 } } }, "mirror": { "host": format!("web.{other}.test") },
                  "route": [{ "destination": { "host": format!("web.{own}.test") } }] },
            ],
        })
    }),
    ("VirtualService", |_, _| {
        json!({
            "hosts": ["own"],
            "http": [{ "match": [{ "uri": { "prefix": "/d" } }], "delegate": { "name": "r1" } }, { "route": [{ "destination": { "host": "own" } }] }],
        })
    }),
    ("VirtualService", |own, _| {
        json!({
            "http": [{ "match": [{ "uri": { "prefix": "/d/e" } }], "route": [{ "destination": { "host": format!("web.{own}.test") } }] }],
        })
    }),
    ("VirtualService", |_, other| {
        json!({
            "hosts": [format!("web.{other}.test")],
            "http": [{ "directResponse": { "status": 418 } }],
            "exportTo": ["."],
        })
    }),
    ("VirtualService", |own, other| {
        json!({
            "hosts": [format!("db.{own}.test")],
            "tcp": [{ "match": [{ "port": 3306, "destinationSubnets": ["240.1.0.0/16"] }], "route": [{ "destination": { "host": format!("db.{other}.test"), "port": { "number": 3306 } } }] }],
            "tls": [{ "match": [{ "port": 443, "sniHosts": [format!("db.{own}.test")] }], "route": [{ "destination": { "host": format!("db.{own}.test"), "port": { "number": 443 } } }] }],
        })
    }),
    ("VirtualService", |own, _| {
        json!({
            "hosts": ["shop.edge.test"],
            "gateways": [format!("{own}/r0"), "r1"],
            "http": [{ "route": [{ "destination": { "host": format!("web.{own}.test") } }] }],
        })
    }),
    ("Sidecar", |_, other| {
        json!({
            "egress": [{ "hosts": ["./*", format!("{other}/web.{other}.test")] }],
            "outboundTrafficPolicy": { "mode": "REGISTRY_ONLY" },
        })
    }),
    ("Sidecar", |_, _| {
        json!({
            "workloadSelector": { "labels": { "app": "web" } },
            "ingress": [{ "port": { "number": 9080, "protocol": "HTTP", "name": "in" }, "defaultEndpoint": "127.0.0.1:8080" }],
            "egress": [{ "port": { "number": 80, "protocol": "HTTP", "name": "out" }, "hosts": ["*/web.amber.test"] }, { "hosts": ["*/*"] }],
        })
    }),
    ("Gateway", |own, _| {
        json!({
            "selector": { "istio": "ingressgateway" },
            "servers": [
                { "port": { "number": 8080, "name": "http", "protocol": "HTTP" }, "hosts": ["*.edge.test"] },
                { "port": { "number": 8443, "name": "tls", "protocol": "TLS" }, "hosts": [format!("{own}/*.test")], "tls": { "mode": "PASSTHROUGH" } },
            ],
        })
    }),
    ("Ingress", |own, other| {
        let to = |host: String| json!({ "service": { "name": host, "port": { "name": "http" } } });
        json!({
            "ingressClassName": "mesh",
            "defaultBackend": to(format!("web.{other}.test")),
            "rules": [{ "host": "shop.edge.test", "http": { "paths": [
                { "path": "/a", "pathType": "Prefix", "backend": to(format!("web.{own}.test")) },
                { "path": "/a", "pathType": "Exact", "backend": { "service": { "name": format!("own.{own}.svc.cluster.local"), "port": { "number": 80 } } } },
            ] } }],
        })
    }),
    ("EnvoyFilter", |own, _| {
        json!({
            "configPatches": [{
                "applyTo": "CLUSTER", "match": { "cluster": { "service": format!("web.{own}.test") } },
                "patch": { "operation": "MERGE", "value": { "connect_timeout": "9s" } },
            }],
        })
    }),
    ("EnvoyFilter", |_, _| {
        json!({
            "workloadSelector": { "labels": { "app": "web" } },
            "priority": 1,
            "configPatches": [
                { "applyTo": "HTTP_FILTER", "patch": { "operation": "INSERT_FIRST", "value": {
                    "name": "mine", "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors" },
                } } },
                { "applyTo": "HTTP_ROUTE", "match": { "context": "SIDECAR_OUTBOUND" }, "patch": { "operation": "MERGE", "value": { "route": { "timeout": "3s" } } } },
            ],
        })
    }),
    (
        "Telemetry",
        |_, _| json!({ "accessLogging": [{ "disabled": true }] }),
    ),
    ("ServiceEntry", |own, _| {
        json!({
            "hosts": [format!("picked.{own}.test")],
            "addresses": ["240.1.7.1"],
            "location": "MESH_INTERNAL", "resolution": "STATIC",
            "ports": [{ "number": 80, "name": "http", "protocol": "HTTP" }],
            "workloadSelector": { "labels": { "app": "vm" } },
        })
    }),
    (
        "WorkloadEntry",
        |_, _| json!({ "address": "10.0.5.1", "labels": { "app": "vm" }, "ports": { "http": 8080 }, "locality": "a/b" }),
    ),
    (
        "WorkloadGroup",
        |_, _| json!({ "metadata": { "labels": { "app": "vm" } }, "template": { "serviceAccount": "vm" } }),
    ),
    (
        "ProxyConfig",
        |_, _| json!({ "concurrency": 2, "selector": { "matchLabels": { "app": "web" } } }),
    ),
    (
        "PeerAuthentication",
        |_, _| json!({ "mtls": { "mode": "STRICT" } }),
    ),
    (
        "AuthorizationPolicy",
        |own, _| json!({ "action": "DENY", "rules": [{ "from": [{ "source": { "namespaces": [own] } }] }] }),
    ),
    (
        "RequestAuthentication",
        |_, _| json!({ "jwtRules": [{ "issuer": "a", "jwksUri": "https://a.test/keys" }] }),
    ),
    ("WasmPlugin", |_, _| json!({ "url": "oci://a/b" })),
];

pub(super) fn rule() -> impl Strategy<Value = Rule> {
    let namespaces = prop::sample::select(vec![AMBER, AMBER, BLUE, BLUE, ROOT]);
    (
        namespaces,
        0..SHAPES.len(),
        0u8..3,
        prop::option::of(0u8..3),
    )
        .prop_map(|(namespace, shape, number, created)| Rule {
            namespace,
            shape,
            number,
            created,
        })
}

/// One of each shape, in each namespace.
pub(super) fn of_every_shape() -> impl Iterator<Item = Rule> {
    let of = |shape: usize| {
        [AMBER, BLUE, ROOT].map(|namespace| Rule {
            namespace,
            shape,
            number: 0,
            created: Some(1),
        })
    };
    (0..SHAPES.len()).flat_map(of)
}

/// No two of one name.
pub(super) fn rules() -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec(rule(), 0..14).prop_map(|mut rules| {
        rules.sort_by_key(Rule::key);
        rules.dedup_by_key(|rule| rule.key());
        rules
    })
}

impl Rule {
    pub(super) fn kind(&self) -> &'static str {
        SHAPES.get(self.shape).map_or("", |(kind, _)| kind)
    }

    pub(super) fn name(&self) -> String {
        format!("r{}", self.number)
    }

    pub(super) fn spec(&self) -> Json {
        let other = if self.namespace == AMBER { BLUE } else { AMBER };
        SHAPES
            .get(self.shape)
            .map_or(Json::Null, |(_, spec)| spec(self.namespace, other))
    }

    pub(super) fn document(&self) -> String {
        document(
            self.kind(),
            self.namespace,
            &self.name(),
            self.created,
            &self.spec(),
        )
    }

    fn key(&self) -> (&'static str, &'static str, u8) {
        (self.kind(), self.namespace, self.number)
    }
}

/// An object as text.
pub(super) fn document(
    kind: &str,
    namespace: &str,
    name: &str,
    created: Option<u8>,
    spec: &Json,
) -> String {
    let group = match kind {
        "Telemetry" => "telemetry.istio.io/v1",
        "PeerAuthentication" | "AuthorizationPolicy" | "RequestAuthentication" => {
            "security.istio.io/v1"
        }
        "WasmPlugin" => "extensions.istio.io/v1alpha1",
        "EnvoyFilter" => "networking.istio.io/v1alpha3",
        "ProxyConfig" => "networking.istio.io/v1beta1",
        "Ingress" | "IngressClass" => "networking.k8s.io/v1",
        _ => "networking.istio.io/v1",
    };
    let mut metadata = json!({ "name": name, "namespace": namespace });
    if let Some(second) = created {
        metadata["creationTimestamp"] = json!(format!("2024-01-01T00:00:0{second}Z"));
    }
    json!({ "apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec }).to_string()
}

/// The same in every mesh, and the class of `Ingress`es. All services have addresses of their own, so that none depends on what else there is.
pub(super) fn services() -> Vec<String> {
    let of = |(third, namespace): (u8, &'static str)| {
        let endpoint = |last: u8, version: &str| json!({ "address": format!("10.0.{third}.{last}"), "labels": { "version": version }, "locality": "r/z" });
        let service = |last: u8, host: String, ports: Json| {
            let spec = json!({
                "hosts": [host], "addresses": [format!("240.1.{third}.{last}")],
                "location": "MESH_INTERNAL", "resolution": "STATIC", "ports": ports,
                "endpoints": [endpoint(1, "v1"), endpoint(2, "v2")],
            });
            document(
                "ServiceEntry",
                namespace,
                &format!("base-{last}"),
                Some(last % 3),
                &spec,
            )
        };
        let port = |number: u16, protocol: &str| json!({ "number": number, "name": protocol.to_lowercase(), "protocol": protocol });
        [
            service(
                1,
                format!("web.{namespace}.test"),
                json!([port(80, "HTTP"), port(8081, "GRPC")]),
            ),
            service(
                2,
                format!("db.{namespace}.test"),
                json!([port(3306, "TCP"), port(443, "TLS")]),
            ),
            service(
                3,
                format!("own.{namespace}.svc.cluster.local"),
                json!([port(80, "HTTP")]),
            ),
        ]
    };
    let class = json!({ "controller": "istio.io/ingress-controller" });
    let class = document("IngressClass", "", "mesh", None, &class);
    let all = [(1, AMBER), (2, BLUE)].into_iter().flat_map(of);
    all.chain([class]).collect()
}

/// A service on ports that others have, and on one of its own.
pub(super) fn unrelated(namespace: &str) -> String {
    let port = |number: u16, protocol: &str| json!({ "number": number, "name": format!("p{number}"), "protocol": protocol });
    let spec = json!({
        "hosts": [UNRELATED], "addresses": ["240.9.9.9"], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [port(80, "HTTP"), port(3306, "TCP"), port(443, "TLS"), port(9999, "HTTP2")],
        "endpoints": [{ "address": "10.9.9.9" }],
    });
    document("ServiceEntry", namespace, "unrelated", Some(9), &spec)
}
