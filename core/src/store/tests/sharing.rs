//! What is kept once however many have it.

use std::sync::Arc;

use serde_json::json;

use super::build::{key, object, part};
use super::{Running, replace, start};
use crate::mesh::Endpoints;
use crate::model::Labels;
use crate::registry::{Object, Value};
use crate::rules::RuleSpec;

/// A `ServiceEntry` of two hosts whose endpoints say the same of themselves.
fn two_hosts() -> Object {
    let endpoint = |last: u8| {
        json!({
            "address": format!("10.0.0.{last}"), "ports": {"http": 8080}, "labels": {"version": "v1"},
            "locality": "eu/a", "network": "n", "serviceAccount": "web",
        })
    };
    let spec = json!({
        "hosts": ["a.shop", "b.shop"], "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "endpoints": [endpoint(2), endpoint(1)],
    });
    let (rule, _) = RuleSpec::parse("networking.istio.io/v1", "ServiceEntry", &spec).unwrap();
    object("ServiceEntry", "web", Value::Rule(rule))
}

fn endpoints(running: &Running, name: &str) -> Arc<Endpoints> {
    Arc::clone(running.handle.mesh().endpoints(&key(name)).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_endpoints_of_a_rule_are_one_list_for_all_its_hosts() {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "rules", vec![two_hosts()]).await;
    running.handle.registries().await.unwrap();
    let list = endpoints(&running, "a");
    assert!(Arc::ptr_eq(&list, &endpoints(&running, "b")));

    // Another registry's endpoint makes a list of its own, for as long as it is there.
    let other = running.registry("b");
    replace(&other, "slices", vec![part("b", "1", &["10.0.0.9"])]).await;
    running.handle.registries().await.unwrap();
    assert!(Arc::ptr_eq(&list, &endpoints(&running, "a")));
    assert_eq!(endpoints(&running, "b").len(), 3);
    replace(&other, "slices", vec![]).await;
    running.handle.registries().await.unwrap();
    assert!(Arc::ptr_eq(&list, &endpoints(&running, "b")));

    // A rule that says the same of its endpoints brings no second list.
    let mut labelled = two_hosts();
    labelled.meta.labels = [("team", "red")].into_iter().collect();
    replace(&updates, "rules", vec![labelled]).await;
    replace(&other, "slices", vec![part("b", "1", &["10.0.0.9"])]).await;
    replace(&other, "slices", vec![]).await;
    running.handle.registries().await.unwrap();
    assert!(Arc::ptr_eq(&list, &endpoints(&running, "b")));
}

#[tokio::test(start_paused = true)]
async fn what_endpoints_of_a_rule_have_alike_is_kept_once() {
    let running = start();
    replace(&running.registry("a"), "rules", vec![two_hosts()]).await;
    running.handle.registries().await.unwrap();
    let list = endpoints(&running, "a");
    let [first, second] = list.as_slice() else {
        panic!("{list:?}")
    };
    assert!(Arc::ptr_eq(
        first.ports.as_ref().unwrap(),
        second.ports.as_ref().unwrap()
    ));
    assert!(Arc::ptr_eq(
        first.identity.as_ref().unwrap(),
        second.identity.as_ref().unwrap()
    ));
    assert!(std::ptr::eq(&*first.locality, &*second.locality));
    let text = |labels: &Labels| labels.get("version").map(str::as_ptr);
    assert_eq!(text(&first.labels), text(&second.labels));
}
