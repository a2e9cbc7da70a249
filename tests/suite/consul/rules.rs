//! `pilotctl apply`, `get` and `delete` on a real Consul, and what becomes of the rules in a discovery that reads them.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ::http::Method;
use anyhow::ensure;
use pilothouse_tests::consul::{Binary, Cluster};
use pilothouse_tests::discovery::{Discovery, build};
use pilothouse_tests::http;
use pilothouse_tests::wait::eventually;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::setting::discovery_on;
use crate::world::{SOON, Scratch};

const MASTER: &str = "5e5a0c1e-0000-4000-8000-000000000004";
const READER: &str = "5e5a0c1e-0000-4000-8000-000000000005";
const KEY: &str = "pilothouse/config/default/virtualservice/reviews";

fn route(weight: u32) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: reviews, namespace: default }}
spec:
  hosts: [reviews]
  http:
  - route:
    - {{ destination: {{ host: reviews }}, weight: {weight} }}
    - {{ destination: {{ host: ratings }}, weight: 50 }}
"
    )
}

const BAD: &str = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: bad, namespace: default }
spec: { host: reviews, trafficPolicy: { connectionPool: { tcp: { maxConnections: -1 } } } }
";

/// Whose store is asked, and with which token.
struct Store {
    address: SocketAddr,
    token: &'static str,
    dir: PathBuf,
}

/// What a command has said.
struct Said {
    is_success: bool,
    out: String,
    err: String,
}

async fn binary() -> &'static Path {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        let built = tokio::task::spawn_blocking(|| build("pilotctl", "pilotctl"));
        built.await.unwrap().unwrap()
    };
    BINARY.get_or_init(build).await
}

