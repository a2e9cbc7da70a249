//! What a sick Consul, a narrowed token or a restored snapshot do to the mesh: nothing.

use std::time::Duration;

use pilothouse_consul::ConsulConfig;
use pilothouse_consul::client::{Settings, Token};

use crate::agent::{Agent, Catalog, Fault, PULSE, instance};
use crate::mesh::Running;

pub(super) async fn with_web(config: ConsulConfig) -> (Agent, Running) {
    let agent = Agent::start().await;
    agent.change(|catalog| {
        set(catalog, "web", &["10.0.0.1", "10.0.0.2"]);
        set(catalog, "db", &["10.0.0.3"]);
    });
    let mut running = Running::start(&agent, config, Settings::default()).await;
    running.until("web", Some(&["10.0.0.1", "10.0.0.2"])).await;
    running.until("db", Some(&["10.0.0.3"])).await;
    (agent, running)
}

pub(super) fn set(catalog: &mut Catalog, service: &str, ips: &[&str]) {
    let all = ips.iter().map(|ip| instance(service, ip, 80)).collect();
    catalog.services.insert(service.into(), all);
}

fn fault(catalog: &mut Catalog, path: &str, fault: Option<Fault>) {
    catalog.faults.remove(path);
    catalog
        .faults
        .extend(fault.map(|fault| (path.to_owned(), fault)));
}

const WEB: &str = "/v1/health/service/web";

/// While an answer about `web` is like this, it changes nothing; `db` does; afterwards `web` does, too.
async fn changes_nothing(sick: Fault, expected: &str) {
    let (agent, mut running) = with_web(ConsulConfig::default()).await;
    agent.change(|catalog| {
        fault(catalog, WEB, Some(sick.clone()));
        set(catalog, "web", &["10.0.0.9"]);
        set(catalog, "db", &["10.0.0.4"]);
    });
    running.until("db", Some(&["10.0.0.4"])).await;
    let why = running.failing("service/web").await;
    assert!(why.contains(expected), "{why}");
    assert_eq!(
        running.endpoints("web"),
        Some(vec!["10.0.0.1".into(), "10.0.0.2".into()])
    );
    agent.change(|catalog| fault(catalog, WEB, None));
    running.until("web", Some(&["10.0.0.9"])).await;
    running
        .until_view("recovers", |view| {
            view.sets.iter().all(|set| set.failing.is_none())
        })
        .await;
    running.stop().await;
}

#[tokio::test]
async fn without_a_leader_nothing_changes() {
    changes_nothing(Fault::Status(500, "No cluster leader"), "No cluster leader").await;
    changes_nothing(Fault::Leaderless, "knows no leader").await;
}

#[tokio::test]
async fn an_answer_that_is_too_old_changes_nothing() {
    changes_nothing(
        Fault::LastContact(60_000),
        "has not heard of the leader for 60s",
    )
    .await;
}

