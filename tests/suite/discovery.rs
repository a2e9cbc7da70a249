//! The control plane within this process: files in, resources on an ADS stream out, and what its pages say of that.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use ::http::Method;
use anyhow::{Result, ensure};
use pilot_discovery::app::{Addresses, App};
use pilot_discovery::config::{self, Command};
use pilothouse_process::logging::{self, Control};
use pilothouse_tests::ads::{CLUSTER, DeltaClient, ENDPOINT, LISTENER, node};
use pilothouse_tests::http;
use pilothouse_tests::mesh_dir::{MeshDir, ServiceEntry};
use pilothouse_tests::wait::eventually;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(10);
const NODE: &str = "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local";

/// A control plane on ports of its own choice.
struct Plane {
    mesh: MeshDir,
    dir: TempDir,
    at: Addresses,
    stop: CancellationToken,
    running: JoinSet<Result<()>>,
}

impl Plane {
    async fn start(flags: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let mesh = MeshDir::create(dir.path()).unwrap();
        mesh.write_entry(&reviews("10.0.0.9:9080")).unwrap();
        let mesh_path = mesh.path().display().to_string();
        let mut line = vec!["pilot-discovery", "discovery", "--config-dir", &mesh_path];
        for flag in [
            "--grpc-addr",
            "--http-addr",
            "--monitoring-addr",
            "--debug-addr",
        ] {
            line.extend([flag, "127.0.0.1:0"]);
        }
        let flags: Vec<_> = flags
            .iter()
            .map(|flag| flag.replace("DIR", &dir.path().display().to_string()))
            .collect();
        line.extend(flags.iter().map(String::as_str));
        let Ok(Command::Discovery(config)) = config::parse(line) else {
            panic!("these flags are wrong: {flags:?}");
        };
        let app = App::bind(*config, log()).await.unwrap();
        let at = app.addresses().unwrap();
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(app.run(stop.clone()));
        Self {
            mesh,
            dir,
            at,
            stop,
            running,
        }
    }

    async fn client(&self) -> DeltaClient {
        let metadata = [
            ("NAMESPACE", "shop"),
            ("INTERCEPTION_MODE", "NONE"),
            ("CLUSTER_ID", "default"),
        ];
        DeltaClient::connect(self.at.grpc, node(NODE, &metadata))
            .await
            .unwrap()
    }

    /// A client once it is served.
    async fn ready_client(&self) -> DeltaClient {
        eventually("it is ready", SOON, async || {
            let (status, body) = self.public("/ready").await?;
            ensure!(status == 200, "{body}");
            Ok(())
        })
        .await
        .unwrap();
        self.client().await
    }

    async fn public(&self, path: &str) -> Result<(u16, String)> {
        let answer = http::get(self.at.http[0], "localhost", path, SOON).await?;
        Ok((answer.status, answer.body))
    }

    async fn debug(&self, path: &str) -> Value {
        http::get_json(self.debug_address(), path, SOON)
            .await
            .unwrap()
    }

    fn debug_address(&self) -> SocketAddr {
        self.at.debug.unwrap()
    }

    /// What `/debug/syncz` says of a type.
    async fn sync(&self, short: &str) -> Value {
        let page = self.debug("/debug/syncz?proxyID=web-1.shop").await;
        let types = page[0]["types"].as_array().cloned().unwrap_or_default();
        types
            .into_iter()
            .find(|of| of["type"] == short)
            .unwrap_or_default()
    }

    async fn end(mut self) {
        self.stop.cancel();
        self.running.join_next().await.unwrap().unwrap().unwrap();
    }
}

/// One log for all tests of this program; its levels are nobody's business here.
fn log() -> Control {
    static CONTROL: LazyLock<Control> = LazyLock::new(|| {
        let Ok(Command::Discovery(config)) = config::parse([
            "pilot-discovery",
            "discovery",
            "--config-dir",
            ".",
            "--log_target",
            "/dev/null",
        ]) else {
            panic!("these flags are right");
        };
        logging::install(&config.log).unwrap()
    });
    CONTROL.clone()
}

