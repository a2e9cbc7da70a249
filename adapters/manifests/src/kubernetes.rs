//! Kubernetes' own objects as values of the mesh, whoever has them: a file or an API server. Pure: one object in, one value out.
//!
//! ```text
//! JSON text or fields ──decode──► the fields that mean something ──(a file per kind)──► Value, or what is wrong with them
//! ```
//!
//! - Every field may be absent or `null`; fields that mean nothing are skipped without being built.
//! - What concerns several objects (a pod and its machine, the slices of a service, a selector and its pods) is not joined
//!   here: the values name each other, and the store joins them.

mod decode;
mod endpoint_slice;
mod endpoints;
mod names;
mod namespace;
mod node;
mod pod;
mod ports;
mod quiet;
mod service;
#[cfg(test)]
mod tests;
mod topology;

use pilothouse_core::registry::{Meta, Problem, Value};
use serde_json::Map;

pub use names::Names;
pub use quiet::is_of_no_concern;

use decode::Source;

/// A kind of object that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The unit of ownership, with its labels.
    Namespace,
    /// A machine, for where its pods are.
    Node,
    /// A name that clients use.
    Service,
    /// Some of a service's endpoints.
    EndpointSlice,
    /// The same in its older form.
    Endpoints,
    /// A workload.
    Pod,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Namespace,
        Self::Node,
        Self::Service,
        Self::EndpointSlice,
        Self::Endpoints,
        Self::Pod,
    ];

    /// The kind that an object says it is of; `None` if it is not read here.
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        let called = |known: &Self| known.as_str() == kind && known.api_version() == api_version;
        Self::ALL.into_iter().find(called)
    }

    /// Its name, as objects write it in `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Node => "Node",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Endpoints => "Endpoints",
            Self::Pod => "Pod",
        }
    }

    /// Its group and version, as objects write them in `apiVersion`.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::EndpointSlice => "discovery.k8s.io/v1",
            _ => "v1",
        }
    }

    /// Whether its objects belong to a namespace.
    pub fn is_namespaced(self) -> bool {
        !matches!(self, Self::Namespace | Self::Node)
    }

    /// Drops what is not kept of an object's metadata once it has been read: annotations that mean nothing, and labels that
    /// are in its value or were of use only for that. A change of them is no change then.
    pub fn trim(self, meta: &mut Meta) {
        let annotations: &[&str] = match self {
            Self::Service => &service::ANNOTATIONS,
            _ => &[],
        };
        let kept = |(name, _): &(&str, &str)| annotations.contains(name);
        if !meta.annotations.iter().all(|entry| kept(&entry)) {
            meta.annotations = meta.annotations.iter().filter(kept).collect();
        }
        if matches!(self, Self::Node | Self::EndpointSlice | Self::Endpoints) {
            meta.labels = Default::default();
        }
    }
}

/// What one object says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Said {
    /// Its value; `None` if it means nothing to the mesh as it stands: a pod that has run to its end.
    pub value: Option<Value>,
    /// What its author should look at.
    pub warnings: Vec<Problem>,
}

/// Reads an object that is written as JSON, `metadata` included. `meta` is what its metadata says.
///
/// # Errors
/// Everything for which the object cannot be used, each with its field.
pub fn read_text(kind: Kind, meta: &Meta, text: &str, names: &Names) -> Result<Said, Vec<Problem>> {
    read(kind, meta, Source::Text(text), names)
}

/// The same of an object's fields.
///
/// # Errors
/// As [`read_text`].
pub fn read_fields(
    kind: Kind,
    meta: &Meta,
    fields: &Map<String, serde_json::Value>,
    names: &Names,
) -> Result<Said, Vec<Problem>> {
    read(kind, meta, Source::Fields(fields), names)
}

fn read(kind: Kind, meta: &Meta, source: Source<'_>, names: &Names) -> Result<Said, Vec<Problem>> {
    match kind {
        Kind::Namespace => Ok(namespace::read(meta)),
        Kind::Node => Ok(node::read(meta)),
        Kind::Service => service::read(meta, &source.decode()?, names),
        Kind::EndpointSlice => endpoint_slice::read(meta, &source.decode()?, names),
        Kind::Endpoints => endpoints::read(meta, &source.decode()?, names),
        Kind::Pod => Ok(pod::read(meta, &source.decode()?, names)),
    }
}

impl Said {
    fn value(value: Value) -> Self {
        Self {
            value: Some(value),
            warnings: Vec::new(),
        }
    }
}
