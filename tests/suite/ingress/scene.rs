//! Objects, discovery on them, a router with an Envoy, and what is asked of it.

use std::net::SocketAddr;

use anyhow::ensure;
use pilothouse_tests::backend::Backend;
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::http;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use serde_json::{Value, json};

use crate::world::{SOON, World};

/// An object of namespace `default`, if its kind has namespaces.
#[derive(Debug, Clone)]
pub(super) struct Object(Value);

impl Object {
    fn new(api_version: &str, kind: &str, name: &str, spec: Value) -> Self {
        Self(json!({
            "apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec,
        }))
    }

    fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap()
    }

    fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap()
    }

    fn file(&self) -> String {
        format!("{}.{}.yaml", self.kind(), self.name())
    }

    /// The same, made in this second of 2024.
    pub(super) fn created(mut self, second: u8) -> Self {
        let at = format!("2024-01-01T00:00:{second:02}Z");
        self.0["metadata"]["creationTimestamp"] = json!(at);
        self
    }

    pub(super) fn annotated(mut self, name: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][name] = json!(value);
        self
    }

    pub(super) fn of_no_class(mut self) -> Self {
        self.0["spec"]["ingressClassName"] = Value::Null;
        self
    }
}

/// A service with one port of which one endpoint is known.
pub(super) fn entry(name: &str, port: &str, number: u16, to: &Backend) -> Object {
    let to = to.address();
    let spec = json!({
        "hosts": [format!("{name}.default.svc.cluster.local")], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [{ "name": port, "number": number, "protocol": "HTTP" }],
        "endpoints": [{ "address": to.ip(), "ports": { port: to.port() } }],
    });
    Object::new("networking.istio.io/v1", "ServiceEntry", name, spec)
}

/// The class `mesh`.
pub(super) fn class(controller: &str) -> Object {
    let spec = json!({ "controller": controller });
    Object::new("networking.k8s.io/v1", "IngressClass", "mesh", spec)
}

/// One of the class `mesh`.
pub(super) fn ingress(name: &str, mut spec: Value) -> Object {
    spec["ingressClassName"] = json!("mesh");
    Object::new("networking.k8s.io/v1", "Ingress", name, spec)
}

pub(super) fn backend(name: &str) -> Value {
    json!({ "service": { "name": name, "port": { "number": 8080 } } })
}

pub(super) fn path(path: &str, path_type: &str, to: &str) -> Value {
    json!({ "path": path, "pathType": path_type, "backend": backend(to) })
}

pub(super) async fn backends<const N: usize>(names: [&str; N]) -> [Backend; N] {
    let mut all = Vec::new();
    for name in names {
        all.push(Backend::start(name, [127, 0, 0, 1].into()).await.unwrap());
    }
    all.try_into().unwrap()
}

/// See the [module](self).
pub(super) struct Scene {
    world: World,
    router: Sidecar,
    envoy: Envoy,
    /// Where clients' port 80 is.
    via: SocketAddr,
}

impl Scene {
    /// A router that has everything that these objects say with this mesh config.
    pub(super) async fn start(
        binary: &Binary,
        variant: Variant,
        objects: &[Object],
        mesh_config: &str,
    ) -> Self {
        let via = free_address().unwrap();
        // The service before the router translates the port.
        let spec = json!({
            "hosts": ["edge.test"], "location": "MESH_INTERNAL", "resolution": "STATIC",
            "ports": [{ "name": "http", "number": 80, "protocol": "HTTP", "targetPort": via.port() }],
            "endpoints": [{ "address": "127.0.0.1" }],
        });
        let edge = Object::new("networking.istio.io/v1", "ServiceEntry", "edge", spec);
        let files: Vec<_> = objects
            .iter()
            .chain([&edge])
            .map(|object| (object.file(), object.0.to_string()))
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        let world = World::start_with(&files, Some(mesh_config), &[]).await;
        let router = Sidecar::new("edge", "default")
            .router()
            .with("LABELS", json!({ "istio": "ingressgateway" }))
            .variant(variant);
        let discovery = world.discovery.addresses().grpc;
        let envoy = router.start(binary, discovery, world.dir()).await.unwrap();
        envoy.wait_ready(SOON).await.unwrap();
        world.synced(&router.id()).await.unwrap();
        Self {
            world,
            router,
            envoy,
            via,
        }
    }

