//! A resource as it is served: a name, a version that is a hash of its content, and bytes that are shared by all who get it.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use pilothouse_core::model::ServiceKey;
use pilothouse_core::registry::ObjectKey;

/// The kinds of resources that are served, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    /// `envoy.config.cluster.v3.Cluster`, by CDS.
    Cluster,
    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`, by EDS.
    Endpoint,
    /// `envoy.config.listener.v3.Listener`, by LDS.
    Listener,
    /// `envoy.config.route.v3.RouteConfiguration`, by RDS.
    Route,
    /// `istio.networking.nds.v1.NameTable`, by the aggregated service alone: it is not for Envoy but for the agent beside it.
    NameTable,
}

impl ResourceType {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Cluster,
        Self::Endpoint,
        Self::Listener,
        Self::Route,
        Self::NameTable,
    ];

    /// Those that Envoy has, in order. Others never hold these up.
    pub const OF_ENVOY: [Self; 4] = [Self::Cluster, Self::Endpoint, Self::Listener, Self::Route];

    /// The type URL.
    pub const fn url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoint => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            Self::NameTable => "type.googleapis.com/istio.networking.nds.v1.NameTable",
        }
    }

    /// The type of this URL.
    pub fn of_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.url() == url)
    }

    /// The name of its discovery service, in lower case, as metrics and debug pages have it.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Cluster => "cds",
            Self::Endpoint => "eds",
            Self::Listener => "lds",
            Self::Route => "rds",
            Self::NameTable => "nds",
        }
    }

    /// Its place in [`ResourceType::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether a first request without names asks for everything (the xDS protocol's wildcard).
    pub const fn has_wildcard(self) -> bool {
        matches!(self, Self::Cluster | Self::Listener | Self::NameTable)
    }
}

/// A resource's name; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A hash of a resource's content: the same on every replica and after every restart. Written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The version of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(bytes))
    }

    /// The version of something that consists of two parts with versions of their own.
    #[must_use]
    pub fn and(self, other: Version) -> Self {
        let mut both = [0; 16];
        both[..8].copy_from_slice(&self.0.to_le_bytes());
        both[8..].copy_from_slice(&other.0.to_le_bytes());
        Self::of(&both)
    }

    /// Reads what [`Display`](fmt::Display) writes; `None` for a version that is not one of this server's.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16)
            .then(|| u64::from_str_radix(text, 16).ok())
            .flatten()
            .map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The names that a listener or route refers to, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Uses {
    /// Clusters.
    pub clusters: Arc<[Name]>,
    /// Route configurations.
    pub routes: Arc<[Name]>,
}

/// What a resource was made from, so that a refusal finds its author.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A service, and through it the objects that declare it.
    Service(ServiceKey),
    /// A rule.
    Rule(ObjectKey),
    /// Mesh config.
    MeshConfig,
}

/// One version of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: Name,
    /// The hash of its content. A load assignment's version on the wire also covers its cluster's: see [`Version::and`].
    pub version: Version,
    /// The encoded `google.protobuf.Any` that holds it: type URL and canonical bytes.
    pub body: Bytes,
    /// What it refers to.
    pub uses: Uses,
    /// What it was made from, sorted.
    pub causes: Arc<[Cause]>,
}
