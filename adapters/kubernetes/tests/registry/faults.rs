//! What the registry makes of a server that fails, and of objects that cannot be read.

use serde_json::json;

use crate::fake::{Fake, Fault, On, What};
use crate::running::{Running, endpoints, pod, rules, service, slice, virtual_service};
use pilothouse_core::mesh::{MeshConfig, Touched};
use pilothouse_kubernetes::KubernetesConfig;

const SERVICES: &str = "services";
const SLICES: &str = "endpointslices.discovery.k8s.io";
const PODS: &str = "pods";
const RULES: &str = "virtualservices.networking.istio.io";

/// A server with two services, and rules installed.
fn shop() -> Fake {
    let fake = Fake::new();
    install(&fake, &["networking.istio.io/v1"]);
    for (name, ip) in [("web", "10.0.0.1"), ("cart", "10.0.0.2")] {
        fake.put(SERVICES, service(name));
        fake.put(SLICES, slice(name, &[(ip, true)]));
    }
    fake
}

/// VirtualServices are there in these versions, and in no others.
fn install(fake: &Fake, versions: &[&str]) {
    fake.change(|cluster| {
        cluster.installed = versions
            .iter()
            .map(|version| ((*version).to_owned(), ["virtualservices".to_owned()].into()))
            .collect();
        let definition = json!({"metadata": {"name": RULES}});
        cluster.put("customresourcedefinitions.apiextensions.k8s.io", definition);
    });
}

fn route(host: &str) -> serde_json::Value {
    json!({"hosts": [host], "http": [{"route": [{"destination": {"host": host}}]}]})
}

#[tokio::test(start_paused = true)]
async fn a_broken_watch_changes_nothing() {
    let fake = shop();
    let mut running = Running::start(&fake).await;
    for _ in 0..3 {
        fake.change(|cluster| cluster.cut());
        fake.until_open(SERVICES, 0).await;
        fake.until_open(SERVICES, 1).await;
        fake.until_open(SLICES, 1).await;
    }
    assert_eq!(running.touched(), Touched::default());
    fake.put(SLICES, slice("web", &[("10.0.0.3", true)]));
    let touched = running.until_service("web", Some(&["10.0.0.3"])).await;
    assert!(touched.only_endpoints(), "{touched:?}");
}

