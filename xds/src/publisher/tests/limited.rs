//! What a class under a `Sidecar` holds is in proportion to what is imported, not to the mesh.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::{from_nothing, served};
use crate::fanout::Set;
use crate::publisher::config::Sets;
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
