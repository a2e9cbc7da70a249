//! The objects of the rounds.

use std::net::SocketAddr;

use pilothouse_tests::backend::Backend;
use serde_json::{Value, json};

/// A service at `via`, with these endpoints and their versions.
pub(super) fn service(host: &str, via: SocketAddr, endpoints: &[(&Backend, &str)]) -> Value {
    let endpoints = endpoints.iter().map(|(backend, version)| {
        let at = backend.address();
        json!({ "address": at.ip(), "ports": { "http": at.port() }, "labels": { "version": version } })
    });
    let spec = json!({
        "hosts": [host],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "ports": [{ "name": "http", "number": via.port(), "protocol": "HTTP" }],
        "endpoints": endpoints.collect::<Vec<_>>(),
    });
    object("ServiceEntry", host, &spec)
}

/// The subsets of a host: the endpoints of each of these versions.
pub(super) fn subsets(host: &str, versions: &[&str]) -> Value {
    let subset = |version: &&str| json!({ "name": version, "labels": { "version": version } });
    let subsets: Vec<_> = versions.iter().map(subset).collect();
    object(
        "DestinationRule",
        host,
        &json!({ "host": host, "subsets": subsets }),
    )
}

/// A rule for the requests to a host.
pub(super) fn virtual_service(name: &str, host: &str, http: &Value) -> Value {
    object(
        "VirtualService",
        name,
        &json!({ "hosts": [host], "http": http }),
    )
}

/// One file.
pub(super) fn together(objects: &[Value]) -> String {
    let texts: Vec<_> = objects.iter().map(Value::to_string).collect();
    texts.join("\n---\n")
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": { "name": name, "namespace": "default" },
        "spec": spec,
    })
}
