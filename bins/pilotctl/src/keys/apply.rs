//! `apply`: writes what files say, after everything that `validate` looks at.

use std::io::{self, Write};

use anyhow::{Context, Result, bail};
use clap::Args;
use jiff::Timestamp;
use pilothouse_consul::client::ConsulApi;
use pilothouse_core::registry::Object;

use super::StoreArgs;
use super::stored::{Stored, key_of, text};
use crate::cli::FAILED;
use crate::offline::{self, SourceArgs};

/// Write rules to a store that discovery reads.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl apply --consul -f reviews.yaml\n  pilotctl apply --consul=consul.example:8500 -f mesh/ --dry-run\n\nNothing is written while anything is wrong with any of the files. An object that is new gets its creationTimestamp; one that is there keeps it."
)]
pub struct ApplyArgs {
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub store: StoreArgs,

    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub sources: SourceArgs,

    /// Say what would be done, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Writes what differs; says of each object what became of it.
///
/// # Errors
/// The store cannot be read or written, or somebody else has written meanwhile.
pub async fn apply(args: ApplyArgs, out: &mut dyn Write, err: &mut dyn Write) -> Result<u8> {
    let Some(objects) = offline::good_objects(&args.sources, &mut io::stdin(), err).await? else {
        writeln!(err, "nothing is written")?;
        return Ok(FAILED);
    };
    let (client, query) = args.store.client()?;
    let stored = Stored::all(&args.store).await?;
    let now = Timestamp::from_second(Timestamp::now().as_second())?;
    for mut object in objects {
        let key = object.meta.key.clone();
        let there = stored.iter().find(|stored| stored.has(&key));
        if let Some(stored) = there.filter(|stored| stored.is(&key).is_none()) {
            bail!(
                "{key} stands with others in the key {}: edit that key, or put each object into one of its own",
                stored.pair.key
            );
        }
        let before = there.and_then(|stored| stored.is(&key));
        object.meta.created = created(&object, before).or(Some(now));
        let written = text(&object)?;
        let (path, index) = match there {
            Some(stored) => (stored.pair.key.clone(), stored.pair.modify_index),
            None => (key_of(&args.store.consul_rules, &key), 0),
        };
        let word = match before.map(text).transpose()? {
            Some(before) if before == written => "unchanged",
            Some(_) => "configured",
            None => "created",
        };
        if word != "unchanged" && !args.dry_run {
            let put = client.put(&path, written.into_bytes(), index, &query).await;
            let put = put.with_context(|| format!("writing {key}"))?;
            if !put {
                bail!("{key} was written by somebody else meanwhile: look at it, and apply again");
            }
        }
        let dry = if args.dry_run { " (not written)" } else { "" };
        writeln!(out, "{key} {word}{dry}")?;
    }
    Ok(0)
}

/// What a file says counts; else an object keeps its age.
fn created(object: &Object, before: Option<&Object>) -> Option<Timestamp> {
    object
        .meta
        .created
        .or(before.and_then(|before| before.meta.created))
}
