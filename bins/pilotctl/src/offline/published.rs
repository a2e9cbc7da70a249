//! What a proxy gets of files, and what is behind it: what other commands begin with.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Result;
use pilothouse_core::model::Proxy;
use pilothouse_core::registry::Severity;
use pilothouse_core::status::Status;
use pilothouse_static::File;
use pilothouse_xds::snapshot::Snapshot;

use super::node::NodeArgs;
use super::sources::{SourceArgs, Sources};
use super::{mesh, print};

/// The configuration of a proxy, made from files.
pub(crate) struct Published {
    /// What was read.
    pub(crate) files: Vec<File>,
    /// What is to be said of it.
    pub(crate) status: Status,
    /// Who gets it.
    pub(crate) proxy: Proxy,
    /// What it gets.
    pub(crate) snapshot: Arc<Snapshot>,
}

/// Makes it; what is wrong with the files goes to `err`.
///
/// # Errors
/// The files or the node cannot be read at all.
pub(crate) async fn published(
    sources: &SourceArgs,
    node: &NodeArgs,
    cluster: &str,
    err: &mut dyn Write,
) -> Result<Published> {
    let proxy = node.read()?.proxy;
    let mut sources = Sources::read(sources, &mut io::stdin())?;
    let mut messages = sources.messages();
    let config = std::mem::take(&mut sources.mesh_config);
    let made = mesh::snapshot(&sources.files, config, cluster, proxy.clone());
    let (status, snapshot) = Box::pin(made).await?;
    messages.add_told(&sources.files, &status);
    let messages = messages.sorted();
    let errors = messages
        .iter()
        .filter(|message| message.severity == Severity::Error);
    for message in errors {
        print::message(err, message)?;
    }
    Ok(Published {
        files: sources.files,
        status,
        proxy,
        snapshot,
    })
}
