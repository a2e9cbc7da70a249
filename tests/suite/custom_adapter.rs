//! The example of an adapter of one's own, as a process.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use pilothouse_tests::ads::{CLUSTER, DeltaClient, ENDPOINT, node};
use pilothouse_tests::discovery::build;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::process::Process;
use tempfile::TempDir;

const NODE: &str = "sidecar~10.0.0.1~web-1.default~default.svc.cluster.local";
const REVIEWS: &str = "outbound|9080||reviews.shop";

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_file_is_served_to_proxies() {
    let work = TempDir::new().unwrap();
    let file = work.path().join("services.csv");
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/custom-adapter/services.csv");
    std::fs::copy(&example, &file).unwrap();
    let address = free_address().unwrap();
    let binary = build("custom-adapter", "custom-adapter").unwrap();
    let mut command = Command::new(binary);
    command.arg(&file).arg(address.to_string());
    let mut process =
        Process::spawn("custom-adapter", &mut command, &work.path().join("log")).unwrap();

    let connect = async || -> Result<DeltaClient> {
        let mut client =
            DeltaClient::connect(address, node(NODE, &[("NAMESPACE", "default")])).await?;
        client.subscribe(CLUSTER, &[])?;
        let clusters = client.accept(CLUSTER).await?;
        anyhow::ensure!(
            clusters
                .resources
                .iter()
                .any(|cluster| cluster.name == REVIEWS)
        );
        Ok(client)
    };
    let mut client = process
        .until("it serves the file", Duration::from_secs(20), connect)
        .await
        .unwrap();
    client.subscribe(ENDPOINT, &[REVIEWS]).unwrap();
    let before = client.accept(ENDPOINT).await.unwrap();

    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("reviews.shop,9080,http,127.0.0.2\n", ""),
    )
    .unwrap();
    let after = client.accept(ENDPOINT).await.unwrap();
    let size =
        |response: &envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse| {
            response.resources[0]
                .resource
                .as_ref()
                .map_or(0, |any| any.value.len())
        };
    assert!(size(&after) < size(&before), "an endpoint has gone");
    process.terminate(Duration::from_secs(10)).await.unwrap();
}
