//! Kubernetes' `Ingress` and `IngressClass`: routes for routers, and which of them are for those of this mesh.

use serde::Serialize;
use serde_json::Value;

use super::{Decode, object};
use crate::rules::at::At;

/// Routes for routers, by host and path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// The `IngressClass` that says who serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_class_name: Option<String>,
    /// Where requests go that no path takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_backend: Option<IngressBackend>,
    /// Certificates for hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls: Vec<IngressTls>,
    /// Paths by host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<IngressRule>,
}

/// The certificate of some hosts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressTls {
    /// The hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The secret that holds it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secret_name: String,
}

/// The paths of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressRule {
    /// The host, or a wildcard for several; empty: all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Its paths; none: everything goes to the default backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<IngressHttp>,
}

/// Paths of HTTP requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressHttp {
    /// The paths, in whatever order.
    pub paths: Vec<IngressPath>,
}

/// Where requests for certain paths go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressPath {
    /// The path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// How it is meant: `Exact`, `Prefix` or `ImplementationSpecific`.
    pub path_type: String,
    /// Where they go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<IngressBackend>,
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressBackend {
    /// To a service of the object's own namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<IngressService>,
    /// To something that is no service: nobody here knows what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<IngressResource>,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressService {
    /// The service.
    pub name: String,
    /// Its port, by number or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<IngressPort>,
}

/// A port, by number or name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressPort {
    /// The name; empty where the number is given.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The number; 0 where the name is given.
    #[serde(skip_serializing_if = "is_zero")]
    pub number: u32,
}

/// An object of some kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressResource {
    /// The group of its kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// Who serves the `Ingress`es that name it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressClass {
    /// Who serves them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub controller: String,
    /// What else that one is to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<IngressClassParameters>,
}

/// An object with settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressClassParameters {
    /// The group of its kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Whether it has one: `Cluster` or `Namespace`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference to the field"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A field that a younger Kubernetes has is no reason to refuse an object of it.
macro_rules! decode {
    ($type:ident { $($field:ident: $name:literal),* $(,)? }) => {
        impl Decode for $type {
            fn decode(value: &Value, at: &At<'_>) -> Self {
                object(value, at, |f| {
                    f.lenient();
                    Self { $($field: f.get($name)),* }
                })
            }
        }
    };
}

decode!(Ingress {
    ingress_class_name: "ingressClassName",
    default_backend: "defaultBackend",
    tls: "tls",
    rules: "rules",
});
decode!(IngressTls {
    hosts: "hosts",
    secret_name: "secretName",
});
decode!(IngressRule {
    host: "host",
    http: "http",
});
decode!(IngressHttp { paths: "paths" });
decode!(IngressPath {
    path: "path",
    path_type: "pathType",
    backend: "backend",
});
decode!(IngressBackend {
    service: "service",
    resource: "resource",
});
decode!(IngressService {
    name: "name",
    port: "port",
});
decode!(IngressPort {
    name: "name",
    number: "number",
});
decode!(IngressResource {
    api_group: "apiGroup",
    kind: "kind",
    name: "name",
});
decode!(IngressClass {
    controller: "controller",
    parameters: "parameters",
});
decode!(IngressClassParameters {
    api_group: "apiGroup",
    kind: "kind",
    name: "name",
    namespace: "namespace",
    scope: "scope",
});
