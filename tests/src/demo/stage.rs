//! What runs: discovery on a copy of the example's files, the example's services, and the sidecars of two of them.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pilothouse_core::model::{Locality, NodeId};
use pilothouse_xds::bootstrap::{
    Beside, BootstrapParams, DiscoveryAddress, Variant, bootstrap_json,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::change::Cluster;
use crate::discovery::{self, Discovery};
use crate::envoy::{Binary, Envoy};
use crate::http;
use crate::mesh_dir::MeshDir;
use crate::ports::free_address;
use crate::process::Process;
use crate::wait::eventually;

/// How long anything may take to start.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(5);

/// Everything that runs; dropping it ends all of it. Fields are dropped in order: clients before those whom they ask.
#[derive(Debug)]
pub(super) struct Stage {
    services: BTreeMap<&'static str, Process>,
    sidecars: Vec<Sidecar>,
    discovery: Discovery,
    mesh: MeshDir,
    work: TempDir,
}

/// An Envoy beside a client.
#[derive(Debug)]
pub(super) struct Sidecar {
    /// Whose it is.
    pub(super) name: &'static str,
    /// Its HTTP proxy port, by which the client calls others.
    pub(super) proxy: SocketAddr,
    envoy: Envoy,
}

/// A process of the example: its name and version, its address, whose sidecar it calls through, and whom it calls.
struct Service(
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
);

const PAGE_ADDRESS: &str = "127.0.1.1:9080";
const SERVICES: [Service; 4] = [
    Service(
        "page v1",
        PAGE_ADDRESS,
        Some("page"),
        Some("http://reviews.bookinfo.mesh:9080/"),
    ),
    Service(
        "reviews v1",
        "127.0.1.2:9080",
        Some("reviews"),
        Some("http://ratings.bookinfo.mesh:9080/"),
    ),
    Service(
        "reviews v2",
        "127.0.1.3:9080",
        Some("reviews"),
        Some("http://ratings.bookinfo.mesh:9080/"),
    ),
    Service("ratings v1", "127.0.0.1:9084", None, None),
];
/// The clients that have a sidecar, and the addresses of their workloads.
const CLIENTS: [(&str, &str); 2] = [("page", "127.0.1.1"), ("reviews", "127.0.1.2")];

impl Stage {
    /// Starts everything and waits until the page is served.
    pub(super) async fn set(out: &mut impl Write) -> Result<Self> {
        writeln!(out, "building what is not built yet ...")?;
        let (server, program) = (
            discovery::binary()?,
            discovery::build("bookinfo-vm", "bookinfo-vm")?,
        );
        let envoy = Binary::find()?;

        let work = tempfile::Builder::new()
            .prefix("pilothouse-demo-")
            .tempdir()
            .context("making a work directory")?;
        let mesh = MeshDir::copy_of(&example("mesh"), work.path())?;
        let mesh_config = work.path().join("mesh-config.yaml");
        std::fs::copy(example("mesh-config.yaml"), &mesh_config)
            .context("copying mesh-config.yaml")?;
        let options = discovery::Options::new(&server, mesh.path(), work.path())?
            .arg("--mesh-config", mesh_config.as_os_str());
        let discovery = Discovery::start(options).await?;
        writeln!(
            out,
            "discovery serves xDS on {} from {}",
            discovery.addresses().grpc,
            mesh.path().display()
        )?;

        let mut sidecars = Vec::new();
        for (name, ip) in CLIENTS {
            sidecars.push(
                Sidecar::start(name, ip, &envoy, discovery.addresses().grpc, work.path()).await?,
            );
        }
        let mut services = BTreeMap::new();
        for Service(name, address, client, upstream) in SERVICES {
            let mut command = Command::new(&program);
            command.args(name.split(' ')).arg(address);
            if let Some(sidecar) = sidecars.iter().find(|sidecar| Some(sidecar.name) == client) {
                command.arg("--sidecar").arg(sidecar.proxy.to_string());
            }
            command.args(upstream);
            services.insert(
                name,
                Process::spawn(
                    name,
                    &mut command,
                    &work.path().join(format!("{}.log", name.replace(' ', "-"))),
                )?,
            );
        }
        let mut this = Self {
            services,
            sidecars,
            discovery,
            mesh,
            work,
        };
        this.wait_for_page().await?;
        writeln!(
            out,
            "Envoy {} is the sidecar of {}\n",
            envoy.version(),
            CLIENTS.map(|(name, _)| name).join(" and of ")
        )?;
        Ok(this)
    }

    pub(super) fn mesh(&self) -> &MeshDir {
        &self.mesh
    }

    pub(super) fn sidecars(&self) -> &[Sidecar] {
        &self.sidecars
    }

    /// Where users open the page.
    pub(super) fn page(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 1, 1], 9080))
    }

    /// Asks a service to end; it answers what it has begun.
    pub(super) async fn stop(&mut self, service: &str) -> Result<()> {
        if let Some(mut process) = self.services.remove(service) {
            process.terminate(PATIENCE).await?;
        }
        Ok(())
    }

    /// Says what is where, and what to try.
    pub(super) fn explain(&self, out: &mut impl Write) -> Result<()> {
        let (addresses, page) = (self.discovery.addresses(), self.page());
        writeln!(out, "\nIt runs until Ctrl-C. Try:")?;
        writeln!(
            out,
            "  curl http://{page}/                      the page, and whom it asked"
        )?;
        writeln!(
            out,
            "  $EDITOR {}/reviews.yaml    change the mesh; broken files are reported, not obeyed",
            self.mesh.path().display()
        )?;
        for Sidecar { name, proxy, envoy } in &self.sidecars {
            writeln!(
                out,
                "  curl -x http://{proxy} http://reviews.bookinfo.mesh:9080/    as {name} asks"
            )?;
            writeln!(
                out,
                "  curl http://{}/clusters                  what the sidecar of {name} has",
                envoy.admin()
            )?;
        }
        writeln!(
            out,
            "  curl http://{}/debug/syncz               which proxy has what",
            addresses.debug
        )?;
        writeln!(out, "  curl http://{}/metrics", addresses.monitoring)?;
        writeln!(
            out,
            "  ls {}                       logs",
            self.work.path().display()
        )?;
        Ok(())
    }

    /// The whole chain answers.
    async fn wait_for_page(&mut self) -> Result<()> {
        let page = self.page();
        eventually("the page shows reviews and ratings", PATIENCE, async || {
            for process in self.services.values_mut() {
                process.check_running()?;
            }
            let answer = http::get(page, "page.bookinfo.mesh:9080", "/", REQUEST).await?;
            ensure!(
                answer.status == 200 && answer.body.contains("ratings v1"),
                "it answers {}: {}",
                answer.status,
                answer.body
            );
            Ok(())
        })
        .await
    }
}

