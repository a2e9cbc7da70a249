//! What keeps a cluster's objects.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Programs;
use crate::http;
use crate::ports::free_address;
use crate::process::Process;

const PATIENCE: Duration = Duration::from_secs(30);

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

/// Writes in one transaction.
pub(super) async fn write(address: SocketAddr, puts: &[Value]) -> Result<()> {
    ask(address, "/v3/kv/txn", &json!({"success": puts})).await?;
    Ok(())
}

async fn ask(address: SocketAddr, path: &str, request: &Value) -> Result<Value> {
    http::post_json(address, path, request, PATIENCE).await
}
