//! Objects, as tests of routers write them.

use std::net::SocketAddr;

use serde_json::{Value, json};

/// An object of namespace `default`.
#[derive(Debug, Clone)]
pub(super) struct Object(Value);

impl Object {
    fn new(kind: &str, name: &str, spec: Value) -> Self {
        Self(json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": kind,
            "metadata": { "name": name, "namespace": "default" },
            "spec": spec,
        }))
    }

    pub(super) fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap()
    }

    pub(super) fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap()
    }

    pub(super) fn text(&self) -> String {
        self.0.to_string()
    }

    /// The same, made in this second of 2024.
    pub(super) fn created(mut self, second: u8) -> Self {
        let at = format!("2024-01-01T00:00:{second:02}Z");
        self.0["metadata"]["creationTimestamp"] = json!(at);
        self
    }

    pub(super) fn set(&mut self, field: &str, value: Value) {
        self.0["spec"][field] = value;
    }
}

/// A patch of routers.
pub(super) fn envoy_filter(name: &str, patches: Value) -> Object {
    let mut filter = Object::new("EnvoyFilter", name, json!({ "configPatches": patches }));
    filter.0["apiVersion"] = json!("networking.istio.io/v1alpha3");
    filter
}

/// A service with port 80, of which one endpoint is known.
pub(super) fn entry(host: &str, endpoint: SocketAddr) -> Object {
    service(host, "HTTP", endpoint)
}

/// The same for another protocol.
pub(super) fn service(host: &str, protocol: &str, endpoint: SocketAddr) -> Object {
    let spec = json!({
        "hosts": [host], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [{ "name": "main", "number": 80, "protocol": protocol }],
        "endpoints": [{ "address": endpoint.ip(), "ports": { "main": endpoint.port() } }],
    });
    Object::new("ServiceEntry", &host.replace('.', "-"), spec)
}

pub(super) fn gateway(name: &str, servers: Value) -> Object {
    let selector = json!({ "app": "edge" });
    Object::new(
        "Gateway",
        name,
        json!({ "selector": selector, "servers": servers }),
    )
}

pub(super) fn http_server(port: u16, hosts: &[&str]) -> Value {
    json!({ "port": { "number": port, "name": "http", "protocol": "HTTP" }, "hosts": hosts })
}

/// A rule that is bound to the gateway `gw`.
pub(super) fn virtual_service(name: &str, hosts: &[&str], http: Value) -> Object {
    let spec = json!({ "hosts": hosts, "gateways": ["gw"], "http": http });
    Object::new("VirtualService", name, spec)
}

/// A rule with routes of connections, `tls` or `tcp`, that is bound to the gateway `gw`.
pub(super) fn connections(name: &str, hosts: &[&str], kind: &str, routes: Value) -> Object {
    let spec = json!({ "hosts": hosts, "gateways": ["gw"], kind: routes });
    Object::new("VirtualService", name, spec)
}

/// A route of everything to a service.
pub(super) fn route_to(host: &str) -> Value {
    json!({ "route": [{ "destination": { "host": host } }] })
}
