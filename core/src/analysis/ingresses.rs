//! `Ingress`es that nobody may serve.

use super::scene::Scene;
use super::{Code, Finding};
use crate::mesh::Unserved;

/// Those that name no class although one has to be named, and those whose class is not there. Those of other classes are for
/// somebody else.
pub(super) fn classes(scene: &Scene<'_>) -> Vec<Finding> {
    let all = scene.mesh.ingresses();
    all.filter_map(|ingress| {
        let why = scene.mesh.serves_ingress(ingress).err()?;
        let (path, hint) = match why {
            Unserved::Off | Unserved::Foreign => return None,
            Unserved::NoSuchClass => (
                "spec.ingressClassName",
                "add the IngressClass: with controller istio.io/ingress-controller, routers of the mesh serve it",
            ),
            Unserved::NoClass => (
                "spec",
                "name a class in ingressClassName, or say ingressControllerMode: DEFAULT in mesh config",
            ),
        };
        let code = Code::IngressNotServed;
        Some(Finding::new(code, ingress.key(), path, why.to_string()).hint(hint))
    })
    .collect()
}
