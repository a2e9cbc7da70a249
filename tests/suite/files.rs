//! Files as they are edited, renamed, broken, deleted and mounted, seen by a real Envoy: what was good stays in force, and no request
//! to a service that nobody meant to touch fails.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::mesh_dir::ServiceEntry;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::relay::Relay;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::traffic::{Target, Traffic};
use pilothouse_tests::wait::eventually;
use serde_json::Value;

use crate::serving::has;
use crate::world::{SOON, World, answers};

/// A service that is edited, one that nobody touches, and an Envoy behind a relay that sees what is sent.
struct Scene {
    traffic: Traffic,
    envoy: Envoy,
    relay: Relay,
    world: World,
    via: SocketAddr,
    one: Backend,
    two: Backend,
}

const PROXY: &str = "client.default";

impl Scene {
    async fn start() -> Self {
        let one = Backend::start("one", [127, 0, 0, 1].into()).await.unwrap();
        let two = Backend::start("two", [127, 0, 0, 1].into()).await.unwrap();
        let via = free_address().unwrap();
        let files = [
            ("steady.yaml", entry("steady", via, &[&one]).to_yaml()),
            ("edited.yaml", entry("edited", via, &[&one]).to_yaml()),
        ];
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        let world = World::start(&files).await;
        let relay = Relay::start(world.discovery.addresses().grpc)
            .await
            .unwrap();
        let envoy = Sidecar::new("client", "default")
            .start(&Binary::find().unwrap(), relay.address(), world.dir())
            .await
            .unwrap();
        answers(via, "edited.test", "one").await;
        answers(via, "steady.test", "one").await;
        world.synced(PROXY).await.unwrap();
        let target = Target {
            via,
            host: "steady.test".to_owned(),
            path: "/".to_owned(),
        };
        let traffic = Traffic::start(vec![target], Duration::from_millis(5));
        relay.take_carried();
        Self {
            traffic,
            envoy,
            relay,
            world,
            via,
            one,
            two,
        }
    }

    /// The edited service as it is to be with these endpoints.
    fn edited(&self, backends: &[&Backend]) -> String {
        entry("edited", self.via, backends).to_yaml()
    }

    /// Waits until the edited service is at this backend alone, and until all of that has been acknowledged.
    async fn is_at(&self, backend: &Backend) {
        let cluster = format!("outbound|{}||edited.test", self.via.port());
        let expected = [backend.address().to_string()];
        has(&self.envoy, "the endpoint has arrived", |holds| {
            holds
                .assignments
                .get(&cluster)
                .is_some_and(|found| *found == expected)
        })
        .await;
        self.world.synced(PROXY).await.unwrap();
        answers(self.via, "edited.test", backend.name()).await;
    }

    /// Something else changes, arrives, and goes again: whatever was read before it has arrived by then. Returns all that has been sent
    /// beside that.
    async fn sent_meanwhile(&self) -> BTreeSet<String> {
        let via = free_address().unwrap();
        let marker = entry("marker", via, &[&self.one]);
        self.world.mesh.write_entry(&marker).unwrap();
        answers(via, "marker.test", "one").await;
        self.world.synced(PROXY).await.unwrap();
        self.world.mesh.remove_entry(&marker).unwrap();
        let cluster = format!("outbound|{}||marker.test", via.port());
        has(&self.envoy, "the marker is gone", |holds| {
            !holds.clusters.contains_key(&cluster)
        })
        .await;
        self.world.synced(PROXY).await.unwrap();
        let own = [
            cluster,
            format!("127.0.0.1_{}", via.port()),
            via.port().to_string(),
        ];
        let carried = self.relay.take_carried();
        let names = carried
            .into_iter()
            .flat_map(|response| response.upserts.into_iter().chain(response.removals));
        names.filter(|name| !own.contains(name)).collect()
    }

    async fn ends_well(self) {
        self.envoy.wait_settled(SOON).await.unwrap();
        let report = self.traffic.stop().await;
        assert_eq!((report.failed, report.sent > 0), (vec![], true));
    }
}

fn entry(name: &str, via: SocketAddr, backends: &[&Backend]) -> ServiceEntry {
    let entry = ServiceEntry::http(name, &format!("{name}.test"), via.port());
    backends
        .iter()
        .fold(entry, |entry, backend| entry.endpoint(backend.address()))
}

