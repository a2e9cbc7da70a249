//! Proxies as their workloads say: what a platform knows of a pod holds, whatever its proxy was started with.

use std::borrow::Cow;

use super::Mesh;
use crate::model::Proxy;

impl Mesh {
    /// `proxy` with what is known of its workload, if that has the proxy's name and one of its addresses: the labels are the workload's,
    /// and it is where the workload is unless it says where it is. The workload may appear after its proxy.
    pub fn as_known<'a>(&self, proxy: &'a Proxy) -> Cow<'a, Proxy> {
        let named = self
            .workload_of(proxy)
            .filter(|workload| workload.key.names(&proxy.id));
        let Some(workload) = named else {
            return Cow::Borrowed(proxy);
        };
        let there = self.locality_of(workload);
        let is_nowhere = proxy.locality.is_empty() && !there.is_empty();
        let is_unlabelled = workload.labels.is_empty() || workload.labels == proxy.labels;
        if is_unlabelled && !is_nowhere {
            return Cow::Borrowed(proxy);
        }
        let mut known = proxy.clone();
        if !is_unlabelled {
            known.labels = workload.labels.clone();
        }
        if is_nowhere {
            known.locality = there.clone();
        }
        Cow::Owned(known)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Locality, NodeId};
    use crate::store::tests::build::a_workload;

    fn proxy(name: &str, locality: &str) -> Proxy {
        let id: NodeId = format!("sidecar~10.0.0.1~{name}~shop.svc.cluster.local")
            .parse()
            .unwrap();
        Proxy {
            namespace: "shop".into(),
            addresses: vec![id.ip],
            id,
            labels: [("app", "started")].into_iter().collect(),
            locality: Locality::parse(locality),
            network: Default::default(),
            cluster: Default::default(),
            interception: Default::default(),
            data_plane: Default::default(),
            envoy: None,
            missing: Default::default(),
            metadata: Default::default(),
        }
    }

    fn check(proxy: &Proxy, app: &str, locality: &str) {
        let mut workload = a_workload("web-1", "10.0.0.1", "web");
        workload.locality = Locality::parse("north/a");
        let mut mesh = Mesh::default();
        let (cluster, key) = (workload.cluster.clone(), workload.key.clone());
        mesh.set_workload(&cluster, &key, Some(Arc::new(workload)));
        let known = mesh.as_known(proxy);
        assert_eq!(known.labels.get("app"), Some(app), "{}", proxy.id);
        assert_eq!(known.locality, Locality::parse(locality), "{}", proxy.id);
        // Nothing is known of it without its workload.
        assert_eq!(*Mesh::default().as_known(proxy), *proxy);
    }

    #[test]
    fn what_the_platform_knows_holds() {
        check(&proxy("web-1.shop", ""), "web", "north/a");
        check(&proxy("web-1.shop", "south/b"), "web", "south/b");
    }

    #[test]
    fn another_of_the_same_address_is_not_meant() {
        for name in ["web-2.shop", "web-1.other", "web-1", "xweb-1.shop"] {
            check(&proxy(name, ""), "started", "");
        }
    }
}
