//! The manifests of the control plane: an API server takes them, and what they grant is exactly what discovery asks for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pilothouse_core::rules::kinds;
use pilothouse_tests::kube::{KubeCluster, Options, PILOTHOUSE, Request};
use pilothouse_tests::wait::eventually;
use serde_json::{Value, json};

use super::crds::plural;
use super::status::setting::{cluster, discovery_of, refusing};
use crate::world::{SOON, Scratch};

fn manifest(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("deploy/kubernetes").join(name)
}

#[tokio::test]
async fn an_api_server_takes_the_manifests() {
    let Some(cluster) = KubeCluster::get(Options::default()).await else {
        return;
    };
    let namespace = manifest("00-namespace.yaml").display().to_string();
    cluster
        .kubectl(&["apply", "-f", &namespace], "")
        .await
        .unwrap();
    let all = manifest("").display().to_string();
    // A pod that asks for more than the namespace grants would be a warning.
    let args = [
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "--warnings-as-errors",
        "-f",
        &all,
    ];
    let said = cluster.kubectl(&args, "").await.unwrap();
    for made in [
        "deployment.apps/pilot-discovery",
        "service/pilot-discovery",
        "poddisruptionbudget.policy/pilot-discovery",
    ] {
        assert!(said.contains(made), "{said}");
    }
}

/// One right of the manifests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    /// Empty: everywhere.
    namespace: String,
    group: String,
    /// With the subresource, such as `gateways/status`.
    resource: String,
    /// Empty: whatever it is called.
    name: String,
    verb: String,
}

impl Right {
    fn allows(&self, request: &Request) -> bool {
        let resource = match request.subresource.as_str() {
            "" => request.resource.clone(),
            sub => format!("{}/{sub}", request.resource),
        };
        (self.namespace.is_empty() || self.namespace == request.namespace)
            && (self.name.is_empty() || self.name == request.name)
            && (&self.group, &self.resource, &self.verb)
                == (&request.group, &resource, &request.verb)
    }
}

/// What the roles of the manifest grant.
async fn rights(cluster: &KubeCluster) -> BTreeSet<Right> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| -> Vec<String> {
        let all = value.as_array().into_iter().flatten();
        all.map(text).collect()
    };
    let mut all = BTreeSet::new();
    let roles = "/apis/rbac.authorization.k8s.io/v1";
    for path in [
        format!("{roles}/clusterroles/pilot-discovery"),
        format!("{roles}/namespaces/istio-system/roles/pilot-discovery"),
    ] {
        let role = cluster.get_path(&path).await.unwrap();
        let namespace = text(&role["metadata"]["namespace"]);
        for rule in role["rules"].as_array().unwrap() {
            let mut names = texts(&rule["resourceNames"]);
            if names.is_empty() {
                names.push(String::new());
            }
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for (verb, name) in texts(&rule["verbs"])
                        .iter()
                        .flat_map(|verb| names.iter().map(move |name| (verb, name)))
                    {
                        all.insert(Right {
                            namespace: namespace.clone(),
                            group: group.clone(),
                            resource: resource.clone(),
                            name: name.clone(),
                            verb: verb.clone(),
                        });
                    }
                }
            }
        }
    }
    all
}

/// The least that an object of this kind says.
fn spec(kind: &str) -> Value {
    let route = json!([{"directResponse": {"status": 200}}]);
    match kind {
        "DestinationRule" => json!({"host": "web.example.com"}),
        "Gateway" => json!({
            "selector": {"app": "router"},
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
        }),
        "ServiceEntry" => json!({
            "hosts": ["web.example.com"], "resolution": "STATIC",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "endpoints": [{"address": "10.0.0.1"}],
        }),
        "Sidecar" => json!({"egress": [{"hosts": ["*/*"]}]}),
        "VirtualService" => json!({"hosts": ["web.example.com"], "http": route}),
        "WasmPlugin" => json!({"url": "oci://registry.example.com/plugin:1"}),
        "TrafficExtension" => json!({"lua": {"inlineCode": "-- nothing"}}),
        "WorkloadEntry" => json!({"address": "10.0.0.1"}),
        "WorkloadGroup" => json!({"template": {}}),
        _ => json!({}),
    }
}

