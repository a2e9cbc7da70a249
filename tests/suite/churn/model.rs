//! What the files say, and how that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use anyhow::{Result, ensure};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::mesh_dir::{MeshDir, Port, ServiceEntry};
use pilothouse_tests::ports::free_address;
use pilothouse_tests::traffic::{Target, Traffic};
use serde_json::Value;

use super::random::Random;
use crate::world::World;

/// Each has a client of its own, with listeners of its own: a service stands in each, and is seen there only.
pub(super) const NAMESPACES: [&str; 2] = ["a", "b"];
const SERVICES: usize = 8;
/// Ports that several services share.
const SHARED: usize = 2;
/// The kinds of change after which a service has all that it can have.
const COMPLETE: RangeInclusive<usize> = 8..=10;

pub(super) struct Model {
    services: Vec<Service>,
    /// For each namespace.
    shared: Vec<[u16; SHARED]>,
    started: usize,
    connect_timeout: u32,
    /// What is not to be used any longer, and still may be.
    leaving: Vec<Backend>,
    /// Hosts that have come, and may not have come everywhere.
    coming: BTreeSet<String>,
}

struct Service {
    number: usize,
    exists: bool,
    backends: Vec<Backend>,
    /// A port that only this service has, for each namespace.
    own: Vec<u16>,
    has_own: bool,
    dns: bool,
    /// How often its file has been renamed.
    renamed: usize,
}

impl Model {
    pub(super) async fn start(random: &mut Random) -> Self {
        let port = || free_address().unwrap().port();
        let services = (0..SERVICES).map(|number| Service {
            number,
            exists: number == 0 || random.below(3) > 0,
            backends: Vec::new(),
            own: NAMESPACES.map(|_| port()).into(),
            has_own: number == 0 || random.one_in(2),
            dns: random.one_in(4),
            renamed: 0,
        });
        let mut this = Self {
            services: services.collect(),
            shared: NAMESPACES.map(|_| [port(), port()]).into(),
            started: 0,
            connect_timeout: 5,
            leaving: Vec::new(),
            coming: BTreeSet::new(),
        };
        for number in 0..SERVICES {
            for _ in 0..=random.below(2) {
                let backend = this.backend(number).await;
                this.services[number].backends.push(backend);
            }
        }
        this
    }

    pub(super) fn mesh_config(&self) -> String {
        format!("connectTimeout: {}s\n", self.connect_timeout)
    }

    pub(super) fn write_all(&self, mesh: &MeshDir) {
        for service in self.services.iter().filter(|service| service.exists) {
            self.write(service, mesh);
        }
    }

    /// A request for each port of each service, at each client.
    pub(super) fn targets(&self) -> Vec<Target> {
        let of = |service: &Service, namespace: usize| {
            let via = [
                (self.shared_port(service, namespace), service.host()),
                (service.own[namespace], service.own_host()),
            ];
            via.map(|(port, host)| Target {
                via: ([127, 0, 0, 1], port).into(),
                host,
                path: "/".to_owned(),
            })
        };
        let all = self
            .services
            .iter()
            .flat_map(|service| (0..NAMESPACES.len()).map(move |namespace| (service, namespace)));
        all.flat_map(|(service, namespace)| of(service, namespace))
            .collect()
    }

    pub(super) fn absent_hosts(&self) -> Vec<String> {
        let all = self.services.iter().flat_map(|service| {
            [
                (service.host(), service.serves()),
                (service.own_host(), service.serves_own()),
            ]
        });
        all.filter(|(_, serves)| !serves)
            .map(|(host, _)| host)
            .collect()
    }

