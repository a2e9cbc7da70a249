//! Objects as adapters write them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::name::{handle, name};
use crate::model::{
    AutomaticAddress, ClusterId, Endpoint, Host, Labels, Namespace, NamespaceName, Network, Node,
    Service, ServiceKey, Workload,
};
use crate::rules::RuleSpec;

handle! {
    /// A registry's identity: what kind of platform, and which one of that kind. Written `Kubernetes/east`. A handle of one pointer:
    /// cheap to clone, shared by all that was read from it.
    #[derive(Serialize)]
    #[serde(transparent)]
    RegistryId of RegistryIdParts
}

/// What a [`RegistryId`] consists of.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RegistryIdParts {
    /// The platform, such as `Kubernetes`, `Consul` or `Static`.
    pub provider: Arc<str>,
    /// Which one: a cluster, a datacenter, or a name of the operator's choice.
    pub cluster: ClusterId,
}

impl RegistryId {
    /// An identity of these two parts.
    pub fn new(provider: &str, cluster: &str) -> Self {
        Self(Arc::new(RegistryIdParts {
            provider: provider.into(),
            cluster: cluster.into(),
        }))
    }
}

impl fmt::Display for RegistryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.cluster)
    }
}

name! {
    /// The adapter's unit of replacement: `pods`, `health/web`, a file's path.
    SetId
}

name! {
    /// A kind of object, such as `ServiceEntry` or `Pod`.
    Kind
}

handle! {
    /// An object's identity within the mesh. Written `Kind namespace/name`. A handle of one pointer: cheap to clone, shared by all
    /// who name the object.
    #[derive(Serialize)]
    #[serde(transparent)]
    ObjectKey of ObjectKeyParts
}

/// What an [`ObjectKey`] consists of.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectKeyParts {
    /// What it is.
    pub kind: Kind,
    /// Where it belongs; empty for what belongs to no namespace.
    pub namespace: NamespaceName,
    /// What it is called.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// The object of this kind and name in the namespace.
    pub fn new(kind: Kind, namespace: NamespaceName, name: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(ObjectKeyParts {
            kind,
            namespace,
            name: name.into(),
        }))
    }

    /// The object of the same kind and name in another namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: NamespaceName) -> Self {
        Self::new(self.kind.clone(), namespace, Arc::clone(&self.name))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.as_str().is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// What every object has beside its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Meta {
    /// Its identity.
    pub key: ObjectKey,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// The platform's count of changes to it, 0 where there is none.
    pub generation: i64,
    /// `metadata.creationTimestamp` as written; absent counts as oldest. Never the time it was read.
    pub created: Option<Timestamp>,
    /// What names of hosts without a dot in the object are completed with: what follows the name of a service in the platform's
    /// names of hosts, such as `shop.svc.cluster.local` or `service.consul`. `None` where the platform has no such names.
    pub domain: Option<Arc<str>>,
    /// The automatic addresses that the platform keeps with the object, by host: they are given again. They are no part of what the
    /// object says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_addresses: Option<Arc<BTreeMap<Host, AutomaticAddress>>>,
}

impl Meta {
    /// Meta of an object without labels, annotations and times.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            key: ObjectKey::new(Kind::new(kind), namespace.into(), name),
            labels: Labels::default(),
            annotations: Labels::default(),
            generation: 0,
            created: None,
            domain: None,
            kept_addresses: None,
        }
    }
}

name! {
    /// Where an object stands, for people: a file and line such as `mesh/reviews.yaml:12`, a key, a resource version.
    Origin
}

/// One object of a platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its identity and labels.
    pub meta: Meta,
    /// Where it stands.
    pub origin: Origin,
    /// What it says.
    pub value: Value,
}

/// What an object says.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A namespace with its labels.
    Namespace(Namespace),
    /// A service of the platform's own.
    Service(Arc<Service>),
    /// Some of a service's endpoints.
    Endpoints(EndpointPart),
    /// Something that runs.
    Workload(Arc<Workload>),
    /// A machine that workloads run on.
    Node(Node),
    /// A network and its entrances.
    Network(Network),
    /// A rule, as written.
    Rule(RuleSpec),
}

impl From<Service> for Value {
    fn from(service: Service) -> Self {
        Self::Service(Arc::new(service))
    }
}

impl From<Workload> for Value {
    fn from(workload: Workload) -> Self {
        Self::Workload(Arc::new(workload))
    }
}

/// Some of a service's endpoints: a slice. The store joins the parts of one service.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointPart {
    /// Whose endpoints these are.
    pub service: ServiceKey,
    /// Which part, unique within the registry and service.
    pub part: Arc<str>,
    /// The endpoints, in any order.
    pub endpoints: Vec<Endpoint>,
}

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The object is not used.
    Error,
    /// The object is used; its author should look at it.
    Warning,
}

/// Something wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The field, such as `spec.ports[0].number`; empty for the object as a whole.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do about it; empty where that is obvious.
    pub hint: String,
}

impl Problem {
    /// A problem for which the object is not used.
    pub fn error(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            path: path.into(),
            what: what.into(),
            hint: String::new(),
        }
    }

    /// A problem in spite of which the object is used.
    pub fn warning(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(path, what)
        }
    }

    /// The same problem with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// Whether any of these problems keeps the object from being used.
pub fn is_fatal(problems: &[Problem]) -> bool {
    problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}
