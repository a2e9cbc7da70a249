//! `pilot-discovery`: parse, bind, run until a signal, drain.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use pilot_discovery::app::App;
use pilot_discovery::config::{self, Command, Config};
use pilothouse_process::signals::Signals;
use pilothouse_process::{collateral, exit_code, logging, version};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    // Whatever is printed here, a terminal that has gone is no reason to fail.
    match config::parse(std::env::args_os()) {
        Err(error) => {
            let _ = error.print();
            ExitCode::from(exit_code(&error))
        }
        Ok(Command::Version(args)) => {
            let _ = writeln!(io::stdout(), "{}", version::text("pilot-discovery", &args));
            ExitCode::SUCCESS
        }
        Ok(Command::Completion(args)) => {
            let script = collateral::completion(args.shell, config::grammar());
            let _ = io::stdout().write_all(&script);
            ExitCode::SUCCESS
        }
        Ok(Command::Collateral(args)) => ended(collateral::write(&args, &config::grammar())),
        Ok(Command::Discovery(config)) => ended(serve(*config)),
    }
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "pilot-discovery: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve(config: Config) -> Result<()> {
    let log = logging::install(&config.log).context("--log_target")?;
    let stop = CancellationToken::new();
    let signals = Signals::new()?;
    let app = App::bind(config, log).await?;
    tokio::select! {
        result = app.run(stop.clone()) => result,
        signal = signals.ask_then_end(stop) => bail!("ended at once by a second signal, {signal}"),
    }
}
