//! What a change costs, counted in values computed.

use super::build::{part, selecting, service, workload};
use super::{Running, replace, start};
use crate::registry::{Object, SetId, Updates};
use crate::store::Work;

const SERVICES: usize = 300;

/// Each service has a part of its own; one more selects workloads.
fn world() -> Vec<Object> {
    let one = |n: usize| {
        let (name, ip) = (format!("s{n}"), format!("10.0.{}.{}", n / 250, n % 250));
        [
            service(&name),
            part(&name, "1", &[&ip]),
            workload(&name, &ip, &format!("app{n}")),
        ]
    };
    let mut all: Vec<_> = (0..SERVICES).flat_map(one).collect();
    all.push(selecting("selecting", "app7"));
    all
}

async fn cost(running: &Running, updates: &Updates, object: Object) -> Work {
    running.handle.registries().await.unwrap();
    let before = running.handle.work();
    let mut tx = updates.begin();
    tx.put(&SetId::new("all"), object);
    tx.commit().await.unwrap();
    running.handle.registries().await.unwrap();
    let after = running.handle.work();
    Work {
        rules: after.rules - before.rules,
        workloads: after.workloads - before.workloads,
        services: after.services - before.services,
        endpoints: after.endpoints - before.endpoints,
    }
}

#[tokio::test(start_paused = true)]
async fn one_change_computes_what_it_concerns() {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "all", world()).await;
    let none = Work::default();
    let one = part("s3", "1", &["10.1.0.1"]);
    assert_eq!(
        cost(&running, &updates, one.clone()).await,
        Work {
            endpoints: 1,
            ..none
        }
    );
    assert_eq!(cost(&running, &updates, one).await, none, "the same again");
    assert_eq!(
        cost(&running, &updates, service("new")).await,
        Work {
            services: 1,
            endpoints: 1,
            ..none
        }
    );
    let moved = workload("s7", "10.0.0.8", "app7");
    // The service that selects it, and those at its old address and at its new one.
    assert_eq!(
        cost(&running, &updates, moved).await,
        Work {
            workloads: 1,
            endpoints: 3,
            ..none
        }
    );
    let selecting = selecting("selecting", "app9");
    assert_eq!(
        cost(&running, &updates, selecting).await,
        Work {
            rules: 1,
            services: 1,
            endpoints: 1,
            ..none
        }
    );
}

#[tokio::test(start_paused = true)]
async fn replacing_a_set_by_itself_computes_nothing() {
    let running = start();
    let updates = running.registry("a");
    replace(&updates, "all", world()).await;
    running.handle.registries().await.unwrap();
    let before = running.handle.work();
    replace(&updates, "all", world()).await;
    running.handle.registries().await.unwrap();
    assert_eq!(running.handle.work(), before);
}
