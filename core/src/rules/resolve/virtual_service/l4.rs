//! Routes of connections.

use super::{GatewayRef, Place, Target};
use crate::model::{Cidr, Host, Labels, NamespaceName};

/// What becomes of TLS connections of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsRoute {
    /// Where it is written.
    pub place: Place,
    /// The connections that it is for: any of these; there is at least one.
    pub matches: Vec<TlsMatch>,
    /// Where they go; there is at least one with a weight above 0.
    pub route: Vec<L4Target>,
}

/// TLS connections of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsMatch {
    /// The server names that clients ask for, wildcards among them; there is at least one.
    pub sni_hosts: Vec<Host>,
    /// Everything else.
    pub l4: L4Match,
}

/// What becomes of other connections of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TcpRoute {
    /// Where it is written.
    pub place: Place,
    /// The connections that it is for: any of these; none: all.
    pub matches: Vec<L4Match>,
    /// Where they go; there is at least one with a weight above 0.
    pub route: Vec<L4Target>,
}

/// Connections of one kind: everything that is said has to fit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct L4Match {
    /// The addresses that the client dialled; none: whatever.
    pub destination_subnets: Vec<Cidr>,
    /// The port that the client dialled.
    pub port: Option<u16>,
    /// The client's labels.
    pub source_labels: Labels,
    /// The client's namespace.
    pub source_namespace: Option<NamespaceName>,
    /// Where it is in force, in place of what the rule as a whole says; empty: there.
    pub gateways: Vec<GatewayRef>,
}

/// Where some connections go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct L4Target {
    /// Where.
    pub to: Target,
    /// In proportion to all weights of the route.
    pub weight: u32,
}