#[tokio::test]
async fn what_is_granted_is_what_is_asked_for() {
    let options = Options {
        audited: true,
        ..Options::default()
    };
    let Some(cluster) = cluster(options).await else {
        return;
    };
    let granted = fs::read_to_string(manifest("10-rbac.yaml")).unwrap();
    let account = "kind: ServiceAccount\n    name: pilot-discovery\n    namespace: istio-system\n";
    let user =
        format!("kind: User\n    name: {PILOTHOUSE}\n    apiGroup: rbac.authorization.k8s.io\n");
    assert_eq!(granted.matches(account).count(), 2);
    cluster
        .apply(&granted.replace(account, &user))
        .await
        .unwrap();
    let mut paths = Vec::new();
    for kind in kinds().iter().filter(|kind| !kind.is_of_kubernetes()) {
        let object = json!({
            "apiVersion": format!("{}/{}", kind.group, kind.versions[0]),
            "kind": kind.name,
            "metadata": {"name": "one", "namespace": "shop"},
            "spec": spec(kind.name),
        });
        let made = cluster.create(&object).await.unwrap();
        assert_eq!(made["metadata"]["name"], "one");
        let list = format!("{}/{}", kind.group, kind.versions[0]);
        paths.push(format!(
            "/apis/{list}/namespaces/shop/{}/one",
            plural(kind.name)
        ));
    }
    let dir = Scratch::new();
    let flags = ["--allow-unenforced-security"];
    let mut discovery = discovery_of(PILOTHOUSE, &cluster, dir.path(), &flags).await;
    for path in &paths {
        eventually(&format!("{path} is told of"), 2 * SOON, async || {
            let object = cluster.get_path(path).await?;
            anyhow::ensure!(object["status"]["conditions"].is_array(), "{object:#}");
            Ok(())
        })
        .await
        .unwrap();
    }
    // A second report of what proxies refuse replaces the first.
    let client = refusing(&discovery, "one", "outbound|80||web.example.com").await;
    let updates = || {
        let requests = cluster.requests_of(PILOTHOUSE).unwrap();
        requests
            .into_iter()
            .filter(|one| {
                (one.resource.as_str(), one.verb.as_str(), one.code)
                    == ("configmaps", "update", 200)
            })
            .count()
    };
    eventually("the report is replaced", 2 * SOON, async || {
        anyhow::ensure!(updates() > 0, "not yet");
        Ok(())
    })
    .await
    .unwrap();
    drop(client);
    discovery.stop().await.unwrap();

    let requests = cluster.requests_of(PILOTHOUSE).unwrap();
    let refused: Vec<_> = requests.iter().filter(|one| one.code == 403).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let rights = rights(&cluster).await;
    // What every user may ask: which kinds there are.
    let asked: Vec<_> = requests
        .iter()
        .filter(|one| !one.resource.is_empty())
        .collect();
    let beyond: Vec<_> = asked
        .iter()
        .filter(|one| !rights.iter().any(|right| right.allows(one)))
        .collect();
    assert!(beyond.is_empty(), "asked for by other rights: {beyond:#?}");
    let is_used = |right: &Right| asked.iter().any(|one| right.allows(one));
    // A server that streams lists is asked for none; others are.
    let watched = |right: &Right| {
        right.verb == "list"
            && is_used(&Right {
                verb: "watch".into(),
                ..right.clone()
            })
    };
    let unused: Vec<_> = rights
        .iter()
        .filter(|right| !is_used(right) && !watched(right))
        .collect();
    assert!(
        unused.is_empty(),
        "granted and never asked for: {unused:#?}"
    );
}
