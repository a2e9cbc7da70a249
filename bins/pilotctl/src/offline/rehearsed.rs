//! What a change of files would be to proxies: what `diff` asks without discovery.

use std::io;
use std::sync::Arc;

use anyhow::{Result, bail};
use jiff::Timestamp;
use pilothouse_core::registry::{Object, ObjectKey, RegistryId};
use pilothouse_xds::rehearsal::{self, Differences, Objects};
use serde_json::Value;

use super::node::NodeArgs;
use super::sources::{SourceArgs, Sources};

/// The answer of discovery's page `diff`, made of files: they are the mesh as it is, and `nodes` are the connected proxies.
///
/// What is wrong with files of the mesh as it is has no effect, as in discovery.
///
/// # Errors
/// The files or a node cannot be read at all, or what is to be deleted is not there.
pub(crate) async fn rehearsed(
    from: &SourceArgs,
    cluster: &str,
    nodes: &[NodeArgs],
    put: Vec<Object>,
    delete: &[ObjectKey],
) -> Result<Value> {
    let mut proxies = Vec::with_capacity(nodes.len());
    for node in nodes {
        proxies.push(Arc::new(node.read()?.proxy));
    }
    let sources = Sources::read(from, &mut io::stdin())?;
    let config = Arc::new(sources.mesh_config);
    let objects = sources.files.into_iter().flat_map(|file| file.objects);
    let before = Objects::of(RegistryId::new("Static", cluster), objects);
    let mut after = before.clone();
    for object in put {
        after.put(object, Timestamp::now());
    }
    for key in delete {
        if !after.delete(key) {
            bail!("{key} is not in the files, so it cannot be deleted");
        }
    }
    let was = Box::pin(rehearsal::snapshots(&before, &config, &proxies)).await?;
    let is = Box::pin(rehearsal::snapshots(&after, &config, &proxies)).await?;
    let mut differences = Differences::default();
    for ((proxy, was), is) in proxies.iter().zip(&was).zip(&is) {
        differences.add(proxy, was, is);
    }
    Ok(differences.to_json())
}
