//! What many share is made once, and what concerns few reaches few.

use pilothouse_tests::ads::{CLUSTER, DeltaClient, ENDPOINT};
use pilothouse_tests::mesh_dir::ServiceEntry;

use super::{QUIET, entry, mesh, name, node};
use crate::world::World;

const ENCODED: &str = "pilothouse_resources_encoded";
const PUSHED: &str = "pilot_xds_pushes";

/// Clients that have everything of two types.
async fn clients(
    world: &World,
    count: usize,
    namespace: &str,
    assignments: &[&str],
) -> Vec<DeltaClient> {
    let mut clients = Vec::new();
    for number in 0..count {
        let node = node(&format!("client-{number}"), namespace);
        let mut client = DeltaClient::connect(world.discovery.addresses().grpc, node)
            .await
            .unwrap();
        client.subscribe(CLUSTER, &[]).unwrap();
        client.accept(CLUSTER).await.unwrap();
        client.subscribe(ENDPOINT, assignments).unwrap();
        client.accept(ENDPOINT).await.unwrap();
        clients.push(client);
    }
    clients
}

async fn counted(world: &World, metric: &str, of: &str) -> u64 {
    world.metric(&format!("{metric}{{type=\"{of}\"}}")).await as u64
}

#[tokio::test]
async fn a_change_is_serialised_once_for_a_hundred() {
    let world = mesh("ab").await;
    let a = name(ENDPOINT, 'a');
    let mut clients = clients(&world, 100, "default", &[&a]).await;
    let (encoded, pushed) = (
        counted(&world, ENCODED, "eds").await,
        counted(&world, PUSHED, "eds").await,
    );
    world.mesh.write_entry(&entry('a', 2)).unwrap();
    let mut versions = Vec::new();
    for client in &mut clients {
        let response = client.accept(ENDPOINT).await.unwrap();
        assert_eq!(response.resources.len(), 1);
        versions.push(response.resources[0].version.clone());
    }
    versions.dedup();
    assert_eq!(versions.len(), 1);
    assert_eq!(counted(&world, ENCODED, "eds").await, encoded + 1);
    assert_eq!(counted(&world, PUSHED, "eds").await, pushed + 100);

    // A hundred more cost nothing but their responses.
    let encoded = (
        counted(&world, ENCODED, "cds").await,
        counted(&world, ENCODED, "eds").await,
    );
    let _more = self::clients(&world, 100, "default", &[&a]).await;
    assert_eq!(
        (
            counted(&world, ENCODED, "cds").await,
            counted(&world, ENCODED, "eds").await
        ),
        encoded
    );
}

#[tokio::test]
async fn a_change_that_changes_nothing_sends_nothing() {
    let world = mesh("ab").await;
    let a = name(ENDPOINT, 'a');
    let mut clients = clients(&world, 5, "default", &[&a]).await;
    let text = world.mesh.read("default.a.yaml").unwrap();
    let before = (
        counted(&world, ENCODED, "cds").await,
        counted(&world, ENCODED, "eds").await,
    );
    world
        .mesh
        .write("default.a.yaml", &format!("# A remark.\n{text}"))
        .unwrap();
    world.mesh.write("elsewhere.yaml", &text).unwrap();
    world.mesh.remove("default.a.yaml").unwrap();
    // What does change comes, and nothing came before it.
    world
        .mesh
        .write("elsewhere.yaml", &entry('a', 2).to_yaml())
        .unwrap();
    for client in &mut clients {
        let response = client.accept(ENDPOINT).await.unwrap();
        assert_eq!(
            (response.resources.len(), response.removed_resources.len()),
            (1, 0)
        );
        let content = &response.resources[0].resource.as_ref().unwrap().value;
        assert!(String::from_utf8_lossy(content).contains("10.0.2.1"));
        client.expect_nothing(QUIET).await.unwrap();
    }
    let after = (
        counted(&world, ENCODED, "cds").await,
        counted(&world, ENCODED, "eds").await,
    );
    assert_eq!(after, (before.0, before.1 + 1));
}

/// What one namespace alone sees reaches its proxies, and costs work for these only.
#[tokio::test]
async fn a_private_service_concerns_its_namespace() {
    let private = |version: u8| {
        let mut entry = ServiceEntry::http("private", "private.test", 18_500)
            .endpoint(([10, 0, version, 1], 80).into());
        entry.namespace = "shop".to_owned();
        entry.export_to = vec![".".to_owned()];
        entry
    };
    let shared = entry('a', 1);
    let world = World::of(&[&shared, &private(1)]).await;
    let (of_shared, of_private) = (
        name(ENDPOINT, 'a'),
        "outbound|18500||private.test".to_owned(),
    );
    let mut insiders = clients(&world, 3, "shop", &[&of_shared, &of_private]).await;
    let mut outsiders = clients(&world, 4, "other", &[&of_shared, &of_private]).await;
    assert!(
        insiders
            .iter()
            .all(|client| client.held(CLUSTER).contains_key(&of_private))
    );
    assert!(
        !outsiders
            .iter()
            .any(|client| client.held(CLUSTER).contains_key(&of_private))
    );
    let endpoints =
        |client: &DeltaClient| format!("{:?}", client.held(ENDPOINT)[&of_private].1.value).len();
    assert!(
        outsiders
            .iter()
            .all(|client| endpoints(client) < endpoints(&insiders[0])),
        "they know of no endpoints"
    );

    let pushed = counted(&world, PUSHED, "eds").await;
    world.mesh.write_entry(&private(2)).unwrap();
    for client in &mut insiders {
        let response = client.accept(ENDPOINT).await.unwrap();
        assert_eq!(response.resources.len(), 1);
    }
    for client in &mut outsiders {
        client.expect_nothing(QUIET).await.unwrap();
    }
    assert_eq!(counted(&world, PUSHED, "eds").await, pushed + 3);

    // It is shown to all.
    let mut public = private(2);
    public.export_to.clear();
    world.mesh.write_entry(&public).unwrap();
    for client in &mut outsiders {
        let response = client.accept(CLUSTER).await.unwrap();
        assert_eq!(response.resources[0].name, of_private);
        assert_eq!(client.accept(ENDPOINT).await.unwrap().resources.len(), 1);
    }
    for client in &mut insiders {
        client.expect_nothing(QUIET).await.unwrap();
    }
}