    pub(super) fn write(&self, object: &Object) {
        let text = object.0.to_string();
        self.world.mesh.write(&object.file(), &text).unwrap();
    }

    pub(super) fn remove(&self, object: &Object) {
        self.world.mesh.remove(&object.file()).unwrap();
    }

    pub(super) fn configure(&self, mesh_config: &str) {
        self.world.write_mesh_config(mesh_config);
    }

    /// Waits until requests for a path are answered by this backend.
    pub(super) async fn answers(&self, host: &str, path: &str, body: &str) {
        let asked = async || {
            let answer = http::get(self.via, host, path, SOON).await?;
            ensure!(answer.body == body, "it answers {answer:?}");
            Ok(())
        };
        let what = format!("{host}{path} answers {body:?}");
        eventually(&what, SOON, asked).await.unwrap();
    }

    /// Waits until requests for a path are answered with this status.
    pub(super) async fn status(&self, host: &str, path: &str, status: u16) {
        let asked = async || {
            let answer = http::get(self.via, host, path, SOON).await?;
            ensure!(answer.status == status, "it answers {answer:?}");
            Ok(())
        };
        let what = format!("{host}{path} answers {status}");
        eventually(&what, SOON, asked).await.unwrap();
    }

    /// Waits until nobody listens.
    pub(super) async fn is_closed(&self) {
        let closed = async || {
            let connected = tokio::net::TcpStream::connect(self.via).await;
            ensure!(connected.is_err(), "somebody listens");
            Ok(())
        };
        eventually("the port is closed", SOON, closed)
            .await
            .unwrap();
    }

    /// The names of all listeners for clients.
    pub(super) async fn listeners(&self) -> Vec<String> {
        let holds = self.envoy.holds().await.unwrap();
        holds.listeners.into_keys().collect()
    }

    /// The router's port.
    pub(super) fn port(&self) -> String {
        self.via.port().to_string()
    }

    /// Everything has been taken, and nothing was refused or deprecated.
    pub(super) async fn settled(&self) {
        self.world.synced(&self.router.id()).await.unwrap();
        self.envoy.wait_settled(SOON).await.unwrap();
    }

    /// Waits until the author of an object is told this in a part of its status.
    pub(super) async fn told(&self, object: &Object, part: &str, what: &str) {
        let told = async || {
            let said = self.said(object).await?;
            let text = said[part].to_string();
            ensure!(text.contains(what), "it is told {said:#}");
            Ok(())
        };
        let to = object.name();
        let what = format!("{to} is told {what:?}");
        eventually(&what, SOON, told).await.unwrap();
    }

    /// Waits until nothing is said of an object.
    pub(super) async fn told_nothing(&self, object: &Object) {
        let untold = async || {
            let said = self.said(object).await?;
            ensure!(said.is_null(), "it is told {said:#}");
            Ok(())
        };
        let what = format!("{} is told nothing", object.name());
        eventually(&what, SOON, untold).await.unwrap();
    }

    async fn said(&self, object: &Object) -> anyhow::Result<Value> {
        let page = self.world.discovery.debug("/debug/configz").await?;
        let all = page["status"]["objects"].as_array();
        let is_it = |one: &&Value| {
            let key = &one["of"]["object"];
            key["kind"] == object.kind() && key["name"] == object.name()
        };
        let found = all.into_iter().flatten().find(is_it);
        Ok(found.map_or(Value::Null, |one| one["status"].clone()))
    }
}
