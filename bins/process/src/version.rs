//! Which build this is.

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

/// Flags of `version`.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Only the version number.
    #[arg(short, long)]
    pub short: bool,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A line.
    Text,
    /// An object.
    Json,
}

/// Which build this is.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Version {
    /// The package's version.
    pub version: &'static str,
    /// The version of Envoy whose API is compiled in.
    pub envoy_api: &'static str,
    /// What it was built for.
    pub platform: &'static str,
    /// Whether it was built with optimisation.
    pub profile: &'static str,
}

/// This build.
pub const VERSION: Version = Version {
    version: env!("CARGO_PKG_VERSION"),
    envoy_api: "1.39",
    platform: std::env::consts::ARCH,
    profile: if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    },
};

/// What `version` of the binary `name` prints.
pub fn text(name: &str, args: &VersionArgs) -> String {
    match args.output {
        _ if args.short => VERSION.version.to_owned(),
        Output::Json => json!(VERSION).to_string(),
        Output::Text => format!(
            "{name} {} ({}, {}, API of Envoy {})",
            VERSION.version, VERSION.platform, VERSION.profile, VERSION.envoy_api
        ),
    }
}