impl Sidecar {
    async fn start(
        name: &'static str,
        ip: &str,
        binary: &Binary,
        discovery: SocketAddr,
        dir: &Path,
    ) -> Result<Self> {
        let proxy = free_address()?;
        let node: NodeId = format!("sidecar~{ip}~{name}-v1.bookinfo~bookinfo.mesh").parse()?;
        let metadata = json!({
            "NAMESPACE": "bookinfo",
            "INTERCEPTION_MODE": "NONE",
            "HTTP_PROXY_PORT": proxy.port().to_string(),
            "LABELS": { "app": name, "version": "v1" },
        });
        let params = BootstrapParams {
            node,
            cluster: format!("{name}.bookinfo"),
            metadata: metadata.as_object().cloned().unwrap_or_default(),
            locality: Locality::default(),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
            discovery: DiscoveryAddress::Ip(discovery),
            variant: Variant::Delta,
            beside: Beside::default(),
        };
        let envoy = Envoy::start(
            binary,
            &format!("sidecar-of-{name}"),
            &bootstrap_json(&params)?,
            dir,
        )
        .await?;
        envoy.wait_ready(PATIENCE).await?;
        Ok(Self { name, proxy, envoy })
    }

    /// A cluster as this sidecar has it in use; an empty one if it has none.
    pub(super) async fn cluster(&self, name: &str) -> Result<Cluster> {
        let pages = [
            "/config_dump?resource=dynamic_active_clusters",
            "/clusters?format=json",
        ];
        let [dump, status] = [
            self.envoy.get_json(pages[0]).await?,
            self.envoy.get_json(pages[1]).await?,
        ];
        let listed = |page: &Value, list: &str| page[list].as_array().cloned().unwrap_or_default();
        let by_discovery = listed(&dump, "configs")
            .iter()
            .any(|config| config["cluster"]["name"] == name && config["cluster"]["type"] == "EDS");
        let hosts = listed(&status, "cluster_statuses")
            .into_iter()
            .find(|cluster| cluster["name"] == name)
            .unwrap_or_default();
        let endpoint = |host: &Value| {
            let address = &host["address"]["socket_address"];
            Some(format!(
                "{}:{}",
                address["address"].as_str()?,
                address["port_value"].as_u64()?
            ))
        };
        Ok(Cluster {
            by_discovery,
            endpoints: listed(&hosts, "host_statuses")
                .iter()
                .filter_map(endpoint)
                .collect(),
        })
    }
}

/// A file of the example.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/bookinfo-vm")
        .join(name)
}
