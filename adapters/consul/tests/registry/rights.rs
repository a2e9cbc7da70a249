//! Tokens that see less than before: Consul leaves things out without a word, and nothing goes for that.

use pilothouse_consul::ConsulConfig;
use pilothouse_consul::client::{ConsulApi, Query, Readable, Settings};

use crate::agent::Agent;
use crate::faults::{set, with_web};
use crate::mesh::Running;

fn both() -> Option<Vec<String>> {
    Some(vec!["10.0.0.1".into(), "10.0.0.2".into()])
}

#[tokio::test]
async fn a_service_that_the_token_may_not_see_stays_and_another_that_goes_does_not() {
    let (agent, mut running) = with_web(ConsulConfig::default()).await;
    agent.change(|catalog| {
        catalog.hidden = ["consul", "web"].map(String::from).into();
        catalog.services.remove("db");
        set(catalog, "new", &["10.0.0.5"]);
    });
    running.until("new", Some(&["10.0.0.5"])).await;
    running.until("db", None).await;
    let why = running.held("service/web").await;
    let expected = "the token may not read service \"web\", which it could";
    assert!(why.starts_with(expected), "{why}");
    assert_eq!(running.endpoints("web"), both());
    // The right comes back, and with it what is so.
    agent.change(|catalog| {
        catalog.hidden.clear();
        set(catalog, "web", &["10.0.0.7"]);
    });
    running.until("web", Some(&["10.0.0.7"])).await;
    running.nothing_held().await;
    running.stop().await;
}

#[tokio::test]
async fn an_instance_whose_node_the_token_may_not_see_stays_until_a_person_confirms() {
    let (agent, mut running) = with_web(ConsulConfig::default()).await;
    agent.change(|catalog| {
        catalog.hidden_nodes = ["node-10.0.0.2".to_owned()].into();
        set(catalog, "web", &["10.0.0.1", "10.0.0.2", "10.0.0.6"]);
    });
    let why = running.held("service/web").await;
    assert!(why.contains("node \"node-10.0.0.2\""), "{why}");
    assert_eq!(running.endpoints("web"), both());
    running.confirm().await;
    running.until("web", Some(&["10.0.0.1", "10.0.0.6"])).await;
    // It stays so, however often that is read.
    agent.change(|catalog| {
        set(catalog, "web", &["10.0.0.1", "10.0.0.2", "10.0.0.8"]);
    });
    running.until("web", Some(&["10.0.0.1", "10.0.0.8"])).await;
    running.stop().await;
}

#[tokio::test]
async fn instances_that_have_gone_from_nodes_that_are_seen_go() {
    let (agent, mut running) = with_web(ConsulConfig::default()).await;
    agent.change(|catalog| {
        catalog.tells = true;
        catalog.hidden = ["secret".to_owned()].into();
        set(catalog, "web", &["10.0.0.1"]);
        catalog.services.remove("db");
    });
    running.until("web", Some(&["10.0.0.1"])).await;
    running.until("db", None).await;
    running.stop().await;
}

#[tokio::test]
async fn keys_that_the_token_may_not_see_stay_until_a_person_confirms() {
    let agent = Agent::start().await;
    let key = |name: &str| format!("pilothouse/config/{name}");
    let entry = |name: &str| {
        format!(
            r#"{{"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {{"name": "{name}"}},
                "spec": {{"hosts": ["{name}.test"], "ports": [{{"number": 80, "name": "http"}}], "resolution": "DNS"}}}}"#
        )
    };
    agent.change(|catalog| {
        for name in ["a", "b"] {
            let value = (catalog.index, entry(name).into_bytes());
            catalog.keys.insert(key(name), value);
        }
    });
    let mut running = Running::start(&agent, ConsulConfig::default(), Settings::default()).await;
    let hosts = |running: &Running| {
        let mesh = running.store.mesh();
        let hosts = mesh.hosts().map(|host| host.as_str().to_owned());
        hosts
            .filter(|host| host.ends_with(".test"))
            .collect::<Vec<_>>()
    };
    assert_eq!(hosts(&running), ["a.test", "b.test"]);
    agent.change(|catalog| {
        catalog.hidden_keys = [key("a")].into();
        catalog.keys.remove(&key("b"));
    });
    let gone = |host: &'static str| {
        move |mesh: &pilothouse_core::mesh::Mesh| !mesh.hosts().any(|known| known.as_str() == host)
    };
    running.until_mesh(gone("b.test")).await;
    let why = running.held(&format!("kv/{}", key("a"))).await;
    assert!(why.contains("key \"pilothouse/config/a\""), "{why}");
    assert_eq!(hosts(&running), ["a.test"]);
    running.confirm().await;
    running.until_mesh(gone("a.test")).await;
    // When the right comes back, so does what it shows.
    agent.change(|catalog| catalog.hidden_keys.clear());
    running
        .until_mesh(|mesh| mesh.hosts().any(|host| host.as_str() == "a.test"))
        .await;
    running.stop().await;
}

#[tokio::test]
async fn where_the_agent_does_not_say_what_may_be_seen_less_has_to_do() {
    for tells in [false, true] {
        let (agent, mut running) = with_web(ConsulConfig::default()).await;
        // All of it is hidden, as with a token that has expired.
        agent.change(|catalog| {
            catalog.is_silent = true;
            catalog.tells = tells;
            catalog.hidden = ["consul", "web", "db"].map(String::from).into();
        });
        let why = match tells {
            true => running.held("service/web").await,
            false => running.failing("services").await,
        };
        assert!(why.contains("token"), "{why}");
        assert_eq!(running.endpoints("web"), both());
        agent.change(|catalog| {
            catalog.hidden.clear();
            set(catalog, "web", &["10.0.0.7"]);
        });
        running.until("web", Some(&["10.0.0.7"])).await;
        running.nothing_held().await;
        // Only the nodes are hidden: the list still has the service.
        agent.change(|catalog| catalog.services.insert("web".into(), vec![]));
        let why = running.failing("service/web").await;
        assert!(why.contains("token"), "{why}");
        assert_eq!(running.endpoints("db").map(|all| all.len()), Some(1));
        running.stop().await;
    }
}

#[tokio::test]
async fn more_is_asked_than_an_agent_answers_at_once() {
    let agent = Agent::start().await;
    agent.behave(|catalog| catalog.hidden = ["s9", "s150"].map(String::from).into());
    let all = (0..200).map(|n| Readable::Service(format!("s{n}")));
    let client = agent.client(Settings::default());
    let denied = client.unreadable(&all.collect(), &Query::default()).await;
    let expected = ["s150", "s9"].map(|name| Readable::Service(name.into()));
    assert_eq!(denied.unwrap(), Some(expected.into()));
}