impl Store {
    /// Runs `pilotctl VERB --consul=... args`.
    async fn run(&self, verb: &str, args: &[&str]) -> Said {
        let mut command = Command::new(binary().await);
        command
            .arg(verb)
            .arg(format!("--consul={}", self.address))
            .args(args);
        command
            .env("CONSUL_HTTP_TOKEN", self.token)
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.unwrap().unwrap();
        Said {
            is_success: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Applies a text, and says what has come of it.
    async fn apply(&self, text: &str, more: &[&str]) -> Said {
        let file = self.dir.join("rules.yaml");
        std::fs::write(&file, text).unwrap();
        let args: Vec<&str> = ["-f", file.to_str().unwrap()]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        self.run("apply", &args).await
    }

    async fn applied(&self, text: &str, more: &[&str], expected: &str) {
        let said = self.apply(text, more).await;
        assert!(said.is_success, "{}", said.err);
        assert_eq!(said.out.trim(), expected);
    }

    async fn get(&self, args: &[&str]) -> String {
        let said = self.run("get", args).await;
        assert!(said.is_success, "{}", said.err);
        said.out
    }
}

async fn secured(dir: &Path) -> Cluster {
    let more = json!({"acl": {"enabled": true, "default_policy": "deny", "tokens": {"master": MASTER, "agent": MASTER}}});
    let binary = Binary::find().unwrap();
    let cluster = Cluster::of(1, &binary, "dc1", more, dir).await.unwrap();
    let cluster = cluster.with_token(MASTER);
    let commands: [([&str; 3], Vec<String>); 2] = [
        (
            ["acl", "policy", "create"],
            vec![
                "-name=read".into(),
                r#"-rules=key_prefix "" { policy = "read" }"#.into(),
            ],
        ),
        (
            ["acl", "token", "create"],
            vec!["-policy-name=read".into(), format!("-secret={READER}")],
        ),
    ];
    for (command, args) in commands {
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        eventually("the cluster has ACLs", SOON, async || {
            cluster.run(command, &args)
        })
        .await
        .unwrap();
    }
    cluster
}

/// Waits until discovery has the rule, or has none.
async fn discovered(discovery: &Discovery, weight: Option<u32>) {
    eventually(&format!("the rule says {weight:?}"), SOON, async || {
        let page = discovery.debug("/debug/configz").await?;
        let rules = page["rules"].to_string();
        match weight {
            Some(weight) => ensure!(rules.contains(&format!("\"weight\":{weight}")), "{rules}"),
            None => ensure!(!rules.contains("reviews"), "{rules}"),
        }
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn rules_are_written_shown_and_deleted() {
    let dir = Scratch::new();
    let cluster = secured(dir.path()).await;
    let store = |address, token| Store {
        address,
        token,
        dir: dir.path().to_owned(),
    };
    let token = dir.path().join("token");
    std::fs::write(&token, MASTER).unwrap();
    let flags = [("--consul-token-file", token.to_str().unwrap())];
    let discovery = discovery_on(&cluster, dir.path(), &flags).await;
    let owner = store(cluster.address(), MASTER);

    // Nothing is written while anything is wrong.
    let said = owner.apply(&format!("{}---\n{BAD}", route(50)), &[]).await;
    assert!(!said.is_success);
    assert!(
        said.err.contains("maxConnections") && said.err.contains("nothing is written"),
        "{}",
        said.err
    );
    let none = owner.run("get", &[]).await;
    assert!(!none.is_success && none.err.contains("nothing is there"));

    const NAME: &str = "VirtualService default/reviews";
    let said = |what: &str| format!("{NAME} {what}");
    owner
        .applied(&route(50), &["--dry-run"], &said("created (not written)"))
        .await;
    owner.applied(&route(50), &[], &said("created")).await;
    owner.applied(&route(50), &[], &said("unchanged")).await;
    discovered(&discovery, Some(50)).await;
    let table = owner.get(&[]).await;
    assert!(table.contains(KEY), "{table}");
    let before = owner
        .get(&["virtualservice", "reviews", "-o", "json"])
        .await;
    let created = |json: &str| -> serde_json::Value {
        let document: serde_json::Value = serde_json::from_str(json).unwrap();
        document["metadata"]["creationTimestamp"].clone()
    };
    owner.applied(&route(70), &[], &said("configured")).await;
    discovered(&discovery, Some(70)).await;
    let json = owner.get(&["-o", "json"]).await;
    assert_eq!(created(&json), created(&before), "it keeps its age");
    let yaml = owner.get(&["-n", "default", "-o", "yaml"]).await;
    for text in [json, yaml] {
        owner.applied(&text, &[], &said("unchanged")).await;
    }

    // One who may not write is told so.
    let reader = store(cluster.address(), READER);
    let denied = reader.apply(&route(10), &[]).await;
    assert!(!denied.is_success);
    for part in [NAME, "403", "Permission denied"] {
        assert!(denied.err.contains(part), "{}", denied.err);
    }
    let denied = reader.run("delete", &["VirtualService", "reviews"]).await;
    assert!(
        !denied.is_success && denied.err.contains("403"),
        "{}",
        denied.err
    );

    // Somebody else writes between reading and writing.
    let meddling = Meddling::with(cluster.address()).await;
    let conflict = store(meddling.address, MASTER).apply(&route(20), &[]).await;
    assert!(!conflict.is_success);
    let told = "was written by somebody else meanwhile";
    assert!(conflict.err.contains(told), "{}", conflict.err);
    let key = cluster.get(&format!("/v1/kv/{KEY}")).await.unwrap();
    assert_eq!(key[0]["Value"], serde_json::Value::Null, "theirs is there");

    discovered(&discovery, None).await;
    // What they wrote is no object; it is taken away.
    let args = [KEY].map(OsStr::new);
    cluster.run(["kv", "delete"], &args).unwrap();
    owner.applied(&route(30), &[], &said("created")).await;
    discovered(&discovery, Some(30)).await;
    let args = ["virtualservice", "reviews"];
    let deleted = owner.run("delete", &args).await;
    assert_eq!(deleted.out.trim(), said("deleted"), "{}", deleted.err);
    discovered(&discovery, None).await;
    let again = owner.run("delete", &args).await;
    let told = "VirtualService default/reviews is not below pilothouse/config/";
    assert!(
        !again.is_success && again.err.contains(told),
        "{}",
        again.err
    );
}

/// A way to a cluster on which whoever writes the key finds that somebody else has just done so.
struct Meddling {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Meddling {
    async fn with(cluster: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(cluster).await.unwrap();
                carried.spawn(carry(near, far, cluster));
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }
}

async fn carry(near: TcpStream, far: TcpStream, cluster: SocketAddr) {
    let ((mut from, mut to_near), (mut from_far, mut to)) = (near.into_split(), far.into_split());
    let asked = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from.read(&mut buffer).await?;
            let part = buffer.get(..read).unwrap_or_default();
            if part.is_empty() {
                return std::io::Result::Ok(());
            }
            if part.starts_with(b"PUT ") {
                let path = format!("/v1/kv/{KEY}?token={MASTER}");
                let host = cluster.to_string();
                let answer = http::send(Method::PUT, cluster, &host, &path, SOON).await;
                assert_eq!(answer.unwrap().status, 200);
            }
            to.write_all(part).await?;
        }
    };
    let answered = copy(&mut from_far, &mut to_near);
    // Whoever hangs up ends it.
    tokio::select! {
        _ = asked => {}
        _ = answered => {}
    }
}