#[tokio::test(start_paused = true)]
async fn a_list_after_a_lost_version_is_one_transaction() {
    let fake = shop();
    let mut running = Running::start(&fake).await;
    fake.change(|cluster| {
        cluster.down = true;
        cluster.cut();
    });
    running
        .until_view("failing", |view| view.is_impaired())
        .await;
    // Nothing of it is seen before all of it is.
    fake.put(SERVICES, service("new"));
    fake.remove(SERVICES, "shop", "cart");
    fake.put(SERVICES, service("later"));
    fake.change(|cluster| cluster.compact());
    assert_eq!(running.touched(), Touched::default());
    fake.heal();
    let services = |mesh: &pilothouse_core::mesh::Mesh| {
        ["web", "cart", "new", "later"].map(|name| endpoints(mesh, name).is_some())
    };
    let mut seen = Vec::new();
    running
        .until("all is there", |mesh| {
            seen.push(services(mesh));
            services(mesh) == [true, false, true, true]
        })
        .await;
    seen.dedup();
    assert_eq!(
        seen,
        [[true, true, false, false], [true, false, true, true]]
    );
    running
        .until_view("well again", |view| !view.is_impaired())
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_may_not_be_read_costs_itself() {
    let fake = shop();
    fake.put(RULES, virtual_service("first", route("web")));
    let forbidden = What::Status(403, "pods is forbidden", None);
    for on in [On::List, On::Streamed, On::Watch] {
        fake.fault(Fault::on(on, PODS, forbidden.clone()));
    }
    let mut running = Running::begin(&fake, KubernetesConfig::default());
    running.configure(MeshConfig::default());
    running.until_rules(&["VirtualService shop/first"]).await;
    running.until_service("web", Some(&["10.0.0.1"])).await;
    let view = running.view().await;
    assert!(!view.is_synced());
    let failing: Vec<_> = view
        .sets
        .iter()
        .filter(|set| set.failing.is_some())
        .map(|set| set.id.as_str())
        .collect();
    assert_eq!(failing, [PODS]);
    // The others live.
    fake.put(SLICES, slice("web", &[("10.0.0.3", true)]));
    running.until_service("web", Some(&["10.0.0.3"])).await;
    fake.heal();
    running.ready().await;
    running
        .until_view("well", |view| view.is_synced() && !view.is_impaired())
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_without_services_is_not_taken_for_an_empty_cluster() {
    let fake = shop();
    fake.change(|cluster| cluster.missing.insert(SERVICES.into()));
    let mut running = Running::begin(&fake, KubernetesConfig::default());
    running.configure(MeshConfig::default());
    running
        .until_view("services fail", |view| {
            let mut sets = view.sets.iter();
            sets.any(|set| set.id.as_str() == SERVICES && set.failing.is_some())
        })
        .await;
    assert!(!running.view().await.is_synced());
    fake.change(|cluster| cluster.missing.clear());
    running.ready().await;
    running.until_service("web", Some(&["10.0.0.1"])).await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_rule_costs_itself() {
    let fake = shop();
    fake.put(RULES, virtual_service("good", route("web")));
    fake.put(RULES, virtual_service("bad", json!({"hosts": 7})));
    fake.put(RULES, virtual_service("later-bad", route("cart")));
    let mut running = Running::start(&fake).await;
    let good = ["VirtualService shop/good", "VirtualService shop/later-bad"];
    assert_eq!(rules(&running.store.mesh()), good);
    let rejected = |count: usize| {
        move |view: &pilothouse_core::store::RegistryView| {
            view.sets.iter().map(|set| set.rejected).sum::<usize>() == count
        }
    };
    running.until_view("one is refused", rejected(1)).await;
    // Its last good version stays.
    fake.put(RULES, virtual_service("later-bad", json!({"hosts": 7})));
    running.until_view("two are refused", rejected(2)).await;
    assert_eq!(rules(&running.store.mesh()), good);
    fake.remove(RULES, "shop", "later-bad");
    running.until_rules(&["VirtualService shop/good"]).await;
    fake.put(RULES, virtual_service("bad", route("web")));
    running
        .until_rules(&["VirtualService shop/bad", "VirtualService shop/good"])
        .await;
    running.until_view("none is refused", rejected(0)).await;
}

/// One that is deleted and made again is another one: a version of the first is none of its own.
#[tokio::test(start_paused = true)]
async fn a_bad_rule_does_not_inherit_from_one_that_was_deleted() {
    let fake = shop();
    fake.put(RULES, virtual_service("one", route("web")));
    let mut running = Running::start(&fake).await;
    assert_eq!(rules(&running.store.mesh()), ["VirtualService shop/one"]);
    fake.change(|cluster| {
        let key = crate::fake::Key::new(RULES, "shop", "one");
        cluster.remove(&key);
        cluster.put(RULES, virtual_service("one", json!({"hosts": 7})));
    });
    running.until_rules(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_comes_and_goes_touches_no_service() {
    let fake = shop();
    fake.put(PODS, pod("web-1", "10.0.0.1", true));
    let mut running = Running::start(&fake).await;
    for ready in [false, true, false, true] {
        fake.put(PODS, pod("web-1", "10.0.0.1", ready));
        fake.put(SLICES, slice("web", &[("10.0.0.1", ready)]));
        let healthy: &[&str] = if ready { &["10.0.0.1"] } else { &[] };
        let touched = running.until_service("web", Some(healthy)).await;
        assert!(
            touched.services.is_empty() && touched.rules.is_empty(),
            "{touched:?}"
        );
    }
}

/// What the watch is asked to leave out, and what it is told as deleted when it comes to that.
#[tokio::test(start_paused = true)]
async fn a_pod_that_has_run_to_its_end_is_none() {
    let fake = shop();
    fake.put(PODS, pod("web-1", "10.0.0.1", true));
    let mut running = Running::start(&fake).await;
    let workloads = |mesh: &pilothouse_core::mesh::Mesh| mesh.workloads().count();
    running
        .until("one workload", |mesh| workloads(mesh) == 1)
        .await;
    let mut ended = pod("web-1", "10.0.0.1", false);
    ended["status"]["phase"] = "Succeeded".into();
    fake.put(PODS, ended);
    running
        .until("no workload", |mesh| workloads(mesh) == 0)
        .await;
}

#[tokio::test(start_paused = true)]
async fn kinds_are_read_when_they_are_installed_and_in_the_version_that_is_there() {
    let fake = shop();
    fake.change(|cluster| cluster.installed.clear());
    let mut running = Running::start(&fake).await;
    fake.put(RULES, virtual_service("one", route("web")));
    assert_eq!(rules(&running.store.mesh()), Vec::<String>::new());

    install(&fake, &["networking.istio.io/v1alpha3"]);
    running.until_rules(&["VirtualService shop/one"]).await;
    fake.until_asked(1, |asked| {
        asked.resource == RULES && asked.api_version == "networking.istio.io/v1alpha3"
    })
    .await;

    // The definition goes, and all that it defines.
    fake.change(|cluster| {
        cluster.installed.clear();
        cluster.missing.insert(RULES.into());
        cluster.cut();
    });
    running.until_rules(&[]).await;
    fake.change(|cluster| cluster.missing.clear());
    install(
        &fake,
        &["networking.istio.io/v1", "networking.istio.io/v1beta1"],
    );
    running.until_rules(&["VirtualService shop/one"]).await;
    fake.until_asked(1, |asked| {
        asked.resource == RULES && asked.api_version == "networking.istio.io/v1"
    })
    .await;
}
