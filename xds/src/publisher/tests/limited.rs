//! What a class under a `Sidecar` holds is in proportion to what is imported, not to the mesh.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::mesh::Touched;
use pilothouse_core::model::Host;
use serde_json::json;

use super::{from_nothing, served};
use crate::fanout::Set;
use crate::publisher::config::{Config, Sets, Work};
use crate::sample::{endpoint, http, mesh, service, sidecar, with_rule};
use crate::selection::Selection;

#[test]
fn a_class_holds_what_is_imported() {
    let services = (0..1000).map(|n| {
        let service = service(&format!("s{n}.com"), [http(80)]);
        (service, vec![endpoint("10.0.0.9")])
    });
    let hosts: Vec<_> = (0..5).map(|n| format!("./s{n}.com")).collect();
    let spec = json!({"egress": [{"hosts": hosts}]});
    let mesh = Arc::new(with_rule(mesh(services), "Sidecar", ("shop", "it"), &spec));
    let selection = Arc::new(Selection::of(&mesh, &sidecar()));
    let all = BTreeSet::from([selection.clone()]);
    let (config, mut lane) = from_nothing(&mesh, &all);
    let mut sets = Sets::default();
    config.restack(&selection, &mut sets);
    // Hidden names would be held, too.
    let held = |set: &Set| {
        set.layers()
            .iter()
            .map(|layer| layer.iter().count())
            .sum::<usize>()
    };
    assert_eq!(held(&sets.clusters), 5 + 3);
    assert_eq!(held(&sets.listeners), 1 + 2);
    assert_eq!(held(&sets.routes), 1);
    assert_eq!(held(lane.set(&selection.view, &selection.assignments)), 5);
    assert_eq!(served(&config, &mut lane, &selection)[1].len(), 5);
}

#[test]
fn a_route_that_goes_takes_its_clusters_along() {
    let d = || {
        let service = service("d.com", [crate::sample::tcp(81)]);
        mesh([(service, vec![endpoint("10.0.0.9")])])
    };
    let spec = json!({"egress": [
        {"port": {"number": 80, "protocol": "TCP"}, "hosts": ["*/*"]},
        {"hosts": ["~/*"]},
    ]});
    // It leads to a name of its own, too, that nothing has.
    let to = json!({"hosts": ["*.mesh"], "http": [{"route": [
        {"destination": {"host": "d.com"}, "weight": 1},
        {"destination": {"host": "none.mesh"}, "weight": 1},
    ]}]});
    let routed = with_rule(d(), "VirtualService", ("bank", "v"), &to);
    let key = routed.rules().next().unwrap().meta.key.clone();
    let before = Arc::new(with_rule(routed, "Sidecar", ("shop", "it"), &spec));
    let after = Arc::new(with_rule(d(), "Sidecar", ("shop", "it"), &spec));
    let selection = Arc::new(Selection::of(&before, &sidecar()));
    let all = BTreeSet::from([selection.clone()]);
    let (mut config, mut lane) = from_nothing(&before, &all);
    let cluster = "outbound|81||d.com";
    let mut has = |config: &Config| {
        let served = served(config, &mut lane, &selection);
        served[0].contains_key(cluster)
    };
    assert!(has(&config));
    let mut touched = Touched::default();
    touched.rules.insert(key);
    let hosts = config.apply(Work {
        mesh: after,
        touched,
        selections: all.clone(),
    });
    assert!(hosts.contains(&Host::new("d.com").unwrap()), "{hosts:?}");
    assert!(!has(&config));
}
