//! `custom-adapter FILE ADDRESS`: discovery for Envoy from a CSV file.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::{Context, Result};
use custom_adapter::{ControlPlane, CsvRegistry};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(file), Some(address), None) = (args.next(), args.next(), args.next()) else {
        anyhow::bail!("usage: custom-adapter FILE ADDRESS, such as services.csv 127.0.0.1:15010");
    };
    let address = address
        .parse()
        .with_context(|| format!("{address:?} is no address"))?;
    let plane = ControlPlane::bind(Arc::new(CsvRegistry::new(&file)), address)?;
    let _ = writeln!(io::stderr(), "serving {file} on {}", plane.address());
    let stop = CancellationToken::new();
    let mut running = std::pin::pin!(plane.run(stop.clone()));
    tokio::select! {
        ended = &mut running => return ended,
        interrupted = tokio::signal::ctrl_c() => interrupted.context("waiting for Ctrl-C")?,
    }
    stop.cancel();
    running.await
}
