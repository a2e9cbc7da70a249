//! `proxy-status`: whether each proxy has what it is to have, and if not, why.

mod difference;
mod report;
mod tell;

use std::io::Write;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::Output;
use super::dump::{Dump, Section};
use super::json::list;
use super::peer::{Peer, encoded};
use super::proxy_config::dump_of;
use report::Proxy;

/// Show whether proxies have what they are to have.
///
/// Of each type (CDS clusters, LDS listeners, EDS endpoints, RDS routes) a proxy is SYNCED when it has acknowledged the
/// newest, STALE when it has not yet (with the time since it was sent), NOT SENT when it has not been sent any, and in ERROR
/// when it refuses something: what it said, and the object behind that, follow the table.
///
/// With a PROXY, only that one, in detail; with --proxy-admin also how what its Envoy has differs from what discovery holds
/// for it, and the exit code is 1 if it does.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl proxy-status\n  pilotctl proxy-status web-1.shop\n  pilotctl proxy-status web-1.shop --proxy-admin 127.0.0.1:15000\n  pilotctl proxy-status -o json --discovery 10.0.0.2:9876"
)]
pub struct ProxyStatusArgs {
    /// Only this proxy: NAME.NAMESPACE, or its node id.
    pub proxy: Option<String>,
    /// The admin page of that proxy's Envoy, to compare what it has.
    #[arg(long, value_name = "ADDR", requires = "proxy")]
    pub proxy_admin: Option<String>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Prints the state of proxies. Returns whether all is well, as far as a comparison was asked for.
///
/// # Errors
/// Discovery, or the Envoy, does not answer, or there is no such proxy.
pub async fn run(args: &ProxyStatusArgs, discovery: &str, out: &mut dyn Write) -> Result<bool> {
    let discovery = Peer::discovery(discovery);
    let Some(name) = &args.proxy else {
        let page = discovery.get_json("/debug/syncz").await?;
        let proxies = Proxy::all(&page, discovery.address());
        if !args.output.data(&proxies, out)? {
            tell::all(&proxies, out)?;
        }
        return Ok(true);
    };
    let query = format!("proxyID={}", encoded(name));
    let page = discovery.get_json(&format!("/debug/syncz?{query}")).await?;
    let proxies = Proxy::all(&page, discovery.address());
    if proxies.is_empty() {
        bail!("{}", unknown(&discovery, name).await?);
    }
    let differences = match &args.proxy_admin {
        None => None,
        Some(admin) => {
            let path = format!("/debug/config_dump?{query}");
            let wanted = discovery.get(&path).await?;
            let wanted = Dump::read(&wanted, &Section::RESOURCES, &path)
                .with_context(|| discovery.no_json(&path))?;
            let envoy = Peer::envoy(admin);
            is_that_one(&envoy, &proxies).await?;
            let held = dump_of(&envoy, &Section::RESOURCES).await?;
            Some(difference::between(&wanted, &held))
        }
    };
    let same = differences
        .iter()
        .flatten()
        .all(|difference| difference.is_none());
    if !args.output.data(
        &json!({ "proxies": proxies, "differences": differences }),
        out,
    )? {
        tell::one(&proxies, differences.as_deref(), out)?;
    }
    Ok(same)
}

/// Two Envoys of other names would differ in everything, which tells nobody that the address is wrong.
async fn is_that_one(envoy: &Peer, proxies: &[Proxy]) -> Result<()> {
    let info = envoy.get_json("/server_info").await?;
    let is = info["node"]["id"].as_str().unwrap_or_default();
    if proxies.iter().any(|proxy| proxy.id == is) {
        return Ok(());
    }
    bail!(
        "the Envoy at {} is {is:?}, and not the one that was asked for: give the admin page of that one",
        envoy.address()
    )
}

async fn unknown(discovery: &Peer, name: &str) -> Result<String> {
    let page: Value = discovery.get_json("/debug/syncz").await?;
    let mut names: Vec<_> = list(&page)
        .iter()
        .filter_map(|stream| stream["proxy"].as_str())
        .map(super::names::proxy_name)
        .collect();
    names.sort_unstable();
    names.dedup();
    let known = match names.as_slice() {
        [] => "none is".to_owned(),
        names => {
            let more = names.len().saturating_sub(10);
            let first: Vec<_> = names.iter().copied().take(10).collect();
            match more {
                0 => first.join(", "),
                more => format!("{} and {more} more", first.join(", ")),
            }
        }
    };
    Ok(format!(
        "no proxy {name:?} is connected to the discovery at {}; connected: {known}",
        discovery.address()
    ))
}
