//! From what Consul knows of a service to objects of the mesh. Pure functions of an answer.
//!
//! | Consul | mesh |
//! |---|---|
//! | a service in a datacenter | a service `NAME.service.DC.consul`; in the agent's own datacenter `NAME.service.consul`, with the longer name as an alias |
//! | the ports of its instances | its ports |
//! | `Meta.protocol` (or the node's, as old Istio reads it) | what is spoken on them |
//! | an instance | an endpoint and, by its address, a workload |
//! | the worst of its checks and its node's | its health |
//! | tags, metadata of service and node | labels |
//!
//! Proxies and gateways of Consul's own mesh are no services here.

mod endpoint;
mod health;
mod labels;
mod ports;

use std::collections::BTreeMap;

use pilothouse_core::model::{
    Address, ClusterId, Endpoint, Host, Location, NamespaceName, Resolution, Service, ServiceKey,
};
use pilothouse_core::registry::{EndpointPart, Meta, Object, ObjectKey, Origin, Problem, Value};

use crate::client::Instance;

/// How names and addresses are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// The last part of all names: Consul's `domain`.
    pub domain: String,
    /// The datacenter that is read.
    pub datacenter: String,
    /// Whether it is the one whose services are also called without it.
    pub is_local: bool,
    /// The cluster that endpoints and workloads are of.
    pub cluster: ClusterId,
    /// The namespace of the mesh for services that are in none of Consul's.
    pub namespace: NamespaceName,
    /// Whether endpoints are reached by their `wan` addresses.
    pub wan: bool,
    /// The trust domain of identities that are made from a service account.
    pub trust_domain: String,
}

impl Naming {
    /// What a service of this name is called.
    ///
    /// # Errors
    /// It cannot be a part of a host name.
    pub fn host(&self, service: &str) -> Result<Host, Problem> {
        self.names(service).map(|(host, _)| host)
    }

    /// The name, and the further one that it has in the agent's own datacenter.
    fn names(&self, service: &str) -> Result<(Host, Option<Host>), Problem> {
        let host = |text: String| {
            Host::new(&text).map_err(|error| {
                Problem::error(
                    "Service.Service",
                    format!("{service:?} gives no host name: {error}"),
                )
                .hint("DNS cannot find it either; give it a name of letters, digits and dashes")
            })
        };
        let long = host(format!(
            "{service}.service.{}.{}",
            self.datacenter, self.domain
        ))?;
        match self.is_local {
            true => Ok((
                host(format!("{service}.service.{}", self.domain))?,
                Some(long),
            )),
            false => Ok((long, None)),
        }
    }

    /// What follows the name of a service in hosts of the agent's own datacenter, or of the one that is read.
    pub fn suffix(&self) -> String {
        match self.is_local {
            true => format!("service.{}", self.domain),
            false => format!("service.{}.{}", self.datacenter, self.domain),
        }
    }

    /// The mesh's namespace for one of Consul's.
    fn namespace_of(&self, consul: &str) -> NamespaceName {
        match consul {
            "" => self.namespace.clone(),
            name => name.into(),
        }
    }

    fn identity(&self, namespace: &NamespaceName, account: &str) -> String {
        format!("spiffe://{}/ns/{namespace}/sa/{account}", self.trust_domain)
    }
}

/// What a service is in the mesh: its objects, and what is wrong with instances that are left out.
#[derive(Debug, Default, PartialEq)]
pub struct Mapped {
    /// Services, endpoints and workloads.
    pub objects: Vec<Object>,
    /// The object that is not there because of them, and where it stands.
    pub problems: Vec<(ObjectKey, Origin, Vec<Problem>)>,
}

