//! What names mean in one object.

use std::sync::Arc;

use super::{DelegateRef, GatewayRef, Target};
use crate::model::{Host, NamespaceName};
use crate::registry::Meta;
use crate::rules::resolve::host_name;
use crate::rules::spec::virtual_service::{Delegate, Destination};

/// The name of all sidecars.
const MESH: &str = "mesh";

/// Where names are completed: an object.
#[derive(Clone, Copy)]
pub(super) struct Names<'a>(pub(super) &'a Meta);

impl Names<'_> {
    pub(super) fn host(self, text: &str) -> Option<Host> {
        host_name(text, self.0)
    }

    pub(super) fn target(self, written: &Destination) -> Option<Target> {
        Some(Target {
            host: self.host(&written.host)?,
            subset: written.subset.as_str().into(),
            port: written.port.and_then(|port| number(port.number)),
            port_name: None,
        })
    }

    pub(super) fn delegate(self, written: &Delegate) -> DelegateRef {
        let namespace = match written.namespace.as_str() {
            "" => self.0.key.namespace.clone(),
            namespace => namespace.into(),
        };
        DelegateRef {
            namespace,
            name: written.name.as_str().into(),
        }
    }

    pub(super) fn gateways(self, written: &[String]) -> Vec<GatewayRef> {
        let mut all = Vec::with_capacity(written.len());
        for text in written {
            let one = self.gateway(text);
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    }

    /// `mesh`, `name` of the object's own namespace, `namespace/name`, and the old form `name.namespace.svc…`.
    fn gateway(self, text: &str) -> GatewayRef {
        let own = &self.0.key.namespace;
        let named = |namespace: NamespaceName, name: &str| GatewayRef::Named {
            namespace,
            name: Arc::from(name),
        };
        if text == MESH {
            return GatewayRef::Mesh;
        }
        if let Some((namespace, name)) = text.split_once('/') {
            let is_own = namespace == ".";
            return named(
                if is_own {
                    own.clone()
                } else {
                    namespace.into()
                },
                name,
            );
        }
        match text.split_once('.') {
            Some((name, rest)) => {
                let namespace = rest.split('.').next().unwrap_or(rest);
                named(namespace.into(), name)
            }
            None => named(own.clone(), text),
        }
    }
}

/// A port's number; `None` for what is none.
pub(super) fn number(port: u32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port != 0)
}

/// A text, if there is one.
pub(super) fn text(written: &str) -> Option<Arc<str>> {
    (!written.is_empty()).then(|| written.into())
}
