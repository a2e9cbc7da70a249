//! Where configuration is read from: a running Envoy, a file, or standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::super::dump::{Dump, HOW, Section};
use super::super::peer::{ADMIN, Peer};

/// Where to read from.
#[derive(Debug, Clone, Default, Args)]
pub struct Source {
    /// The address of Envoy's admin page, as with --proxy-admin.
    #[arg(value_name = "ADDR")]
    pub proxy: Option<String>,
    /// The address of Envoy's admin page [default: 127.0.0.1:15000].
    #[arg(long, value_name = "ADDR", conflicts_with = "proxy")]
    pub proxy_admin: Option<String>,
    /// A dump in place of a running Envoy: what /config_dump?include_eds answered; - is standard input.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["proxy", "proxy_admin"])]
    pub file: Option<PathBuf>,
}

/// A source that is known.
#[derive(Debug)]
pub(super) enum Origin<'a> {
    Envoy(Peer),
    File(&'a Path),
}

impl Source {
    /// Which one it is.
    pub(super) fn origin(&self) -> Result<Origin<'_>> {
        match &self.file {
            Some(file) => Ok(Origin::File(file)),
            None => Ok(Origin::Envoy(envoy(
                self.proxy.as_deref(),
                self.proxy_admin.as_deref(),
            )?)),
        }
    }

    /// The wanted sections of the dump. One that is not in it is an error unless there are others.
    pub(super) async fn dump(&self, wanted: &[Section]) -> Result<Dump> {
        let dump = match self.origin()? {
            Origin::Envoy(envoy) => dump_of(&envoy, wanted).await?,
            Origin::File(file) => Dump::read(&bytes(file)?, wanted, &name(file))?,
        };
        if let [section] = wanted
            && !dump.has(*section)
        {
            bail!(
                "the dump has no {}: take one of everything with {HOW}",
                section.noun()
            );
        }
        Ok(dump)
    }
}

/// The Envoy at one of these addresses.
pub(super) fn envoy(positional: Option<&str>, flag: Option<&str>) -> Result<Peer> {
    let address = positional.or(flag).unwrap_or(ADMIN);
    if !address.contains(':') {
        bail!(
            "{address:?} is no address: say where its admin page is, such as {ADMIN}, or read a dump with -f FILE"
        );
    }
    Ok(Peer::envoy(address))
}

/// Asks an Envoy. Endpoints make its answer long, so they are asked for only when they are wanted.
pub(crate) async fn dump_of(envoy: &Peer, wanted: &[Section]) -> Result<Dump> {
    let path = if wanted.contains(&Section::Endpoints) {
        "/config_dump?include_eds"
    } else {
        "/config_dump"
    };
    let bytes = envoy.get(path).await?;
    Dump::read(&bytes, wanted, &format!("{path} of {}", envoy.address()))
        .with_context(|| envoy.no_json(path))
}

fn name(file: &Path) -> String {
    if file == Path::new("-") {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

fn bytes(file: &Path) -> Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("reading standard input")?;
        return Ok(bytes);
    }
    std::fs::read(file)
        .with_context(|| format!("reading {}; take a dump with {HOW}", file.display()))
}
