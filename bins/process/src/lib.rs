//! What every binary does because it is a process: flags as Istio's users write them, log lines, signals, sockets, pages,
//! tasks, version.
//!
//! Nothing here knows what a mesh is.

pub mod collateral;
pub mod http;
pub mod inert;
pub mod listen;
pub mod logging;
pub mod signals;
pub mod tasks;
pub mod value;
pub mod version;

use std::error::Error;

use clap::ArgMatches;
use clap::parser::ValueSource;

/// What a process exits with when its command line is wrong (`EX_USAGE`).
pub const USAGE: u8 = 64;

/// What to exit with when a command line was not understood, or asked for help: 0 for help, else [`USAGE`].
pub fn exit_code(error: &clap::Error) -> u8 {
    if error.use_stderr() { USAGE } else { 0 }
}

/// What an error says, and what has caused it, in one line.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Whether a flag was given on the command line.
pub fn given(matches: &ArgMatches, flag: &str) -> bool {
    matches.value_source(flag) == Some(ValueSource::CommandLine)
}
