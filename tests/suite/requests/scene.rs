//! A topic: its mesh is served, an Envoy gets it, and every row goes through both.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use envoy_types::pb::google::protobuf::Any;
use pilothouse_tests::echo::Echo;
use pilothouse_tests::envoy::Binary;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_xds::evaluate::Configuration;
use pilothouse_xds::json::from_json;
use pilothouse_xds::resource::ResourceType;
use serde_json::{Value, json};

use super::table::{self, Row};
use super::{ask, evaluated};
use crate::world::{SOON, World};

/// A mesh, in which `<80>` is the port that stands for 80 and `<@name>` the port of the server of that name, and rows.
pub(crate) struct Topic {
    name: &'static str,
    mesh: String,
    rows: Vec<Row>,
    /// The real port of each that is written.
    ports: BTreeMap<u16, u16>,
    servers: BTreeSet<String>,
}

impl Topic {
    pub(crate) fn new(name: &'static str, mesh: &str, rows: &str) -> Self {
        let mut topic = Self {
            name,
            mesh: mesh.to_owned(),
            rows: table::read(rows),
            ports: BTreeMap::new(),
            servers: BTreeSet::new(),
        };
        for place in placeholders(mesh) {
            match (place.strip_prefix('@'), place.parse()) {
                (Some(name), _) => drop(topic.servers.insert(name.to_owned())),
                (None, Ok(port)) => {
                    let real = || free_address().unwrap().port();
                    topic.ports.entry(port).or_insert_with(real);
                }
                (None, Err(_)) => {}
            }
        }
        topic
    }

    /// Every row, by the evaluator and by each of these Envoys, is as it says.
    pub(crate) async fn check(mut self, versions: &[&str]) {
        let mut echoes = BTreeMap::new();
        let mut names = BTreeMap::new();
        for name in self.servers.clone() {
            let echo = Echo::start(&name).await.unwrap();
            names.insert(echo.address().to_string(), name.clone());
            let port = echo.address().port().to_string();
            self.mesh = self.mesh.replace(&format!("<@{name}>"), &port);
            echoes.insert(name, echo);
        }
        for (written, real) in &self.ports {
            self.mesh = self
                .mesh
                .replace(&format!("<{written}>"), &real.to_string());
        }
        // What comes before the first document may be mesh config.
        let (config, mesh) = match self.mesh.split_once("\n--- # mesh\n") {
            Some((config, mesh)) => (Some(config), mesh),
            None => (None, self.mesh.as_str()),
        };
        let world = World::start_with(&[("mesh.yaml", mesh)], config, &[]).await;
        let mut wrong = Vec::new();
        for version in versions {
            let binary = Binary::find_version(version).unwrap();
            let sidecar = self.proxy();
            let discovery = world.discovery.addresses().grpc;
            let envoy = sidecar
                .start(&binary, discovery, world.dir())
                .await
                .unwrap();
            envoy.wait_ready(SOON).await.unwrap();
            world.synced(&sidecar.id()).await.unwrap();
            let page = format!("/debug/config_dump?proxyID={}", sidecar.id());
            let configuration = configuration(&world.discovery.debug(&page).await.unwrap());
            for row in &self.rows {
                let mut request = row.request.clone();
                let to = self.destination(&mut request);
                let expected = self.with_real_ports(&row.expected);
                let (seen, walk) = evaluated::send(&configuration, &request, to, &names);
                let differs = seen.differs(&expected);
                if !differs.is_empty() {
                    wrong.push(format!(
                        "evaluator: {}: {}\n{walk:?}",
                        row.text,
                        differs.join(", ")
                    ));
                }
                let differs = ask::send(&request, to).await.differs(&expected);
                if !differs.is_empty() {
                    wrong.push(format!(
                        "Envoy {version}: {}: {}",
                        row.text,
                        differs.join(", ")
                    ));
                }
            }
            envoy.wait_settled(SOON).await.unwrap();
        }
        assert!(
            wrong.is_empty(),
            "{} of {} rows:\n{}",
            wrong.len(),
            self.rows.len(),
            wrong.join("\n")
        );
    }

    /// Who gets the configuration: a sidecar, and of gateways the router that they select.
    fn proxy(&self) -> Sidecar {
        let sidecar = Sidecar::new(self.name, "shop");
        match self.name {
            "gateways" | "ingress" => {
                let labels = json!({ "istio": "ingressgateway" });
                sidecar.router().with("LABELS", labels)
            }
            _ => sidecar,
        }
    }

    /// Where a request goes; ports that are written in it become the real ones.
    fn destination(&self, request: &mut table::Request) -> SocketAddr {
        let port = self
            .ports
            .get(&request.port)
            .copied()
            .unwrap_or(request.port);
        if let Some((host, _)) = request.authority.rsplit_once(':') {
            request.authority = format!("{host}:{port}");
        }
        let ip: IpAddr = match &request.via {
            Some(ip) => ip.parse().unwrap(),
            None => Ipv4Addr::LOCALHOST.into(),
        };
        SocketAddr::new(ip, port)
    }

    fn with_real_ports(&self, expected: &super::outcome::Expected) -> super::outcome::Expected {
        let real = |text: &str| {
            let mut text = text.to_owned();
            for (written, real) in &self.ports {
                text = text.replace(&format!("<{written}>"), &real.to_string());
            }
            text
        };
        let mut expected = expected.clone();
        expected.host = expected.host.as_deref().map(real);
        for (_, value) in expected
            .answer_has
            .iter_mut()
            .chain(&mut expected.request_has)
        {
            *value = real(value);
        }
        expected
    }
}

fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('<')
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('>')?.0))
}

/// What discovery holds for a proxy.
fn configuration(dump: &Value) -> Configuration {
    let mut all = Configuration::default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut add = |kind: ResourceType, resource: &Value| {
        let mut resource = resource.clone();
        resource.as_object_mut().unwrap().remove("@type");
        let value = from_json(kind.url(), &resource).unwrap();
        let type_url = kind.url().to_owned();
        all.add(&Any { type_url, value }).unwrap();
    };
    for part in list(&dump["configs"]) {
        for entry in list(&part["dynamic_active_clusters"]) {
            add(ResourceType::Cluster, &entry["cluster"]);
        }
        for entry in list(&part["dynamic_listeners"]) {
            add(ResourceType::Listener, &entry["active_state"]["listener"]);
        }
        for entry in list(&part["dynamic_route_configs"]) {
            add(ResourceType::Route, &entry["route_config"]);
        }
        for entry in list(&part["dynamic_endpoint_configs"]) {
            add(ResourceType::Endpoint, &entry["endpoint_config"]);
        }
    }
    all
}
