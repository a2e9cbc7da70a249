//! How Envoy runs, and how it is let go.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use pilothouse_process::value::duration;

use super::Problem;
use crate::config::args::EnvoyArgs;
use crate::config::proxy_config::ProxyConfig;
use crate::config::surroundings::Surroundings;
use crate::config::{DrainConfig, Source};

/// Connections are counted unless the environment says that they are not: then the time is fixed, as in the original.
pub(super) fn drain(
    args: &EnvoyArgs,
    layers: &ProxyConfig,
    drain_duration: Duration,
    around: &Surroundings,
) -> Result<DrainConfig, String> {
    let seconds = around
        .parse("TERMINATION_DRAIN_DURATION_SECONDS")?
        .map(Duration::from_secs);
    let given = args
        .termination_drain_duration
        .or(seconds)
        .or(layers.termination_drain_duration);
    let usual = Duration::from_secs(5);
    if around.switch("EXIT_ON_ZERO_ACTIVE_CONNECTIONS")? == Some(false) {
        let fixed = given.unwrap_or(usual);
        return Ok(DrainConfig {
            at_least: fixed,
            at_most: fixed,
        });
    }
    let at_most = given.unwrap_or(drain_duration);
    let at_least = around.read("MINIMUM_DRAIN_DURATION", duration)?;
    Ok(DrainConfig {
        at_least: at_least.unwrap_or(usual).min(at_most),
        at_most,
    })
}

/// 0 is one thread per core; what is not said is as much as the cgroup lets run.
pub(super) fn concurrency(
    args: &EnvoyArgs,
    layers: &ProxyConfig,
    around: &Surroundings,
) -> Result<Option<u32>, String> {
    let said = match args.concurrency.or(layers.concurrency) {
        Some(said) => Some(said),
        None => around.parse("ISTIO_CPU_LIMIT")?.or(around.cpus),
    };
    Ok(said.filter(|threads| *threads != 0))
}

/// A level of Envoy's log, in any of the words that either project has for it.
pub(super) fn envoy_level(text: &str) -> Result<String, String> {
    match text {
        "warn" => Ok("warning".to_owned()),
        "trace" | "debug" | "info" | "warning" | "error" | "critical" | "off" => {
            Ok(text.to_owned())
        }
        _ => Err(format!(
            "--proxy-log-level {text}: the levels are trace, debug, info, warning, error, critical and off"
        )),
    }
}

pub(super) fn source(args: &EnvoyArgs, layers: &ProxyConfig) -> Source {
    let custom: Option<PathBuf> = args
        .custom_config_file
        .clone()
        .or_else(|| layers.custom_config_file.clone());
    match (&args.template_file, custom) {
        (Some(file), _) => Source::Template {
            file: file.clone(),
            without_telemetry: args.disable_internal_telemetry,
        },
        (None, Some(file)) => Source::File(file),
        (None, None) => Source::Own,
    }
}

/// Read here, because Envoy takes it on its command line.
pub(super) fn overlay(around: &Surroundings) -> Result<Option<String>, Problem> {
    around
        .get("ISTIO_BOOTSTRAP_OVERRIDE")
        .map(|path| {
            fs::read_to_string(path).map_err(|error| {
                Problem::Source(format!(
                    "the environment's ISTIO_BOOTSTRAP_OVERRIDE={path}: {error}"
                ))
            })
        })
        .transpose()
}