    /// One change, in words.
    pub(super) async fn change(
        &mut self,
        random: &mut Random,
        traffic: &Traffic,
        world: &World,
    ) -> String {
        if random.one_in(25) {
            self.connect_timeout += 1;
            world.write_mesh_config(&self.mesh_config());
            return format!(
                "all clusters get a connect timeout of {}s",
                self.connect_timeout
            );
        }
        // The first service is always there, with an endpoint.
        let (kind, mut number) = (random.below(12), random.below(SERVICES));
        if COMPLETE.contains(&kind) {
            // Absence is what explains failures: there must not be too much of it.
            let lacks = |service: &Service| !service.serves_own();
            number = self.services.iter().position(lacks).unwrap_or(number);
        }
        let before = self.services[number].serving();
        let did = match kind {
            0 | 1 => {
                let backend = self.backend(number).await;
                self.services[number].backends.push(backend);
                "gets an endpoint"
            }
            2 | 3 if self.services[number].backends.len() > usize::from(number == 0) => {
                let at = random.below(self.services[number].backends.len());
                let backend = self.services[number].backends.remove(at);
                self.leaving.push(backend);
                "loses an endpoint"
            }
            4 => {
                let backend = self.backend(number).await;
                let old = std::mem::replace(&mut self.services[number].backends, vec![backend]);
                self.leaving.extend(old);
                "gets another endpoint for all that it had"
            }
            5 if number != 0 => {
                self.services[number].exists ^= true;
                if self.services[number].exists {
                    "comes"
                } else {
                    "goes"
                }
            }
            6 => {
                self.services[number].has_own ^= true;
                if self.services[number].has_own {
                    "gets a port"
                } else {
                    "loses a port"
                }
            }
            7 => {
                self.services[number].dns ^= true;
                if self.services[number].dns {
                    "is resolved by DNS"
                } else {
                    "is static"
                }
            }
            _ if COMPLETE.contains(&kind) => {
                if self.services[number].backends.is_empty() {
                    let backend = self.backend(number).await;
                    self.services[number].backends.push(backend);
                }
                self.services[number].exists = true;
                self.services[number].has_own = true;
                "is there with all that it can have"
            }
            _ => {
                if self.services[number].exists {
                    let old = self.services[number].file();
                    self.services[number].renamed += 1;
                    self.write(&self.services[number], &world.mesh);
                    world.mesh.remove(&old).unwrap();
                }
                "moves to another file"
            }
        };
        let service = &self.services[number];
        for (host, (was, is)) in [service.host(), service.own_host()]
            .into_iter()
            .zip(before.into_iter().zip(service.serving()))
        {
            if was && !is && !self.coming.remove(&host) {
                traffic.excuse(&host);
            }
            if is && !was {
                self.coming.insert(host);
            }
        }
        if service.exists {
            self.write(service, &world.mesh);
        } else {
            world.mesh.remove(&service.file()).ok();
        }
        format!("{} {did}", service.host())
    }

    /// Everything has arrived.
    pub(super) fn arrived(&mut self, traffic: &Traffic) {
        self.leaving.clear();
        for host in std::mem::take(&mut self.coming) {
            traffic.restored(&host);
        }
    }

    /// Whether this is what a proxy of the namespace is to have.
    pub(super) fn is_in(&self, dump: &Value, namespace: &str) -> Result<()> {
        let found = endpoints(dump);
        let namespace = NAMESPACES
            .iter()
            .position(|known| *known == namespace)
            .unwrap();
        let mut expected = BTreeMap::new();
        for service in self.services.iter().filter(|service| service.exists) {
            let addresses: BTreeSet<_> = service
                .backends
                .iter()
                .map(|backend| backend.address().to_string())
                .collect();
            let own = service.has_own.then_some(service.own[namespace]);
            for port in [Some(self.shared_port(service, namespace)), own]
                .into_iter()
                .flatten()
            {
                expected.insert(
                    format!("outbound|{port}||{}", service.host()),
                    addresses.clone(),
                );
            }
        }
        ensure!(
            found == expected,
            "discovery has {found:#?}, the files have {expected:#?}"
        );
        let timeout = format!("{}s", self.connect_timeout);
        let clusters = parts(dump, "dynamic_active_clusters").map(|entry| &entry["cluster"]);
        let mut changed = clusters
            .filter(|cluster| expected.contains_key(cluster["name"].as_str().unwrap_or_default()));
        let old = changed.find(|cluster| cluster["connect_timeout"] != timeout.as_str());
        ensure!(
            old.is_none(),
            "a cluster has another timeout than {timeout}: {old:?}"
        );
        Ok(())
    }

