//! Which `VirtualService` says how sidecars route what is for a host: of those that the client's namespace sees and that are in
//! force on `mesh`, one with the most specific host, and of these the oldest.

use std::sync::Arc;

use crate::mesh::Mesh;
use crate::model::{Host, NamespaceName};
use crate::registry::ObjectKey;
use crate::rules::resolve::{HttpRoute, TcpRoute, TlsRoute};

/// How requests and connections to a host are routed. Routes that other rules were delegated to say stand in the place of
/// those that delegate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Routing {
    /// The host as the rule writes it: a wildcard, perhaps.
    pub host: Host,
    /// The rules that have a part in it: the first is the oldest.
    pub rules: Arc<[ObjectKey]>,
    /// What becomes of HTTP requests: the first that matches. Where there is none, nothing is said about them.
    pub http: Vec<Arc<HttpRoute>>,
    /// What becomes of TLS connections that are passed through: the first that matches.
    pub tls: Vec<Arc<TlsRoute>>,
    /// What becomes of other connections: the first that matches.
    pub tcp: Vec<Arc<TcpRoute>>,
}

pub(super) fn look_up(_: &Mesh, _: Option<&NamespaceName>, _: &Host) -> Option<Routing> {
    None
}
