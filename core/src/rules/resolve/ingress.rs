//! `Ingress` → what routers listen on, and where their requests go.
//!
//! An object is a gateway of its own with a port for HTTP and the routes for it, host by host. Who serves it is for
//! [`Mesh::serves_ingress`](crate::mesh::Mesh::serves_ingress) to say: that depends on other objects and on mesh config.

mod path;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Bind, Gateway, HttpAction, HttpMatch, HttpRoute, HttpTarget, Place, Security, Server,
    ServerHost, Target, VirtualService, host_name,
};
use crate::model::{Host, Labels, Protocol, Visibility};
use crate::registry::{Meta, ObjectKey};
use crate::rules::spec::ingress as spec;
pub(crate) use path::{PathType, ingress_path};

/// What an `IngressClass` calls routers of a mesh, as in Istio.
pub(crate) const CONTROLLER: &str = "istio.io/ingress-controller";
/// The annotation that named classes before there was a field.
const CLASS: &str = "kubernetes.io/ingress.class";
/// The annotation of the class that is meant where an object names none.
const IS_DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
/// The port that clients ask for.
const PORT: u16 = 80;

/// A checked `Ingress`, with names completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingress {
    /// Which class it names.
    pub class: NamedClass,
    /// What is listened on. It selects no routers: mesh config says which ones serve.
    pub gateway: Arc<Gateway>,
    /// Where requests go, by host; those that take fewer requests first. They are bound to the gateway and to nothing else.
    pub routes: Vec<Arc<VirtualService>>,
}

/// Which class an `Ingress` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedClass {
    /// None.
    None,
    /// By annotation: the one that mesh config names, or another one.
    Annotated(Arc<str>),
    /// By field: an `IngressClass`.
    Object(Arc<str>),
}

/// What an `IngressClass` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngressClass {
    /// Whether routers of the mesh serve its objects.
    pub is_ours: bool,
    /// Whether objects are its that name no class.
    pub is_default: bool,
}

/// What a checked `Ingress` means. Backends that are no services are left out.
pub fn ingress(meta: &Meta, spec: &spec::Ingress) -> Ingress {
    let key = &meta.key;
    let everything = spec.default_backend.as_ref().and_then(|backend| {
        let rule = key.clone();
        let field = "spec.defaultBackend".into();
        route(
            meta,
            Place {
                rule,
                by: None,
                field,
            },
            None,
            backend,
        )
    });
    let mut hosts: BTreeMap<Host, BTreeMap<_, Arc<HttpRoute>>> = BTreeMap::new();
    if everything.is_some() {
        hosts.insert(Host::any(), BTreeMap::new());
    }
    for (nth, rule) in spec.rules.iter().enumerate() {
        let Some(host) = host(&rule.host) else {
            continue;
        };
        let of_host = hosts.entry(host).or_default();
        for (index, path) in rule.http.iter().flat_map(|http| &http.paths).enumerate() {
            let field = format!("spec.rules[{nth}].http.paths[{index}]").into();
            let rule = key.clone();
            let place = Place {
                rule,
                by: None,
                field,
            };
            let (Some(requests), Some(backend)) = (ingress_path(path), &path.backend) else {
                continue;
            };
            if let Some(route) = route(meta, place, Some(requests.matching()), backend) {
                // Of two for the same requests the first counts.
                of_host.entry(requests).or_insert_with(|| Arc::new(route));
            }
        }
    }
    let everything = everything.map(Arc::new);
    let routes = hosts.into_iter().map(|(host, of_host)| VirtualService {
        key: key.clone(),
        created: meta.created,
        hosts: vec![host],
        gateways: [].into(),
        export_to: Some(Visibility::Public),
        http: of_host.into_values().chain(everything.clone()).collect(),
        tls: Vec::new(),
        tcp: Vec::new(),
    });
    Ingress {
        class: class(meta, spec),
        gateway: Arc::new(gateway(meta)),
        routes: routes.map(Arc::new).collect(),
    }
}

/// What an `IngressClass` says.
pub fn ingress_class(meta: &Meta, spec: &spec::IngressClass) -> IngressClass {
    IngressClass {
        is_ours: spec.controller == CONTROLLER,
        is_default: meta.annotations.get(IS_DEFAULT) == Some("true"),
    }
}

impl Ingress {
    /// Which object it is.
    pub fn key(&self) -> &ObjectKey {
        &self.gateway.key
    }
}

fn class(meta: &Meta, spec: &spec::Ingress) -> NamedClass {
    match (meta.annotations.get(CLASS), &spec.ingress_class_name) {
        (Some(name), _) => NamedClass::Annotated(name.into()),
        (None, Some(name)) => NamedClass::Object(name.as_str().into()),
        (None, None) => NamedClass::None,
    }
}

fn gateway(meta: &Meta) -> Gateway {
    let anybody = ServerHost {
        namespace: None,
        host: Host::any(),
    };
    let server = Server {
        field: "spec".into(),
        port: PORT,
        port_name: "http".into(),
        protocol: Protocol::Http,
        bind: Bind::All,
        hosts: vec![anybody],
        security: Security::Plain,
    };
    Gateway {
        key: meta.key.clone(),
        created: meta.created,
        selector: Labels::default(),
        servers: vec![Arc::new(server)],
    }
}

fn host(text: &str) -> Option<Host> {
    match text {
        "" => Some(Host::any()),
        text => Host::new(text).ok(),
    }
}

fn route(
    meta: &Meta,
    place: Place,
    matching: Option<HttpMatch>,
    backend: &spec::IngressBackend,
) -> Option<HttpRoute> {
    let service = backend.service.as_ref()?;
    let port = service.port.as_ref()?;
    let to = Target {
        host: host_name(&service.name, meta)?,
        subset: Arc::default(),
        port: u16::try_from(port.number).ok().filter(|port| *port != 0),
        port_name: (!port.name.is_empty()).then(|| port.name.as_str().into()),
    };
    let target = HttpTarget {
        to,
        weight: 1,
        headers: Default::default(),
    };
    Some(HttpRoute {
        place,
        name: Arc::default(),
        matches: matching.into_iter().collect(),
        action: HttpAction::Route(vec![target]),
        timeout: None,
        retries: None,
        rewrite: None,
        headers: Default::default(),
        mirrors: Vec::new(),
        cors: None,
        fault: None,
    })
}
