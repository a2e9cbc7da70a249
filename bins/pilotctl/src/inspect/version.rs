//! `version`: of this program, of discovery, and of the Envoys that are connected to it.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result};
use clap::{ArgAction, Args};
use pilothouse_process::version::VERSION;
use serde::Serialize;
use serde_json::{Value, json};

use super::Output;
use super::json::{list, text};
use super::peer::Peer;
use super::table::visible;

/// Show the versions of this program, of the control plane and of the proxies.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl version\n  pilotctl version --short --discovery 10.0.0.2:9876\n  pilotctl version --client -o json"
)]
pub struct VersionArgs {
    /// Only version numbers.
    #[arg(short, long)]
    pub short: bool,
    /// Only of this program; asks nobody.
    #[arg(long)]
    pub client: bool,
    /// Also of the control plane and the proxies.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub remote: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Prints versions. This program's comes first, and comes also when discovery cannot be asked.
///
/// # Errors
/// Discovery does not answer.
pub async fn run(args: &VersionArgs, discovery: &str, out: &mut dyn Write) -> Result<()> {
    let remote = args.remote && !args.client;
    let asked = match remote {
        true => ask(discovery).await.map(Some),
        false => Ok(None),
    };
    let (remote, failed) = match asked {
        Ok(remote) => (remote, None),
        Err(error) => (None, Some(error)),
    };
    let all = Versions {
        client: json!(VERSION),
        remote,
    };
    if !args.output.data(&all, out)? {
        print(&all, args.short, out)?;
    }
    match failed {
        None => Ok(()),
        Some(error) => {
            Err(error).context("only this program's version is known (--client asks nobody)")
        }
    }
}

#[derive(Debug, Serialize)]
struct Versions {
    client: Value,
    #[serde(flatten)]
    remote: Option<Remote>,
}

#[derive(Debug, Serialize)]
struct Remote {
    control_plane: Value,
    data_plane: Vec<Proxies>,
}

/// How many proxies have a version.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Proxies {
    version: String,
    proxies: usize,
}

async fn ask(discovery: &str) -> Result<Remote> {
    let discovery = Peer::discovery(discovery);
    let control_plane = discovery.get_json("/version").await?;
    let streams = discovery.get_json("/debug/syncz").await?;
    Ok(Remote {
        control_plane,
        data_plane: count(&streams),
    })
}

/// A proxy with two streams is one proxy.
fn count(streams: &Value) -> Vec<Proxies> {
    let versions: BTreeMap<&str, &str> = list(streams)
        .iter()
        .map(|stream| {
            let version = match text(&stream["version"]) {
                "" => "unknown",
                version => version,
            };
            (text(&stream["proxy"]), version)
        })
        .collect();
    let mut counted = BTreeMap::new();
    for version in versions.into_values() {
        *counted.entry(version).or_default() += 1;
    }
    counted
        .into_iter()
        .map(|(version, proxies)| Proxies {
            version: version.to_owned(),
            proxies,
        })
        .collect()
}

fn print(all: &Versions, short: bool, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "client version: {}", build(&all.client, short))?;
    let Some(remote) = &all.remote else {
        return Ok(());
    };
    writeln!(
        out,
        "control plane version: {}",
        build(&remote.control_plane, short)
    )?;
    let proxies: Vec<_> = remote
        .data_plane
        .iter()
        .map(|Proxies { version, proxies }| {
            let noun = if *proxies == 1 { "proxy" } else { "proxies" };
            format!("{version} ({proxies} {noun})")
        })
        .collect();
    let proxies = match proxies.as_slice() {
        [] => "none (no proxy is connected)".to_owned(),
        proxies => proxies.join(", "),
    };
    writeln!(out, "data plane version: {}", visible(&proxies))?;
    Ok(())
}

fn build(version: &Value, short: bool) -> String {
    let number = text(&version["version"]);
    if short {
        return visible(number);
    }
    let [platform, profile, api] =
        ["platform", "profile", "envoy_api"].map(|field| text(&version[field]));
    visible(&format!(
        "{number} ({platform}, {profile}, API of Envoy {api})"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(remote: Option<Remote>, short: bool) -> String {
        let build = json!({ "version": "1.2.3", "platform": "arm", "profile": "release", "envoy_api": "1.39" });
        let mut out = Vec::new();
        let all = Versions {
            client: build,
            remote,
        };
        print(&all, short, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn texts() {
        let streams = json!([
            { "proxy": "a", "version": "1.40.0" },
            { "proxy": "a", "version": "1.40.0" },
            { "proxy": "b", "version": "1.40.0" },
            { "proxy": "c", "version": "1.36.4" },
            { "proxy": "d", "version": null },
        ]);
        let remote = |streams: &Value| Remote {
            control_plane: json!({ "version": "1.2.4" }),
            data_plane: count(streams),
        };
        assert_eq!(
            printed(None, false),
            "client version: 1.2.3 (arm, release, API of Envoy 1.39)\n"
        );
        assert_eq!(
            printed(Some(remote(&streams)), true),
            "client version: 1.2.3\ncontrol plane version: 1.2.4\n\
             data plane version: 1.36.4 (1 proxy), 1.40.0 (2 proxies), unknown (1 proxy)\n"
        );
        assert_eq!(
            printed(Some(remote(&json!([]))), true).lines().last(),
            Some("data plane version: none (no proxy is connected)")
        );
    }
}
