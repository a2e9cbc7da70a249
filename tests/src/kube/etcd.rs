//! What keeps a cluster's objects.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ::http::Request;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::Programs;
use crate::http;
use crate::ports::free_address;
use crate::process::Process;

const PATIENCE: Duration = Duration::from_secs(30);
/// How many writes are under way at a time.
const CONNECTIONS: usize = 8;

type Pool = Client<HttpConnector, Full<Bytes>>;

/// Starts it; the API server waits for it.
pub(super) fn start(programs: &Programs, address: SocketAddr, dir: &Path) -> Result<Process> {
    let (client, peer) = (
        format!("http://{address}"),
        format!("http://{}", free_address()?),
    );
    let mut command = Command::new(programs.path("etcd"));
    command
        .arg("--data-dir")
        .arg(dir.join("etcd"))
        .args(["--listen-client-urls", &client])
        .args(["--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer])
        .args(["--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}")])
        // A test's objects need not outlive a power cut.
        .arg("--unsafe-no-fsync");
    Process::spawn("etcd", &mut command, &dir.join("etcd.log"))
}

/// Forgets every version but the present one, and returns its revision.
pub(super) async fn compact(address: SocketAddr) -> Result<u64> {
    // Any key does: the answer's header has the revision. Keys are in base64.
    let answer = ask(address, "/v3/kv/range", &json!({"key": "AA=="})).await?;
    let revision = answer["header"]["revision"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .with_context(|| format!("etcd says no revision: {answer}"))?;
    let request = json!({"revision": format!("{revision}"), "physical": true});
    ask(address, "/v3/kv/compaction", &request).await?;
    Ok(revision)
}

/// Writes each of these, as one revision each: the API server and its clients take those of one revision for one event.
pub(super) async fn write(address: SocketAddr, puts: Vec<Value>) -> Result<()> {
    let client: Pool = Client::builder(TokioExecutor::new()).build_http();
    stream::iter(puts.into_iter().map(Ok))
        .try_for_each_concurrent(CONNECTIONS, async |put| {
            let request = Request::post(format!("http://{address}/v3/kv/put"))
                .body(Full::from(put.to_string()))?;
            let answer = client.request(request).await.context("writing to etcd")?;
            let status = answer.status();
            // Read to its end, so that the connection is used again.
            let body = answer.into_body().collect().await?.to_bytes();
            ensure!(
                status == 200,
                "etcd answers {status}: {}",
                String::from_utf8_lossy(&body)
            );
            Ok(())
        })
        .await
}

async fn ask(address: SocketAddr, path: &str, request: &Value) -> Result<Value> {
    http::post_json(address, path, request, PATIENCE).await
}
