//! `pilotctl`: ask and check.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use pilotctl::cli::{self, CommandLine};
use pilothouse_process::exit_code;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Whatever is printed here, a terminal that has gone is no reason to fail.
            let _ = error.print();
            return ExitCode::from(exit_code(&error));
        }
    };
    let (mut out, mut err) = (anstream::stdout(), anstream::stderr());
    let done = cli::run(line, &mut out, &mut err).await;
    let done = done.and_then(|code| Ok(out.flush().map(|()| code)?));
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(err, "pilotctl: {error:#}");
            ExitCode::from(cli::FAILED)
        }
    }
}

/// Whether whoever read the output, such as `head`, has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_one = |error: &io::Error| error.kind() == ErrorKind::BrokenPipe;
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_one))
}
