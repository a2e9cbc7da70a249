//! The flags of logs.

use clap::Args;
use tracing::level_filters::LevelFilter;

use super::{Levels, Options, Target};

/// How the process logs, in Istio's spelling.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// Levels by scope, such as default:debug,ads:info.
    #[arg(
        long = "log_output_level",
        alias = "log-output-level",
        default_value = "default:info",
        value_name = "SCOPE:LEVEL,.."
    )]
    pub output_level: String,

    /// Levels at which a line carries a stack trace.
    #[arg(
        long = "log_stacktrace_level",
        alias = "log-stacktrace-level",
        default_value = "default:none",
        value_name = "SCOPE:LEVEL,.."
    )]
    pub stacktrace_level: String,

    /// Lines of JSON.
    #[arg(
        long = "log_as_json",
        alias = "log-as-json",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    pub as_json: bool,

    /// Where lines go: stdout, stderr, paths of files.
    #[arg(
        long = "log_target",
        alias = "log-target",
        value_delimiter = ',',
        default_value = "stdout",
        value_name = "TARGET,.."
    )]
    pub target: Vec<String>,
}

impl LogArgs {
    /// What they mean together.
    ///
    /// # Errors
    /// A scope or level is unknown; the text names the flag.
    pub fn options(&self) -> Result<Options, String> {
        let levels = |flag: &str, base: LevelFilter, list: &str| {
            Levels::all(base)
                .with(list)
                .map_err(|problem| format!("--{flag} {list}: {problem}"))
        };
        Ok(Options {
            output: levels("log_output_level", LevelFilter::INFO, &self.output_level)?,
            stack: levels(
                "log_stacktrace_level",
                LevelFilter::OFF,
                &self.stacktrace_level,
            )?,
            json: self.as_json,
            targets: self
                .target
                .iter()
                .map(|target| Target::from(target.as_str()))
                .collect(),
        })
    }
}
