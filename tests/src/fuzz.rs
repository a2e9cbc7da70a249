//! What must hold of anything that comes from outside: the bodies of the fuzz targets, which the suites replay on their corpus.
//!
//! Each takes bytes. Whatever they are, they are read or refused, and a mesh that stands beside them is served: a panic, and an end
//! of the store or the publisher, is a defect. Bytes that are no text are refused by whoever reads them first, and not looked at here.

use std::str;

use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::model::Proxy;
use pilothouse_core::rules::spec::envoy_filter::{ApplyTo, Operation};
use pilothouse_static::{
    DEFAULT_DOMAIN, File, Names, read_manifests, read_mesh_config_text, read_text,
};
use pilothouse_xds::resource::ResourceType;
use pilothouse_xds::{json, server};
use prost::Message;
use serde_json::{Value, json};

use crate::made::{Contents, made};
use crate::sidecar::Sidecar;

/// A small mesh with something for every kind to speak of.
const MESH: &str = include_str!("fuzz/mesh.yaml");
const NODE: &str = "envoy.config.core.v3.Node";

/// Files of any kinds of objects.
pub fn objects(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        let names = Names::new(DEFAULT_DOMAIN);
        served(
            vec![read_manifests("fuzzed", text, &names)],
            MeshConfig::default(),
            &proxies(),
        );
    }
}

/// A node, in Envoy's JSON or encoded.
pub fn node(data: &[u8]) {
    let encoded = serde_json::from_slice(data)
        .ok()
        .and_then(|written: Value| json::from_json(NODE, &written).ok());
    if let Ok(proxy) = server::proxy(encoded.as_deref().unwrap_or(data)) {
        served(vec![], MeshConfig::default(), &[proxy]);
    }
}

/// The value of an `EnvoyFilter`'s patches, as JSON: of every target, with every operation.
pub fn patch(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        let text = filters(&value).map(|filter| filter.to_string());
        let text = text.collect::<Vec<_>>().join("\n---\n");
        served(
            vec![read_text("fuzzed", &text)],
            MeshConfig::default(),
            &proxies(),
        );
    }
}

/// Mesh config.
pub fn mesh_config(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data)
        && let (Some(config), _) = read_mesh_config_text("fuzzed", text)
    {
        served(vec![], config, &proxies());
    }
}

/// Proxies of every shape, all of which see `MESH`.
///
/// # Panics
/// A defect of the harness.
pub fn proxies() -> Vec<Proxy> {
    let all = [
        Sidecar::new("web", "shop")
            .at([10, 0, 0, 1].into())
            .interception("REDIRECT")
            .with("DNS_CAPTURE", "true")
            .with("LABELS", json!({"app": "web", "version": "v1"})),
        Sidecar::new("client", "shop").at([10, 0, 0, 9].into()),
        Sidecar::new("gateway", "shop")
            .at([10, 0, 0, 8].into())
            .router()
            .with("LABELS", json!({"istio": "ingressgateway"})),
    ];
    all.map(|sidecar| proxy(&sidecar)).into()
}

/// What discovery takes a sidecar for.
///
/// # Panics
/// A defect of the harness.
pub fn proxy(sidecar: &Sidecar) -> Proxy {
    let node = sidecar.node().expect("a sidecar has a node");
    server::proxy(&node.encode_to_vec()).expect("discovery takes it")
}

/// Serves these files beside [`MESH`]; every resource can be read again.
fn served(mut files: Vec<File>, config: MeshConfig, proxies: &[Proxy]) {
    files.push(read_text("mesh", MESH));
    let made = made(&files, config, proxies);
    for contents in made.expect("something is served").contents {
        readable(&contents);
    }
}

fn readable(contents: &Contents) {
    for ((kind, name), body) in contents {
        assert!(!name.is_empty(), "a {kind:?} without a name");
        if *kind != ResourceType::NameTable {
            json::any_to_json(body).expect("it can be read");
        }
    }
}

fn filters(value: &Value) -> impl Iterator<Item = Value> {
    const TARGETS: [ApplyTo; 10] = [
        ApplyTo::Listener,
        ApplyTo::ListenerFilter,
        ApplyTo::FilterChain,
        ApplyTo::NetworkFilter,
        ApplyTo::HttpFilter,
        ApplyTo::RouteConfiguration,
        ApplyTo::VirtualHost,
        ApplyTo::HttpRoute,
        ApplyTo::Cluster,
        ApplyTo::ExtensionConfig,
    ];
    let both = |target: ApplyTo| {
        let operations = target.operations().iter();
        operations.map(move |operation: &Operation| (target, *operation))
    };
    TARGETS
        .into_iter()
        .flat_map(both)
        .enumerate()
        .map(move |(number, (target, operation))| {
            json!({
                "apiVersion": "networking.istio.io/v1alpha3",
                "kind": "EnvoyFilter",
                "metadata": { "name": format!("fuzzed-{number}"), "namespace": "shop" },
                "spec": { "configPatches": [{
                    "applyTo": target,
                    "patch": { "operation": operation, "value": value },
                }] },
            })
        })
}
