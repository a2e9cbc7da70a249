//! A folder of manifests is a mesh: services, slices, pods and machines, in whatever files they stand.

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Address, Resolution};
use pilothouse_core::rules::Resolved;

use crate::world::World;

const WEB: &str = "apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  clusterIP: 10.96.0.1
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: web }]
";

const OTHERS: &str = "apiVersion: v1
kind: Service
metadata: { name: each, namespace: shop }
spec: { clusterIP: None, selector: { app: web }, ports: [{ name: tcp, port: 9000 }] }
---
apiVersion: v1
kind: Service
metadata: { name: outside, namespace: shop }
spec: { type: ExternalName, externalName: db.example.com }
---
apiVersion: v1
kind: Secret
metadata: { name: none, namespace: shop }
data: { a: YQ== }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec: { selector: { matchLabels: { app: web } } }
";

const PLACES: &str = "apiVersion: v1
kind: Node
metadata: { name: node-1, labels: { topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-1 } }
---
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { team: a } }
";

/// A pod of `web`, whose port of that name is this.
fn pod(name: &str, ip: &str, port: u16) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{ name: {name}, namespace: shop, labels: {{ app: web }} }}
spec:
  nodeName: node-1
  serviceAccountName: reviews
  containers: [{{ name: web, ports: [{{ name: web, containerPort: {port} }}] }}]
status: {{ podIP: {ip} }}
"
    )
}

fn slice(name: &str, ips: &[&str]) -> String {
    let endpoints = ips.iter().map(|ip| format!("- addresses: [{ip}]\n"));
    format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{ name: {name}, namespace: shop, labels: {{ kubernetes.io/service-name: web }} }}
addressType: IPv4
ports: [{{ name: http, port: 8080 }}]
endpoints:
{}",
        endpoints.collect::<String>()
    )
}

/// Each service with its resolution and endpoints: addresses, ports, locality and identity.
fn shown(mesh: &Mesh) -> Vec<String> {
    let services = mesh.services().map(|service| {
        let resolution = match &service.resolution {
            Resolution::ClientSide => "",
            Resolution::Passthrough => " headless",
            Resolution::Alias(_) => " alias",
            _ => " other",
        };
        let endpoints = mesh.endpoints(&service.key).into_iter();
        let endpoints = endpoints.flat_map(|all| all.iter()).map(|endpoint| {
            let address = endpoint.address().map(Address::to_string);
            let ports = service.ports.iter().filter_map(|port| endpoint.port(port));
            let ports: Vec<_> = ports.map(|port| port.to_string()).collect();
            let identity = endpoint.identity.as_deref().unwrap_or_default();
            let identity = identity.rsplit('/').next().unwrap_or_default();
            format!(
                " [{}:{} {} {identity}]",
                address.unwrap_or_default(),
                ports.join(","),
                endpoint.locality
            )
        });
        let endpoints: String = endpoints.collect();
        format!("{}{resolution}{endpoints}", service.key)
    });
    let mut all: Vec<_> = services.collect();
    all.sort();
    all
}

const EACH: &str = "shop/each.shop.svc.cluster.local headless";
const OUTSIDE: &str = "shop/outside.shop.svc.cluster.local alias";

#[tokio::test]
async fn a_folder_of_manifests_is_a_mesh() {
    let mut world = World::start(&[]).await;
    world.write_text("web.yaml", WEB);
    world.write_text("others.yaml", OTHERS);
    world.write_text("places.yaml", PLACES);
    let web = "shop/web.shop.svc.cluster.local";
    world.until_shown(shown, &[EACH, OUTSIDE, web]).await;

    // Pods are endpoints of what selects them, where their machine is, on the port that they call so.
    world.write_text("pods.yaml", &pod("web-1", "10.0.0.1", 8080));
    let each = format!("{EACH} [10.0.0.1:9000 eu/eu-1 reviews]");
    let selected = format!("{web} [10.0.0.1:8080 eu/eu-1 reviews]");
    world.until_shown(shown, &[&each, OUTSIDE, &selected]).await;

    // A slice says whose endpoints they are, and nothing else does; what it does not say is its pod's.
    world.write_text("slices.yaml", &slice("web-1", &["10.0.0.1", "10.0.0.9"]));
    let stated = format!("{web} [10.0.0.1:8080 eu/eu-1 reviews] [10.0.0.9:8080  ]");
    world.until_shown(shown, &[&each, OUTSIDE, &stated]).await;

    world.write_text("slices.yaml", &slice("web-1", &["10.0.0.9"]));
    let edited = format!("{web} [10.0.0.9:8080  ]");
    world.until_shown(shown, &[&each, OUTSIDE, &edited]).await;

    world.remove("slices.yaml");
    world.until_shown(shown, &[&each, OUTSIDE, &selected]).await;
    world.remove("pods.yaml");
    world.until_shown(shown, &[EACH, OUTSIDE, web]).await;
    assert_eq!(world.rejected(), [""; 0]);
}

#[tokio::test]
async fn a_manifest_that_is_wrong_keeps_its_last_good_version() {
    let mut world = World::start(&[]).await;
    world.write_text("web.yaml", WEB);
    let web = "shop/web.shop.svc.cluster.local";
    world.until_shown(shown, &[web]).await;
    let wrong = WEB.replace("port: 80,", "port: 0,");
    world.write_text("web.yaml", &format!("{wrong}---\n{OTHERS}"));
    world.until_shown(shown, &[EACH, OUTSIDE, web]).await;
    let rejected = world.rejected();
    assert_eq!(rejected.len(), 1);
    let start = "Service shop/web web.yaml:1 spec.ports[0].port: 0 is no port: they go from 1 to 65535\n  --> web.yaml:7:";
    assert!(rejected[0].starts_with(start), "{}", rejected[0]);
}

#[tokio::test]
async fn short_names_in_rules_are_completed_as_in_a_cluster() {
    let rule = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web, namespace: shop }
spec: { host: web }
";
    fn hosts(mesh: &Mesh) -> Vec<String> {
        let rules = mesh.rules().filter_map(|rule| match &rule.resolved {
            Some(Resolved::Destination(rule)) => Some(rule.host.to_string()),
            _ => None,
        });
        rules.collect()
    }
    let mut world = World::start(&[]).await;
    world.write_text("rule.yaml", rule);
    world
        .until_shown(hosts, &["web.shop.svc.cluster.local"])
        .await;
}