#[tokio::test]
async fn an_edited_file_is_in_force_however_it_is_written() {
    let scene = Scene::start().await;
    scene
        .world
        .mesh
        .write("edited.yaml", &scene.edited(&[&scene.two]))
        .unwrap();
    scene.is_at(&scene.two).await;

    // Truncated and written anew, in pieces, as some editors and all redirections do.
    let path = scene.world.mesh.path().join("edited.yaml");
    let text = scene.edited(&[&scene.one]);
    let (first, second) = text.split_at(text.len() / 2);
    std::fs::write(&path, "").unwrap();
    std::fs::write(&path, first).unwrap();
    append(&path, second);
    scene.is_at(&scene.one).await;

    // The same in JSON.
    let json: Value = serde_json::json!({
        "apiVersion": "networking.istio.io/v1alpha3", "kind": "List",
        "items": [{ "apiVersion": "networking.istio.io/v1beta1", "kind": "ServiceEntry", "metadata": { "name": "edited", "namespace": "default" }, "spec": {
            "hosts": ["edited.test"], "resolution": "STATIC", "location": "MESH_INTERNAL",
            "ports": [{ "name": "http", "number": scene.via.port(), "protocol": "HTTP" }],
            "endpoints": [{ "address": "127.0.0.1", "ports": { "http": scene.two.address().port() } }],
        } }],
    });
    scene
        .world
        .mesh
        .write("edited.json", &json.to_string())
        .unwrap();
    scene.world.mesh.remove("edited.yaml").unwrap();
    scene.is_at(&scene.two).await;
    scene.ends_well().await;
}

#[tokio::test]
async fn a_renamed_file_changes_nothing() {
    let scene = Scene::start().await;
    let (from, root) = (
        scene.world.mesh.path().join("edited.yaml"),
        scene.world.mesh.path(),
    );
    std::fs::create_dir(root.join("below")).unwrap();
    for to in ["renamed.yaml", "below/moved.yml"] {
        let from = if to.contains('/') {
            root.join("renamed.yaml")
        } else {
            from.clone()
        };
        std::fs::rename(from, root.join(to)).unwrap();
        assert_eq!(scene.sent_meanwhile().await, BTreeSet::new(), "{to}");
    }
    std::fs::write(root.join("below/moved.yml"), scene.edited(&[&scene.two])).unwrap();
    scene.is_at(&scene.two).await;
    scene.ends_well().await;
}

