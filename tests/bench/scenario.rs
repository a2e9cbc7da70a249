//! What is measured, in order: an idle server, everybody's first configuration, changes of one endpoint, everybody's return.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use pilothouse_tests::discovery::{self, Discovery};
use pilothouse_tests::mesh_dir::{Endpoint, MeshDir, ServiceEntry};
use tokio::time::{Instant, sleep};

use crate::fleet::{Fleet, Options, Totals};
use crate::process::{cpu_seconds, memory_kb};
use crate::report::{Changes, Cold, Reconnect, Report, Spread};

/// The mesh and the server to measure.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) services: usize,
    pub(crate) endpoints: usize,
    pub(crate) rounds: usize,
    /// Between two changes; longer than any debouncing.
    pub(crate) pause: Duration,
    pub(crate) server: Option<PathBuf>,
    pub(crate) server_args: Vec<String>,
}

/// Long enough for a server to have done what it does after the last acknowledgement.
const SETTLE: Duration = Duration::from_secs(1);

/// Writes a mesh, starts a server on it and measures it with a fleet.
pub(crate) async fn run(mesh: &Mesh, fleet: impl FnOnce(SocketAddr) -> Options) -> Result<Report> {
    let work = tempfile::tempdir().context("making a work directory")?;
    let dir = MeshDir::create(work.path())?;
    for index in 0..mesh.services {
        dir.write_entry(&service(index, mesh.endpoints))?;
    }
    let binary = mesh.server.clone().map_or_else(discovery::binary, Ok)?;
    let mut options = discovery::Options::new(&binary, dir.path(), work.path())?;
    for arg in &mesh.server_args {
        let (flag, value) = arg
            .split_once('=')
            .with_context(|| format!("{arg:?} is not of the form --flag=value"))?;
        options = options.arg(flag, value);
    }
    let began = Instant::now();
    let server = Discovery::start(options).await?;
    let ready = began.elapsed();
    let id = server.process().id().to_string();
    sleep(SETTLE).await;
    let idle_kb = memory_kb(&id, "VmRSS")?;

    let options = Options {
        least_assignments: mesh.services,
        ..fleet(server.addresses().grpc)
    };
    let (mode, clients) = (options.mode, options.clients);
    let mut fleet = Fleet::start(options)?;
    let cold = first_configuration(&mut fleet, Some(&id)).await?;
    let connected_kb = memory_kb(&id, "VmRSS")?;
    let changes = if mesh.rounds > 0 {
        Some(changes(mesh, clients, &dir, &mut fleet, &id).await?)
    } else {
        None
    };
    let reconnect = reconnect(&mut fleet, Some(&id)).await?;
    Ok(Report {
        mode,
        clients,
        services: Some(mesh.services),
        endpoints: Some(mesh.endpoints),
        ready_s: Some(ready.as_secs_f64()),
        idle_rss_mb: Some(idle_kb as f64 / 1000.0),
        rss_per_client_kb: Some(connected_kb.saturating_sub(idle_kb) as f64 / clients as f64),
        peak_rss_mb: Some(memory_kb(&id, "VmHWM")? as f64 / 1000.0),
        cold,
        changes,
        reconnect,
    })
}

/// Measures a server that runs already, whatever it serves: everybody's first configuration and return.
pub(crate) async fn attach(options: Options) -> Result<Report> {
    let (mode, clients) = (options.mode, options.clients);
    let mut fleet = Fleet::start(options)?;
    let cold = first_configuration(&mut fleet, None).await?;
    let reconnect = reconnect(&mut fleet, None).await?;
    Ok(Report {
        mode,
        clients,
        services: None,
        endpoints: None,
        ready_s: None,
        idle_rss_mb: None,
        rss_per_client_kb: None,
        peak_rss_mb: None,
        cold,
        changes: None,
        reconnect,
    })
}

/// Processor time of the server, where it is known.
fn server_cpu(id: Option<&str>) -> Result<Option<f64>> {
    id.map(cpu_seconds).transpose()
}

fn used(before: Option<f64>, after: Option<f64>) -> Option<f64> {
    Some(after? - before?)
}

