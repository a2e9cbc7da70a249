//! Where the configuration of the proxy comes from: made of files, or what somebody holds.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use envoy_types::pb::google::protobuf::Any;
use pilothouse_core::model::{NamespaceName, NodeId};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::status::Status;
use pilothouse_static::File;
use pilothouse_xds::evaluate::Configuration;
use pilothouse_xds::json;
use pilothouse_xds::resource::{Cause, ResourceType};
use pilothouse_xds::snapshot::Snapshot;
use serde_json::Value;

use super::SourceArgs;
use super::running::Running;
use crate::inspect::{Dump, Peer, Section, dump_of, encoded};
use crate::offline::{self, NodeArgs};

/// What a proxy has.
pub(super) struct Found {
    pub(super) configuration: Configuration,
    /// The proxy's address, as far as it is known.
    pub(super) own_address: Option<IpAddr>,
    /// The domain by which it completes short names.
    pub(super) domain: Option<String>,
    /// What is behind it, if it was made here.
    pub(super) files: Option<Offline>,
    /// What discovery says of rules, if it was asked.
    pub(super) running: Option<Running>,
}

/// What only files tell.
pub(super) struct Offline {
    pub(super) files: Vec<File>,
    pub(super) status: Status,
    pub(super) namespace: NamespaceName,
    snapshot: Arc<Snapshot>,
}

impl Offline {
    /// The rules that have a part in the configuration.
    pub(super) fn causes(&self) -> BTreeSet<ObjectKey> {
        let kinds = [
            ResourceType::Listener,
            ResourceType::Route,
            ResourceType::Cluster,
        ];
        kinds
            .into_iter()
            .flat_map(|kind| self.snapshot.set(kind).iter())
            .flat_map(|resource| resource.causes.iter())
            .filter_map(|cause| match cause {
                Cause::Rule(key) => Some(key.clone()),
                _ => None,
            })
            .collect()
    }
}

/// Reads it.
///
/// # Errors
/// There is none; the text says what to do.
pub(super) async fn read(args: &SourceArgs, discovery: &str, err: &mut dyn Write) -> Result<Found> {
    if !args.filenames.is_empty() {
        return Box::pin(from_files(args, err)).await;
    }
    let sections = Section::RESOURCES;
    let mut running = None;
    let dump = if let Some(address) = &args.proxy_admin {
        dump_of(&Peer::envoy(address), &sections).await?
    } else if let Some(file) = &args.dump {
        Dump::read(&bytes(file)?, &sections, &file.display().to_string())?
    } else if let Some(proxy) = &args.proxy {
        let discovery = Peer::discovery(discovery);
        let path = format!("/debug/config_dump?proxyID={}", encoded(proxy));
        let bytes = discovery.get(&path).await?;
        running = Some(Running::ask(&discovery).await?);
        Dump::read(&bytes, &sections, &path)?
    } else {
        bail!(
            "say whose configuration it is: -f FILE|DIR with --proxy NODE_ID or --node FILE, --proxy NAME.NAMESPACE, --proxy-admin ADDR, or --dump FILE"
        );
    };
    let node: Option<NodeId> = args.proxy.as_ref().and_then(|text| text.parse().ok());
    Ok(Found {
        configuration: of_dump(&dump)?,
        own_address: node.as_ref().map(|node| node.ip),
        domain: node.as_ref().map(|node| node.domain.to_string()),
        files: None,
        running,
    })
}

async fn from_files(args: &SourceArgs, err: &mut dyn Write) -> Result<Found> {
    let id = args.proxy.as_deref().map(str::parse::<NodeId>).transpose();
    let node = NodeArgs {
        proxy: id.context(
            "--proxy with files is a node id, such as 'sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local'",
        )?,
        node: args.node.clone(),
        metadata: args.metadata.clone(),
        labels: args.labels.clone(),
    };
    let sources = offline::SourceArgs {
        filenames: args.filenames.clone(),
        domain: args.domain.clone(),
        mesh_config: args.mesh_config.clone(),
        virtual_service_merge: args.virtual_service_merge,
    };
    let all = Box::pin(offline::published(&sources, &node, &args.cluster_id, err)).await?;
    Ok(Found {
        configuration: Configuration::of(&all.snapshot)?,
        own_address: all.proxy.addresses.first().copied(),
        domain: Some(all.proxy.id.domain.to_string()),
        files: Some(Offline {
            namespace: all.proxy.namespace.clone(),
            files: all.files,
            status: all.status,
            snapshot: all.snapshot,
        }),
        running: None,
    })
}

/// Envoy's JSON as messages.
fn of_dump(dump: &Dump) -> Result<Configuration> {
    let mut all = Configuration::default();
    for (section, kind) in [
        (Section::Clusters, ResourceType::Cluster),
        (Section::Listeners, ResourceType::Listener),
        (Section::Routes, ResourceType::Route),
        (Section::Endpoints, ResourceType::Endpoint),
    ] {
        for held in dump.held(section) {
            let mut resource = held.resource.clone();
            if let Value::Object(fields) = &mut resource {
                fields.remove("@type");
            }
            let name = || format!("{} in the dump's {}", resource["name"], section.noun());
            let value = json::from_json(kind.url(), &resource).with_context(name)?;
            all.add(&Any {
                type_url: kind.url().to_owned(),
                value,
            })?;
        }
    }
    Ok(all)
}

fn bytes(file: &Path) -> Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("reading standard input")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("reading {}", file.display()))
}