#[tokio::test]
async fn a_broken_file_keeps_what_was_good() {
    let scene = Scene::start().await;
    scene
        .world
        .mesh
        .write(
            "edited.yaml",
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: { name: edited\n",
        )
        .unwrap();
    let problem = scene.world.said_of("edited.yaml").await;
    assert!(problem.contains("edited.yaml:3"), "{problem}");
    assert_eq!(scene.sent_meanwhile().await, BTreeSet::new());
    answers(scene.via, "edited.test", "one").await;

    // One object of a file is wrong: the others follow.
    let other = free_address().unwrap();
    let wrong = scene.edited(&[&scene.two]).replace("STATIC", "STATICK");
    let both = format!(
        "{wrong}---\n{}",
        entry("other", other, &[&scene.two]).to_yaml()
    );
    scene.world.mesh.write("edited.yaml", &both).unwrap();
    answers(other, "other.test", "two").await;
    let problem = scene.world.said_of("\"name\":\"edited\"").await;
    assert!(
        problem.contains("resolution") && problem.contains("STATICK"),
        "{problem}"
    );
    answers(scene.via, "edited.test", "one").await;

    scene
        .world
        .mesh
        .write("edited.yaml", &both.replace("STATICK", "STATIC"))
        .unwrap();
    scene.is_at(&scene.two).await;
    scene.world.says_nothing_of("edited").await;
    scene.ends_well().await;
}

#[tokio::test]
async fn a_deleted_file_takes_its_services_away() {
    let scene = Scene::start().await;
    scene.world.mesh.remove("edited.yaml").unwrap();
    let cluster = format!("outbound|{}||edited.test", scene.via.port());
    has(&scene.envoy, "the cluster is gone", |holds| {
        !holds.clusters.contains_key(&cluster)
    })
    .await;
    scene
        .world
        .mesh
        .write("again.yaml", &scene.edited(&[&scene.two]))
        .unwrap();
    scene.is_at(&scene.two).await;
    scene.ends_well().await;
}

/// A root that vanishes says nothing: everything stays until it is back.
#[tokio::test]
async fn a_directory_that_vanishes_changes_nothing() {
    let scene = Scene::start().await;
    let (root, away) = (
        scene.world.mesh.path().to_owned(),
        scene.world.dir().join("away"),
    );
    std::fs::rename(&root, &away).unwrap();
    let problem = scene.world.said_of("mesh").await;
    assert!(!problem.is_empty());
    answers(scene.via, "edited.test", "one").await;
    assert_eq!(scene.relay.take_carried(), vec![]);

    std::fs::write(away.join("edited.yaml"), scene.edited(&[&scene.two])).unwrap();
    std::fs::rename(&away, &root).unwrap();
    scene.is_at(&scene.two).await;
    assert_eq!(
        scene.sent_meanwhile().await,
        [format!("outbound|{}||edited.test", scene.via.port())].into()
    );
    scene.ends_well().await;
}

/// Kubernetes mounts a ConfigMap as links to a link to a directory, and changes all files at once by replacing the link in the middle.
#[tokio::test]
async fn a_flipped_link_changes_all_its_files_at_once() {
    let scene = Scene::start().await;
    let mount = scene.world.mesh.path().join("mount");
    let mounted = |name: &str, backend: &Backend| {
        let dir = mount.join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("edited.yaml"), scene.edited(&[backend])).unwrap();
    };
    std::fs::create_dir(&mount).unwrap();
    mounted("..2026_01", &scene.one);
    symlink("..2026_01", mount.join("..data")).unwrap();
    symlink("..data/edited.yaml", mount.join("edited.yaml")).unwrap();
    scene.world.mesh.remove("edited.yaml").unwrap();
    scene.sent_meanwhile().await;
    answers(scene.via, "edited.test", "one").await;

    mounted("..2026_02", &scene.two);
    symlink("..2026_02", mount.join("..data_tmp")).unwrap();
    std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    std::fs::remove_dir_all(mount.join("..2026_01")).unwrap();
    scene.is_at(&scene.two).await;
    scene.ends_well().await;
}

impl World {
    /// Waits until the debug pages say something of this, and says what.
    async fn said_of(&self, what: &str) -> String {
        let said = async || {
            let said = self.status().await?;
            said.into_iter()
                .find(|said| said.contains(what))
                .with_context(|| format!("nothing is said of {what}"))
        };
        eventually("something is said", SOON, said).await.unwrap()
    }

    async fn says_nothing_of(&self, what: &str) {
        let silent = async || {
            let said = self
                .status()
                .await?
                .into_iter()
                .find(|said| said.contains(what));
            ensure!(said.is_none(), "{said:?}");
            Ok(())
        };
        eventually("nothing is said any longer", SOON, silent)
            .await
            .unwrap();
    }

    /// What is said of objects and sets, each as one text.
    async fn status(&self) -> Result<Vec<String>> {
        let configz = self.discovery.debug("/debug/configz").await?;
        let all = ["objects", "sets"].into_iter().flat_map(|part| {
            configz["status"][part]
                .as_array()
                .cloned()
                .unwrap_or_default()
        });
        // Everything that clients warn of themselves is of no interest here.
        Ok(all
            .filter(|said| {
                !said["status"]["warnings"]
                    .as_array()
                    .is_some_and(|warnings| !warnings.is_empty() && only_warnings(said))
            })
            .map(|said| said.to_string())
            .collect())
    }
}

fn only_warnings(said: &Value) -> bool {
    let empty = |value: &Value| {
        value.as_object().is_none_or(serde_json::Map::is_empty)
            && value.as_array().is_none_or(Vec::is_empty)
    };
    ["rejected", "lost", "refused"]
        .iter()
        .all(|key| empty(&said["status"][key]))
}

fn append(path: &Path, text: &str) {
    use std::io::Write;
    let mut file = std::fs::File::options().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
