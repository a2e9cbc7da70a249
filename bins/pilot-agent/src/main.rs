//! `pilot-agent`: the process beside every Envoy.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use pilot_agent::app::App;
use pilot_agent::config::{self, Client, Command, Config, Failure, Surroundings};
use pilot_agent::{bootstrap, iptables};
use pilothouse_process::signals::Signals;
use pilothouse_process::{collateral, exit_code, logging, version};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    // Whatever is printed here, a terminal that has gone is no reason to fail.
    let command = match config::parse(std::env::args_os(), &Surroundings::of_this_process()) {
        Ok(command) => command,
        Err(Failure::Usage(error)) => {
            let _ = error.print();
            return ExitCode::from(exit_code(&error));
        }
        Err(Failure::Source(problem)) => return fail(problem),
    };
    let done = match command {
        Command::Proxy(config) => proxy(*config).map(ExitCode::from),
        Command::Bootstrap(config, client) => show(&config, client).map(print),
        Command::Version(args) => Ok(print(version::text("pilot-agent", &args) + "\n")),
        Command::Iptables(args) => logged().and_then(|()| iptables::run(&args)).map(success),
        Command::CleanIptables(args) => logged().and_then(|()| iptables::clean(&args)).map(success),
        Command::Request(args) => alone(args.run()).map(success),
        Command::Wait(args) => alone(args.run()).map(success),
        Command::Completion(args) => {
            let script = collateral::completion(args.shell, config::grammar());
            Ok(print(String::from_utf8_lossy(&script).into_owned()))
        }
        Command::Collateral(args) => collateral::write(&args, &config::grammar()).map(success),
        Command::Exec(exec) => Err(exec.run().into()),
    };
    done.unwrap_or_else(|error| fail(format!("{error:#}")))
}

#[tokio::main]
async fn proxy(config: Config) -> Result<u8> {
    logging::install(&config.log).context("--log_target")?;
    let stop = CancellationToken::new();
    let signals = Signals::new()?;
    let app = App::bind(config, stop.clone()).await?;
    tokio::select! {
        result = app.run() => result,
        signal = signals.ask_then_end(stop) => bail!("ended at once by a second signal, {signal}"),
    }
}

/// The bootstrap, and on standard error what the operator should know.
fn show(config: &Config, client: Client) -> Result<String> {
    logged()?;
    config.warn();
    bootstrap::text(config, client)
}

/// Waits for what needs no more than one thread.
fn alone<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

/// Log lines of a command that prints: to standard error.
fn logged() -> Result<()> {
    logging::install(&logging::Options::of_a_command())?;
    Ok(())
}

fn success<T>(_: T) -> ExitCode {
    ExitCode::SUCCESS
}

fn print(text: String) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(problem: impl Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "pilot-agent: {problem}");
    ExitCode::FAILURE
}