async fn first_configuration(fleet: &mut Fleet, id: Option<&str>) -> Result<Cold> {
    let (server, own) = (server_cpu(id)?, cpu_seconds("self")?);
    let began = Instant::now();
    let times = fleet.connect().await?;
    sleep(SETTLE).await;
    let totals = fleet.totals().await?;
    Ok(Cold {
        complete_s: Spread::of(times.iter().map(|time| (*time - began).as_secs_f64())),
        server_cpu_s: used(server, server_cpu(id)?),
        generator_cpu_s: cpu_seconds("self")? - own,
        bytes_per_client: totals.bytes / times.len().max(1) as u64,
        resources: totals.received.resources,
        held: totals
            .held
            .iter()
            .map(|(kind, least, most)| (format!("{kind:?}").to_lowercase(), *least, *most))
            .collect(),
        broken: totals.broken,
        last_break: totals.last_break,
    })
}

async fn changes(
    mesh: &Mesh,
    clients: usize,
    dir: &MeshDir,
    fleet: &mut Fleet,
    id: &str,
) -> Result<Changes> {
    let before = fleet.totals().await?;
    let cpu = cpu_seconds(id)?;
    let (mut p50, mut p99, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..mesh.rounds {
        // Far apart from each other.
        let index = round * 37 % mesh.services;
        let mut entry = service(index, mesh.endpoints);
        if let Some(endpoint) = entry.endpoints.first_mut() {
            endpoint.address =
                Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 255, 0, 1)) + round as u32).to_string();
        }
        fleet.watch(&format!("outbound|80||{}", entry.host)).await?;
        let began = Instant::now();
        dir.write_entry(&entry)?;
        let seen = fleet.seen().await;
        let times = seen.with_context(|| format!("the change of round {round}"))?;
        let spread = Spread::of(
            times
                .iter()
                .map(|time| (*time - began).as_secs_f64() * 1000.0),
        );
        p50.push(spread.p50);
        p99.push(spread.p99);
        last.push(spread.last);
        sleep(mesh.pause).await;
    }
    let totals = fleet.totals().await?;
    let rounds = mesh.rounds as f64;
    Ok(Changes {
        rounds: mesh.rounds,
        p50_ms: Spread::of(p50),
        p99_ms: Spread::of(p99),
        last_ms: Spread::of(last),
        server_cpu_ms: (cpu_seconds(id)? - cpu) * 1000.0 / rounds,
        resources_per_client: (totals.received.resources - before.received.resources) as f64
            / rounds
            / clients as f64,
        bytes_per_client: (totals.bytes - before.bytes) as f64 / rounds / clients as f64,
    })
}

async fn reconnect(fleet: &mut Fleet, id: Option<&str>) -> Result<Reconnect> {
    fleet.disconnect().await?;
    sleep(SETTLE).await;
    let before: Totals = fleet.totals().await?;
    let server = server_cpu(id)?;
    let began = Instant::now();
    let times = fleet.connect().await?;
    // What is sent although it is held may come late.
    sleep(SETTLE).await;
    let totals = fleet.totals().await?;
    Ok(Reconnect {
        complete_s: Spread::of(times.iter().map(|time| (*time - began).as_secs_f64())),
        server_cpu_s: used(server, server_cpu(id)?),
        resources: totals.received.resources - before.received.resources,
        removals: totals.received.removals - before.received.removals,
        bytes: totals.bytes - before.bytes,
        broken: totals.broken - before.broken,
    })
}

/// HTTP on port 80 with a virtual address of its own; its endpoints lie in 10.128.0.0/10, where no client is.
fn service(index: usize, endpoints: usize) -> ServiceEntry {
    let mut entry = ServiceEntry::http(
        &format!("svc-{index:05}"),
        &format!("svc-{index:05}.bench.mesh"),
        80,
    );
    let address =
        |base: Ipv4Addr, offset: usize| Ipv4Addr::from(u32::from(base) + offset as u32).to_string();
    entry
        .addresses
        .push(address(Ipv4Addr::new(240, 240, 0, 1), index));
    let endpoint = |number: usize| Endpoint {
        address: address(Ipv4Addr::new(10, 128, 0, 1), index * endpoints + number),
        ports: vec![("http".to_owned(), 8080)],
        labels: vec![
            ("app".to_owned(), format!("svc-{index:05}")),
            ("version".to_owned(), "v1".to_owned()),
        ],
    };
    entry.endpoints = (0..endpoints).map(endpoint).collect();
    entry
}