#[tokio::test]
async fn an_overloaded_agent_changes_nothing() {
    changes_nothing(
        Fault::Status(429, "Your IP is issuing too many concurrent connections"),
        "429",
    )
    .await;
    changes_nothing(Fault::Status(403, "ACL not found"), "ACL not found").await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_changes_nothing() {
    changes_nothing(Fault::Half, "cannot be read").await;
    changes_nothing(Fault::Stall, "no whole answer").await;
}

#[tokio::test]
async fn a_return_without_news_is_no_change() {
    let (agent, running) = with_web(ConsulConfig::default()).await;
    let before = running.store.mesh();
    agent.behave(|catalog| fault(catalog, WEB, Some(Fault::Wakes)));
    agent.asked(WEB, 6).await;
    assert!(std::sync::Arc::ptr_eq(&before, &running.store.mesh()));
    running.stop().await;
}

#[tokio::test]
async fn an_index_that_goes_back_is_followed_and_what_is_lost_is_held() {
    let (agent, mut running) = with_web(ConsulConfig::default()).await;
    agent.behave(|catalog| {
        catalog.index = 3;
        set(catalog, "web", &["10.0.0.1"]);
    });
    let held = |view: &pilothouse_core::store::RegistryView| {
        view.sets.iter().any(|set| set.held.is_some())
    };
    running.until_view("holds the loss", held).await;
    assert_eq!(
        running.endpoints("web"),
        Some(vec!["10.0.0.1".into(), "10.0.0.2".into()])
    );
    // From there on changes arrive as ever.
    agent.change(|catalog| set(catalog, "db", &["10.0.0.8"]));
    running.until("db", Some(&["10.0.0.8"])).await;
    running.stop().await;
}

#[tokio::test]
async fn a_token_is_read_again_when_its_file_changes() {
    let agent = Agent::start().await;
    agent.change(|catalog| {
        catalog.token = Some("first".into());
        set(catalog, "web", &["10.0.0.1"]);
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let settings = Settings {
        token: Token::File(file.clone()),
        ..Settings::default()
    };
    let mut running = Running::start(&agent, ConsulConfig::default(), settings).await;
    running.until("web", Some(&["10.0.0.1"])).await;
    agent.change(|catalog| {
        catalog.token = Some("second".into());
        set(catalog, "web", &["10.0.0.2"]);
    });
    let why = running.failing("service/web").await;
    assert!(why.contains("Permission denied"), "{why}");
    std::fs::write(&file, "second").unwrap();
    running.until("web", Some(&["10.0.0.2"])).await;
    running.stop().await;
}

#[tokio::test]
async fn many_services_stay_within_the_connections() {
    let agent = Agent::start().await;
    agent.change(|catalog| {
        for number in 0..60 {
            set(catalog, &format!("s{number}"), &["10.0.0.1"]);
        }
    });
    let config = ConsulConfig {
        held: 5,
        ..ConsulConfig::default()
    };
    let settings = Settings {
        max_connections: 10,
        ..Settings::default()
    };
    let mut running = Running::start(&agent, config, settings).await;
    for number in [0, 20, 59] {
        agent.change(|catalog| set(catalog, &format!("s{number}"), &["10.0.0.2"]));
        running
            .until(&format!("s{number}"), Some(&["10.0.0.2"]))
            .await;
        let connections = agent.connections();
        assert!(
            (1..=10).contains(&connections),
            "there are {connections} connections"
        );
    }
    let most = agent.open.borrow().1;
    assert!(most <= 10, "{most} requests were under way at once");
    running.stop().await;
}

#[tokio::test]
async fn rules_are_read_from_keys_and_the_last_good_one_stays() {
    let agent = Agent::start().await;
    let key = "pilothouse/config/shop/a";
    let entry = |host: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: a, namespace: shop}}\nspec: {{hosts: [{host}], ports: [{{number: 80, name: http}}], resolution: DNS}}\n"
        )
    };
    let write = |text: String| {
        agent.change(|catalog| {
            drop(
                catalog
                    .keys
                    .insert(key.into(), (catalog.index, text.into_bytes())),
            )
        });
    };
    write(entry("a.test"));
    let mut running = Running::start(&agent, ConsulConfig::default(), Settings::default()).await;
    let has = |running: &Running, host: &str| {
        running
            .store
            .mesh()
            .hosts()
            .any(|known| known.as_str() == host)
    };
    assert!(has(&running, "a.test"));
    write("kind: [".into());
    write_other(&agent);
    running
        .until_mesh(|mesh| mesh.hosts().any(|host| host.as_str() == "b.test"))
        .await;
    assert!(has(&running, "a.test"), "the last good version stays");
    let status = running.store.status().get();
    assert!(status.sets().any(|(_, set, status)| {
        set.is_some_and(|set| set.as_str() == format!("kv/{key}")) && !status.unreadable.is_empty()
    }));
    write(entry("c.test"));
    running
        .until_mesh(|mesh| mesh.hosts().any(|host| host.as_str() == "c.test"))
        .await;
    agent.change(|catalog| catalog.keys.remove(key));
    running
        .until_mesh(|mesh| !mesh.hosts().any(|host| host.as_str() == "c.test"))
        .await;
    running.stop().await;

    fn write_other(agent: &Agent) {
        let text = r#"{"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "b"},
            "spec": {"hosts": ["b.test"], "ports": [{"number": 80, "name": "http"}], "resolution": "DNS"}}"#;
        let key = "pilothouse/config/b.json".to_owned();
        agent.change(|catalog| catalog.keys.insert(key, (catalog.index, text.into())));
    }
}

#[tokio::test]
async fn the_pulse_is_asked_for_only_by_services_without_a_place() {
    let (agent, mut running) = with_web(ConsulConfig::default()).await;
    agent.change(|catalog| set(catalog, "db", &["10.0.0.4"]));
    running.until("db", Some(&["10.0.0.4"])).await;
    assert!(!agent.was_asked(PULSE));
    running.stop().await;
    let config = ConsulConfig {
        held: 0,
        ..ConsulConfig::default()
    };
    let (agent, running) = with_web(config).await;
    agent.asked_in_all(PULSE, 1).await;
    running.stop().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_open_queries() {
    let (_agent, running) = with_web(ConsulConfig::default()).await;
    tokio::time::timeout(Duration::from_secs(2), running.stop())
        .await
        .unwrap();
}