fn reviews(endpoint: &str) -> ServiceEntry {
    ServiceEntry::http("reviews", "reviews.test", 9080).endpoint(endpoint.parse().unwrap())
}

const REVIEWS: &str = "outbound|9080||reviews.test";

#[tokio::test]
async fn files_become_resources_and_pages_explain_them() {
    let plane = Plane::start(&[]).await;
    let mut client = plane.ready_client().await;
    client.subscribe(CLUSTER, &[]).unwrap();
    let clusters = client.accept(CLUSTER).await.unwrap();
    assert!(
        clusters
            .resources
            .iter()
            .any(|cluster| cluster.name == REVIEWS),
        "{clusters:?}"
    );
    client.subscribe(ENDPOINT, &[REVIEWS]).unwrap();
    client.accept(ENDPOINT).await.unwrap();

    eventually("the page says so", SOON, async || {
        let (cds, eds) = (plane.sync("cds").await, plane.sync("eds").await);
        ensure!(
            cds["status"] == "SYNCED" && eds["status"] == "SYNCED",
            "{cds} {eds}"
        );
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(plane.sync("lds").await["status"], "NOT SENT");

    let dump = plane.debug("/debug/config_dump?proxyID=web-1.shop").await;
    let names: Vec<_> = dump["configs"][0]["dynamic_active_clusters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["cluster"]["name"].as_str().unwrap_or_default())
        .collect();
    assert!(names.contains(&REVIEWS), "{names:?}");

    let origin = plane
        .debug("/debug/resourcez?type=cds&name=outbound%7C9080%7C%7Creviews.test")
        .await;
    let object = &origin[0]["causes"][0]["objects"][0];
    assert!(
        object["object"]
            .as_str()
            .unwrap()
            .starts_with("ServiceEntry "),
        "{origin}"
    );
    assert!(
        object["origin"].as_str().unwrap().contains(".yaml:"),
        "{origin}"
    );

    plane.mesh.write_entry(&reviews("10.0.0.10:9080")).unwrap();
    let moved = client.accept(ENDPOINT).await.unwrap();
    assert_eq!(moved.resources[0].name, REVIEWS);
    let endpoints = plane.debug("/debug/endpointz?host=reviews.test").await;
    assert_eq!(endpoints[0]["endpoints"][0]["addresses"][0], "10.0.0.10");
    let (_, metrics) = plane.public("/metrics").await.unwrap();
    assert!(metrics.contains("\npilot_services 1\n"), "{metrics}");
    plane.end().await;
}

#[tokio::test]
async fn a_refusal_names_the_object_and_its_file() {
    let plane = Plane::start(&[]).await;
    let mut client = plane.ready_client().await;
    client.subscribe(CLUSTER, &[]).unwrap();
    let clusters = client.expect(CLUSTER).await.unwrap();
    client
        .nack(
            &clusters,
            &format!("Error adding/updating cluster(s) {REVIEWS}: is bad"),
        )
        .unwrap();
    eventually("the page says so", SOON, async || {
        let cds = plane.sync("cds").await;
        ensure!(cds["status"] == "ERROR", "{cds}");
        let refused = &cds["refused"][0];
        ensure!(refused["name"] == REVIEWS, "{cds}");
        ensure!(
            refused["message"]
                .as_str()
                .is_some_and(|text| text.contains("is bad")),
            "{cds}"
        );
        let object = &refused["causes"][0]["objects"][0];
        ensure!(
            object["origin"]
                .as_str()
                .is_some_and(|at| at.contains(".yaml:")),
            "{cds}"
        );
        let status = plane.debug("/debug/configz").await["status"].to_string();
        ensure!(status.contains("is bad"), "{status}");
        Ok(())
    })
    .await
    .unwrap();
    drop(client);
    eventually("a proxy that has gone refuses nothing", SOON, async || {
        let status = plane.debug("/debug/configz").await["status"].to_string();
        ensure!(!status.contains("is bad"), "{status}");
        Ok(())
    })
    .await
    .unwrap();
    plane.end().await;
}

#[tokio::test]
async fn nothing_is_served_before_mesh_config_is_good() {
    let plane = Plane::start(&["--mesh-config", "DIR/mesh-config.yaml"]).await;
    let file = plane.dir.path().join("mesh-config.yaml");
    std::fs::write(&file, "outboundTrafficPolicy: [").unwrap();
    eventually("it waits for the file", SOON, async || {
        let (status, body) = plane.public("/ready").await?;
        ensure!(status == 503, "{status}");
        let body: Value = serde_json::from_str(&body)?;
        let waiting = body["waiting"].as_array().cloned().unwrap_or_default();
        ensure!(
            waiting.len() == 1
                && waiting[0]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .contains("mesh-config.yaml"),
            "{body}"
        );
        Ok(())
    })
    .await
    .unwrap();
    let mut early = plane.client().await;
    early.subscribe(CLUSTER, &[]).unwrap();
    let refused = early.next().await.unwrap_err().to_string();
    assert!(refused.contains("mesh-config.yaml"), "{refused}");

    std::fs::write(&file, "outboundTrafficPolicy: {mode: REGISTRY_ONLY}").unwrap();
    let mut client = plane.ready_client().await;
    client.subscribe(LISTENER, &[]).unwrap();
    client.accept(LISTENER).await.unwrap();
    assert_eq!(
        plane.debug("/debug/configz").await["mesh_config"]["settings"]["outbound"],
        "REGISTRY_ONLY"
    );

    std::fs::write(&file, "outboundTrafficPolicy: {mode: SOME}").unwrap();
    eventually("the page says what is wrong", SOON, async || {
        let config = &plane.debug("/debug/configz").await["mesh_config"];
        ensure!(
            config["settings"]["outbound"] == "REGISTRY_ONLY",
            "{config}"
        );
        ensure!(
            config["file"]["problems"][0]
                .as_str()
                .is_some_and(|text| text.contains("mode")),
            "{config}"
        );
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(plane.public("/ready").await.unwrap().0, 200);
    plane.end().await;
}

#[tokio::test]
async fn changes_are_no_get_and_come_from_no_web_page() {
    let plane = Plane::start(&[]).await;
    let address = plane.debug_address();
    let levels = async || plane.debug("/debug/logging").await;
    let before = levels().await;
    let send = async |method: Method, host: &str, path: &str| {
        http::send(method, address, host, path, SOON)
            .await
            .unwrap()
            .status
    };
    assert_eq!(
        send(Method::GET, "localhost", "/debug/logging?level=ads:debug").await,
        200
    );
    assert_eq!(
        send(
            Method::PUT,
            "evil.example",
            "/debug/logging?level=ads:debug"
        )
        .await,
        403
    );
    assert_eq!(
        send(Method::PUT, "localhost", "/debug/logging?level=adz:debug").await,
        400
    );
    assert_eq!(levels().await, before);
    assert_eq!(
        send(Method::PUT, "localhost", "/debug/logging?level=ads:debug").await,
        200
    );
    assert_ne!(levels().await, before);
    assert_eq!(
        send(
            Method::POST,
            "localhost",
            "/debug/guard/confirm?registry=Static/default"
        )
        .await,
        200
    );
    assert_eq!(
        send(
            Method::POST,
            "localhost",
            "/debug/guard/confirm?registry=Nobody"
        )
        .await,
        404
    );
    assert_eq!(
        send(Method::GET, "localhost", "/debug/guard/confirm").await,
        405
    );
    for page in plane.debug("/debug").await.as_array().unwrap() {
        let path = page["path"].as_str().unwrap();
        assert_eq!(plane.public(path).await.unwrap().0, 404, "{path} is public");
    }
    plane.end().await;
}

#[tokio::test]
async fn a_stop_lets_proxies_go() {
    let plane = Plane::start(&["--shutdown-duration", "1s"]).await;
    let mut client = plane.ready_client().await;
    client.subscribe(CLUSTER, &[]).unwrap();
    client.accept(CLUSTER).await.unwrap();
    plane.stop.cancel();
    let ended = client.next().await.unwrap_err().to_string();
    assert!(ended.contains("shutting down"), "{ended}");
    plane.end().await;
}