    /// Whoever answered was an endpoint of the service that was asked for.
    pub(super) fn check_answers(&self, traffic: &Traffic) {
        let mut all = 0;
        for service in &self.services {
            for host in [service.host(), service.own_host()] {
                for (answer, count) in traffic.answers(&host) {
                    assert!(
                        answer.starts_with(&format!("{}-", service.host())),
                        "{answer} has answered for {host}"
                    );
                    all += count;
                }
            }
        }
        assert!(all > 0, "nobody has answered");
    }

    async fn backend(&mut self, number: usize) -> Backend {
        self.started += 1;
        let name = format!("{}-{}", self.services[number].host(), self.started);
        Backend::start(&name, [127, 0, 0, 1].into()).await.unwrap()
    }

    fn shared_port(&self, service: &Service, namespace: usize) -> u16 {
        self.shared[namespace][service.number % SHARED]
    }

    fn write(&self, service: &Service, mesh: &MeshDir) {
        let documents: Vec<_> = (0..NAMESPACES.len())
            .map(|namespace| self.entry(service, namespace).to_yaml())
            .collect();
        mesh.write(&service.file(), &documents.join("---\n"))
            .unwrap();
    }

    fn entry(&self, service: &Service, namespace: usize) -> ServiceEntry {
        let port = |name: &str, number: u16| Port {
            name: name.to_owned(),
            number,
            protocol: "HTTP",
        };
        let mut entry = ServiceEntry::http(
            &format!("service-{}", service.number),
            &service.host(),
            self.shared_port(service, namespace),
        );
        entry.namespace = NAMESPACES[namespace].to_owned();
        entry.export_to = vec![".".to_owned()];
        if service.has_own {
            entry.ports.push(port("own", service.own[namespace]));
        }
        // Without endpoints the host itself would be looked up.
        if service.dns && !service.backends.is_empty() {
            entry.resolution = "DNS";
        }
        service
            .backends
            .iter()
            .fold(entry, |entry, backend| entry.endpoint(backend.address()))
    }
}

impl Service {
    fn host(&self) -> String {
        format!("service-{}.test", self.number)
    }

    /// The same at its own port, as requests and the oracle call it.
    fn own_host(&self) -> String {
        format!("{}:{}", self.host(), self.own[0])
    }

    fn file(&self) -> String {
        format!("service-{}-{}.yaml", self.number, self.renamed)
    }

    fn serves(&self) -> bool {
        self.exists && !self.backends.is_empty()
    }

    fn serves_own(&self) -> bool {
        self.serves() && self.has_own
    }

    fn serving(&self) -> [bool; 2] {
        [self.serves(), self.serves_own()]
    }
}

/// The addresses in each cluster of a service, however they get there.
fn endpoints(dump: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let assigned = parts(dump, "dynamic_endpoint_configs").map(|entry| &entry["endpoint_config"]);
    let inline =
        parts(dump, "dynamic_active_clusters").map(|entry| &entry["cluster"]["load_assignment"]);
    let all = assigned
        .chain(inline)
        .filter(|assignment| assignment.is_object());
    all.map(|assignment| {
        let endpoints = list(&assignment["endpoints"])
            .iter()
            .flat_map(|locality| list(&locality["lb_endpoints"]));
        let addresses = endpoints.map(|endpoint| {
            let socket = &endpoint["endpoint"]["address"]["socket_address"];
            format!(
                "{}:{}",
                socket["address"].as_str().unwrap_or_default(),
                socket["port_value"]
            )
        });
        (
            assignment["cluster_name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            addresses.collect(),
        )
    })
    .collect()
}

fn parts<'a>(dump: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    list(&dump["configs"])
        .iter()
        .flat_map(move |part| list(&part[kind]))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