/// What the instances of a service are in the mesh; nothing where none of them is to be called.
pub fn service(name: &str, instances: &[Instance], naming: &Naming) -> Mapped {
    let mut mapped = Mapped::default();
    let plain: Vec<&Instance> = instances
        .iter()
        .filter(|instance| instance.service.kind.is_empty())
        .collect();
    // Enterprise: one answer may hold several namespaces.
    let mut by_namespace: BTreeMap<NamespaceName, Vec<&Instance>> = BTreeMap::new();
    for instance in plain {
        let namespace = naming.namespace_of(&instance.service.namespace);
        by_namespace.entry(namespace).or_default().push(instance);
    }
    for (namespace, instances) in by_namespace {
        match naming.names(name) {
            Ok((host, alias)) => one(
                &mut mapped,
                name,
                &namespace,
                host,
                alias,
                instances,
                naming,
            ),
            Err(problem) => {
                let key = Meta::new("Service", namespace.as_str(), name).key;
                mapped
                    .problems
                    .push((key, origin(naming, name), vec![problem]));
            }
        }
    }
    mapped
}

fn one(
    mapped: &mut Mapped,
    name: &str,
    namespace: &NamespaceName,
    host: Host,
    alias: Option<Host>,
    mut instances: Vec<&Instance>,
    naming: &Naming,
) {
    instances.sort_by_key(|instance| (&instance.node.node, &instance.service.id));
    let key = ServiceKey {
        namespace: namespace.clone(),
        host,
    };
    let ports = ports::of(&instances);
    let mut endpoints: Vec<Endpoint> = Vec::new();
    let mut workloads = Vec::new();
    for instance in &instances {
        match endpoint::of(instance, &ports, namespace, naming) {
            Ok((endpoint, workload)) => {
                endpoints.push(endpoint);
                workloads.push((instance, workload));
            }
            Err(problem) => {
                let key = Meta::new("Instance", namespace.as_str(), &called(instance)).key;
                let at = origin(naming, name);
                mapped.problems.push((key, at, vec![problem]));
            }
        }
    }
    let by_name = endpoints.iter().any(|endpoint| {
        endpoint
            .addresses
            .iter()
            .any(|address| matches!(address, Address::Host(_)))
    });
    let external = instances.iter().any(|instance| is_external(instance));
    let service = Service {
        name: name.into(),
        resolution: if by_name {
            Resolution::Dns
        } else {
            Resolution::ClientSide
        },
        location: if external {
            Location::External
        } else {
            Location::Internal
        },
        labels: [
            ("consul.service", name),
            ("consul.datacenter", &*naming.datacenter),
        ]
        .into_iter()
        .collect(),
        ..Service::new(key.clone(), ports.into_service_ports())
    };
    let object = |kind: &str, object: &str, value| Object {
        meta: Meta::new(kind, namespace.as_str(), object),
        origin: origin(naming, name),
        value,
    };
    if let Some(alias) = alias {
        let other = Service {
            key: ServiceKey {
                namespace: namespace.clone(),
                host: alias,
            },
            resolution: Resolution::Alias(key.host.clone()),
            ..service.clone()
        };
        let name = format!("{name}.{}", naming.datacenter);
        mapped
            .objects
            .push(object("Service", &name, Value::from(other)));
    }
    mapped
        .objects
        .push(object("Service", name, Value::from(service)));
    let part = EndpointPart {
        service: key,
        part: "".into(),
        endpoints,
    };
    mapped
        .objects
        .push(object("Endpoints", name, Value::Endpoints(part)));
    for (instance, workload) in workloads {
        let name = format!("{}/{}", instance.node.node, instance.service.id);
        mapped
            .objects
            .push(object("Instance", &name, Value::from(workload)));
    }
}

/// What an instance is called: an id is unique on its node.
fn called(instance: &Instance) -> String {
    format!("{}/{}", instance.node.node, instance.service.id)
}

/// Old Istio's mark of a service outside the mesh, and the mark of nodes that Consul's external service monitor registers.
fn is_external(instance: &Instance) -> bool {
    let marked = |key: &str, meta: &BTreeMap<String, String>| {
        meta.get(key).is_some_and(|value| value != "false")
    };
    marked("external", &instance.service.meta) || marked("external-node", &instance.node.meta)
}

fn origin(naming: &Naming, service: &str) -> Origin {
    Origin::new(format!("{}/{service}", naming.datacenter))
}

#[cfg(test)]
mod tests;
