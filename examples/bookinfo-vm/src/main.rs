//! A service of the example mesh: answers its name, and below it what the services answered that it calls through its sidecar.
//!
//! ```text
//! bookinfo-vm NAME VERSION LISTEN [--sidecar ADDRESS] [URL ...]
//! ```
//!
//! Every URL is asked anew for every request, one after the other. With `--sidecar` they go to the sidecar's HTTP proxy port, as
//! they would with `http_proxy` set; without it straight to their host.

mod args;
mod service;
mod upstream;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Args;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    #[expect(
        clippy::print_stderr,
        reason = "a program without a log says there why it ends"
    )]
    let fail = |text: String, code: u8| {
        eprintln!("{text}");
        ExitCode::from(code)
    };
    match Args::parse(std::env::args().skip(1)) {
        Err(usage) => fail(usage, 64),
        Ok(args) => match run(args).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(format!("bookinfo-vm: {error:#}"), 1),
        },
    }
}

/// Serves until it is asked to end; requests that are under way are answered.
async fn run(args: Args) -> Result<()> {
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("binding {}", args.listen))?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    service::serve(listener, Arc::new(args), stop).await;
    Ok(())
}
