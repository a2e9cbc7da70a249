//! `make demo`: files, discovery, real Envoys, and requests that flow while the files change.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use pilothouse_tests::demo;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs the example mesh on loopback and changes it while requests flow.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Cli {
    /// Leaves it running at the end and says what to try.
    #[arg(long)]
    keep: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let (Ok(interrupt), Ok(terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        writeln!(err, "demo: signals cannot be listened for").ok();
        return ExitCode::FAILURE;
    };
    // Leaving drops every process that was started, and the work directory.
    tokio::select! {
        outcome = demo::run(cli.keep, &mut out) => match outcome {
            Ok(demo::Outcome { failed: 0, .. }) => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => {
                writeln!(err, "demo: {error:#}").ok();
                ExitCode::FAILURE
            }
        },
        () = any(interrupt, terminate) => {
            writeln!(err, "\nstopped; everything that was started has ended").ok();
            // Leaving a demo that was kept is no failure.
            ExitCode::from(if cli.keep { 0 } else { 130 })
        }
    }
}

async fn any(mut one: Signal, mut other: Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
