//! `delete`: takes an object out of a store.

use std::io::Write;

use anyhow::{Result, bail};
use clap::Args;
use pilothouse_consul::client::ConsulApi;
use pilothouse_core::registry::{Kind, ObjectKey};

use super::StoreArgs;
use super::stored::Stored;

/// Take a rule out of a store that discovery reads.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  pilotctl delete --consul VirtualService reviews -n shop")]
pub struct DeleteArgs {
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub store: StoreArgs,

    /// What it is.
    pub kind: String,

    /// What it is called.
    pub name: String,

    /// Its namespace.
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
}

/// Takes it out.
///
/// # Errors
/// It is not there, the store cannot be read or written, or somebody else has written meanwhile.
pub async fn delete(args: DeleteArgs, out: &mut dyn Write) -> Result<u8> {
    let stored = Stored::all(&args.store).await?;
    let known = pilothouse_core::rules::kinds().iter();
    let kind = known
        .map(|kind| kind.name)
        .find(|name| name.eq_ignore_ascii_case(&args.kind));
    let key = ObjectKey::new(
        Kind::new(kind.unwrap_or(&args.kind)),
        args.namespace.as_str().into(),
        args.name.as_str(),
    );
    let Some(found) = stored.iter().find(|stored| stored.has(&key)) else {
        bail!("{key} is not below {}", args.store.consul_rules);
    };
    if found.is(&key).is_none() {
        bail!(
            "{key} stands with others in the key {}: edit that key",
            found.pair.key
        );
    }
    let (client, query) = args.store.client()?;
    if !client
        .delete(&found.pair.key, found.pair.modify_index, &query)
        .await?
    {
        bail!("{key} was written by somebody else meanwhile: look at it, and delete again");
    }
    writeln!(out, "{key} deleted")?;
    Ok(0)
}
