//! A mesh in a Consul: what discovery needs for it, and how long an instance takes from its registration to the last proxy.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pilothouse_tests::consul::{Binary, Cluster};
use pilothouse_tests::discovery::{self, Discovery};
use pilothouse_tests::http;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::fleet::{Fleet, Options};
use crate::process::{connections_to, cpu_seconds, memory_kb};
use crate::report::Spread;

/// How much Consul takes in one transaction.
const AT_ONCE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough for a server to have done what it does after the last acknowledgement, and for loops of questions to be at rest.
const SETTLE: Duration = Duration::from_secs(3);
/// Instances lie in 10.128.0.0/10, where no proxy is.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 1);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 180, 0, 1);

/// The mesh and the server to measure.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) services: usize,
    pub(crate) instances: usize,
    pub(crate) rounds: usize,
    pub(crate) server: Option<PathBuf>,
}

/// The figures.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    services: usize,
    instances: usize,
    clients: usize,
    /// From discovery's start until it is ready.
    ready_s: f64,
    /// Resident memory and connections to Consul without proxies, and with them after all changes.
    rss_mb: f64,
    connections: usize,
    rss_at_end_mb: f64,
    connections_at_end: usize,
    peak_rss_mb: f64,
    complete_s: Spread,
    /// From the request that registers to the last acknowledgement: of services whose query is held open, and of others.
    held_ms: Spread,
    others_ms: Spread,
    /// Processor time of discovery for each change.
    server_cpu_ms: f64,
}

/// Fills a Consul, starts a server on it and measures it with a fleet.
pub(crate) async fn run(mesh: &Mesh, fleet: impl FnOnce(SocketAddr) -> Options) -> Result<Report> {
    let work = tempfile::tempdir().context("making a work directory")?;
    let consul = Binary::find()?;
    let cluster = Cluster::start(&consul, "dc1", json!({}), work.path()).await?;
    fill(mesh, &cluster).await?;
    let binary = mesh.server.clone().map_or_else(discovery::binary, Ok)?;
    let options = discovery::Options::of(&binary, "Consul", work.path())?
        .arg("--consul-address", cluster.address().to_string());
    let began = Instant::now();
    let server = Discovery::start(options).await?;
    let ready_s = began.elapsed().as_secs_f64();
    let id = server.process().id().to_string();
    sleep(SETTLE).await;
    let port = cluster.address().port();
    let (rss, connections) = (memory_kb(&id, "VmRSS")?, connections_to(&id, port)?);

    let options = Options {
        least_assignments: mesh.services,
        ..fleet(server.addresses().grpc)
    };
    let clients = options.clients;
    let mut fleet = Fleet::start(options)?;
    let began = Instant::now();
    let times = fleet.connect().await?;
    let complete_s = Spread::of(times.iter().map(|time| (*time - began).as_secs_f64()));
    sleep(SETTLE).await;
    let cpu = cpu_seconds(&id)?;
    // Queries are held open for those that come first.
    let held = |round| round;
    let others = |round| mesh.services.saturating_sub(1 + round);
    let held_ms = changes(mesh, &cluster, &mut fleet, held).await?;
    let others_ms = changes(mesh, &cluster, &mut fleet, others).await?;
    let cpu = cpu_seconds(&id)? - cpu;
    Ok(Report {
        services: mesh.services,
        instances: mesh.instances,
        clients,
        ready_s,
        rss_mb: rss as f64 / 1000.0,
        connections,
        rss_at_end_mb: memory_kb(&id, "VmRSS")? as f64 / 1000.0,
        connections_at_end: connections_to(&id, port)?,
        peak_rss_mb: memory_kb(&id, "VmHWM")? as f64 / 1000.0,
        complete_s,
        held_ms,
        others_ms,
        server_cpu_ms: cpu * 1000.0 / (2 * mesh.rounds).max(1) as f64,
    })
}

/// An instance of each service on each of as many nodes.
async fn fill(mesh: &Mesh, cluster: &Cluster) -> Result<()> {
    for number in 0..mesh.instances {
        let node = json!({"Node": {"Verb": "set", "Node": {"Node": node(number), "Address": "10.127.0.1"}}});
        put(cluster, &[node]).await?;
        let all: Vec<Value> = (0..mesh.services)
            .map(|index| {
                instance(
                    index,
                    number,
                    address(FIRST, index * mesh.instances + number),
                )
            })
            .collect();
        for some in all.chunks(AT_ONCE) {
            put(cluster, some).await?;
        }
    }
    Ok(())
}

/// Registers an instance at another address, again and again; how long that takes to the last proxy.
async fn changes(
    mesh: &Mesh,
    cluster: &Cluster,
    fleet: &mut Fleet,
    of_round: impl Fn(usize) -> usize,
) -> Result<Spread> {
    let mut last = Vec::new();
    for round in 0..mesh.rounds {
        let index = of_round(round) % mesh.services;
        let host = format!("{}.service.consul", name(index));
        fleet.watch(&format!("outbound|80||{host}")).await?;
        let began = Instant::now();
        let moved = instance(index, 0, address(ELSEWHERE, index));
        put(cluster, &[moved]).await?;
        let times = fleet.seen().await?;
        let time = times.last().copied().unwrap_or(began);
        last.push((time - began).as_secs_f64() * 1000.0);
        sleep(SETTLE).await;
    }
    Ok(Spread::of(last))
}

async fn put(cluster: &Cluster, operations: &[Value]) -> Result<()> {
    let body = json!(operations);
    let answer = http::put_json(cluster.address(), "/v1/txn", &body, PATIENCE).await?;
    ensure!(answer["Errors"].is_null(), "{answer}");
    Ok(())
}

fn name(index: usize) -> String {
    format!("svc-{index:05}")
}

fn node(number: usize) -> String {
    format!("node-{number:03}")
}

fn address(base: Ipv4Addr, offset: usize) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(base) + offset as u32)
}

fn instance(index: usize, number: usize, address: Ipv4Addr) -> Value {
    let name = name(index);
    json!({"Service": {"Verb": "set", "Node": node(number), "Service": {
        "ID": format!("{name}-{number}"), "Service": name, "Address": address.to_string(), "Port": 8080,
        "Meta": {"protocol": "http", "service-port": "80"}, "Tags": ["version|v1"],
    }}})
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            services,
            instances,
            clients,
            ..
        } = self;
        writeln!(
            f,
            "{clients} proxies, {services} services x {instances} instances in Consul"
        )?;
        writeln!(f, "ready after                  {:.2} s", self.ready_s)?;
        writeln!(
            f,
            "resident memory              {:.0} MB, with proxies {:.0} MB, at most {:.0} MB",
            self.rss_mb, self.rss_at_end_mb, self.peak_rss_mb
        )?;
        writeln!(
            f,
            "connections to Consul        {}, at the end {}",
            self.connections, self.connections_at_end
        )?;
        writeln!(
            f,
            "proxies complete             p50 {:.2} s, last {:.2} s",
            self.complete_s.p50, self.complete_s.last
        )?;
        for (what, spread) in [("held open", self.held_ms), ("others   ", self.others_ms)] {
            writeln!(
                f,
                "registered to last ACK, {what} min {:.0} ms, p50 {:.0} ms, max {:.0} ms",
                spread.min, spread.p50, spread.last
            )?;
        }
        writeln!(
            f,
            "discovery's processor time   {:.1} ms for each change",
            self.server_cpu_ms
        )
    }
}
