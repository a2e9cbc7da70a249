//! Nodes, pods and endpoint slices as a scheduler, a kubelet and a controller would write them.

use std::net::IpAddr;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::KubeCluster;

/// A pod on a node. It has one container.
#[derive(Debug, Clone)]
pub struct Pod<'a> {
    /// Its namespace, which must be there.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its addresses, the first one of each family.
    pub ips: Vec<IpAddr>,
    /// Its labels.
    pub labels: Vec<(&'a str, &'a str)>,
    /// The node it runs on. Pods of none are deleted at once, and the controller of endpoint slices leaves out pods of a node that is no object.
    pub node: &'a str,
    /// Its service account; empty is `default`.
    pub service_account: &'a str,
    /// Names and numbers of its container's ports.
    pub ports: Vec<(&'a str, u16)>,
    /// Whether its readiness holds.
    pub ready: bool,
}

impl<'a> Pod<'a> {
    /// A ready one on the node `node`, labelled `app: APP`.
    pub fn new(namespace: &'a str, name: &'a str, app: &'a str, ip: impl Into<IpAddr>) -> Self {
        Self {
            namespace,
            name,
            ips: vec![ip.into()],
            labels: vec![("app", app)],
            node: "node",
            service_account: "",
            ports: Vec::new(),
            ready: true,
        }
    }

    /// The whole object, as [`KubeCluster::import`] takes it.
    pub fn running(&self) -> Value {
        let mut object = self.object();
        object["status"] = self.status()["status"].take();
        object
    }

    fn object(&self) -> Value {
        let labels: Map<String, Value> = self
            .labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let ports: Vec<Value> = self
            .ports
            .iter()
            .map(|(name, number)| json!({"name": name, "containerPort": number}))
            .collect();
        let account = Some(self.service_account).filter(|name| !name.is_empty());
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": self.namespace, "name": self.name, "labels": labels},
            "spec": {
                "nodeName": self.node,
                "serviceAccountName": account.unwrap_or("default"),
                "containers": [{"name": "app", "image": "app", "ports": ports}],
            },
        })
    }

    fn status(&self) -> Value {
        let ips: Vec<Value> = self.ips.iter().map(|ip| json!({"ip": ip})).collect();
        let mut object = head(self.namespace, self.name);
        object["status"] = json!({
            "phase": "Running",
            "podIP": self.ips.first(),
            "podIPs": ips,
            "conditions": readiness(self.ready),
        });
        object
    }
}

impl KubeCluster {
    /// Creates a namespace.
    pub async fn namespace(&self, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        let labels: Map<String, Value> = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": labels},
        });
        self.create(&object).await.map(drop)
    }

    /// Creates a node in a region and zone.
    pub async fn node(&self, name: &str, region: &str, zone: &str) -> Result<()> {
        let object = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {
                "topology.kubernetes.io/region": region,
                "topology.kubernetes.io/zone": zone,
            }},
        });
        self.create(&object).await?;
        let status = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Test"}]},
        });
        self.write_status(&status).await.map(drop)
    }

    /// Creates a pod that runs.
    pub async fn pod(&self, pod: &Pod<'_>) -> Result<()> {
        self.create(&pod.object()).await?;
        self.write_status(&pod.status()).await.map(drop)
    }

    /// Says whether a pod is ready.
    pub async fn set_ready(&self, namespace: &str, name: &str, ready: bool) -> Result<()> {
        let mut object = head(namespace, name);
        object["status"] = json!({"conditions": readiness(ready)});
        self.write_status(&object).await.map(drop)
    }

    /// Begins to delete a pod: it stays, with the time of its deletion, as long as its containers would take to end.
    pub async fn terminate_pod(&self, namespace: &str, name: &str) -> Result<()> {
        self.delete_within(namespace, name, 3600).await
    }

    /// Removes a pod.
    pub async fn delete_pod(&self, namespace: &str, name: &str) -> Result<()> {
        self.delete_within(namespace, name, 0).await
    }

    async fn delete_within(&self, namespace: &str, name: &str, seconds: u32) -> Result<()> {
        let path =
            format!("/api/v1/namespaces/{namespace}/pods/{name}?gracePeriodSeconds={seconds}");
        self.delete_path(&path).await.map(drop)
    }

    /// Writes the endpoints of a service's port, without pods and without the controller.
    pub async fn endpoint_slice(&self, slice: &Slice<'_>) -> Result<()> {
        self.write(&slice.object()).await.map(drop)
    }
}

/// An endpoint slice of IPv4 addresses.
#[derive(Debug, Clone)]
pub struct Slice<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// The service it belongs to.
    pub service: &'a str,
    /// What tells it from other slices of the service.
    pub suffix: &'a str,
    /// The name of the port, and the port that endpoints listen on.
    pub port: (&'a str, u16),
    /// Addresses, and whether they are ready.
    pub endpoints: Vec<(IpAddr, bool)>,
}

impl Slice<'_> {
    /// The whole object.
    pub fn object(&self) -> Value {
        let endpoints: Vec<Value> = self
            .endpoints
            .iter()
            .map(|(ip, ready)| {
                json!({
                    "addresses": [ip],
                    "conditions": {"ready": ready, "serving": ready, "terminating": false},
                })
            })
            .collect();
        let (port, number) = self.port;
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": self.namespace,
                "name": format!("{}-{}", self.service, self.suffix),
                "labels": {
                    "kubernetes.io/service-name": self.service,
                    "endpointslice.kubernetes.io/managed-by": "test",
                },
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [{"name": port, "port": number, "protocol": "TCP"}],
        })
    }
}

fn head(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name},
    })
}

fn readiness(ready: bool) -> Value {
    let status = if ready { "True" } else { "False" };
    json!([{"type": "Ready", "status": status}, {"type": "ContainersReady", "status": status}])
}
