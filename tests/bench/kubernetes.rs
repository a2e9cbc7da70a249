//! A mesh behind an API server: what discovery needs for it, and how long an endpoint slice takes from its writing to the last proxy.

mod objects;
mod report;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pilothouse_tests::discovery::{self, Discovery};
use pilothouse_tests::kube::{self, KubeCluster};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::fleet::{Fleet, Options};
use crate::process::{cpu_seconds, memory_kb};
use crate::report::Spread;
use objects::{host, node, pod, service, slice};
use report::{Changes, Report};

/// Long enough for a server to have done what it does after the last write or acknowledgement.
const SETTLE: Duration = Duration::from_secs(3);
/// Between two changes that are measured.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two changes beside those that are measured.
const BUSY: Duration = Duration::from_millis(100);

/// The mesh and the server to measure.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) services: usize,
    pub(crate) endpoints: usize,
    /// Whether endpoints are pods, or stand in slices alone.
    pub(crate) pods: bool,
    pub(crate) rounds: usize,
    pub(crate) server: Option<PathBuf>,
}

/// Fills an API server, starts discovery on it and measures that with a fleet.
pub(crate) async fn run(mesh: &Mesh, fleet: impl FnOnce(SocketAddr) -> Options) -> Result<Report> {
    ensure!(
        mesh.services >= 2 && mesh.endpoints >= 1,
        "two services with an endpoint are the least"
    );
    let work = tempfile::tempdir().context("making a work directory")?;
    let cluster = KubeCluster::start(kube::Options::default()).await?;
    fill(mesh, &cluster).await?;
    let binary = mesh.server.clone().map_or_else(discovery::binary, Ok)?;
    let options = discovery::Options::of(&binary, "Kubernetes", work.path())?
        .arg("--kubeconfig", cluster.kubeconfig());
    let began = Instant::now();
    let server = Discovery::start(options).await?;
    let ready_s = began.elapsed().as_secs_f64();
    let id = server.process().id().to_string();
    sleep(SETTLE).await;
    let (idle, idle_peak) = (memory_kb(&id, "VmRSS")?, memory_kb(&id, "VmHWM")?);

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
    let connected = memory_kb(&id, "VmRSS")?;
    let mut writer = Writer::new(mesh, &cluster);
    let quiet = writer.measure(&mut fleet, &id, false).await?;
    let busy = writer.measure(&mut fleet, &id, true).await?;
    Ok(Report {
        services: mesh.services,
        endpoints: mesh.endpoints,
        pods: mesh.pods,
        clients,
        ready_s,
        idle_rss_mb: idle as f64 / 1000.0,
        idle_peak_rss_mb: idle_peak as f64 / 1000.0,
        rss_per_client_kb: connected.saturating_sub(idle) as f64 / clients.max(1) as f64,
        peak_rss_mb: memory_kb(&id, "VmHWM")? as f64 / 1000.0,
        complete_s,
        quiet,
        busy,
    })
}

/// Everything that is there when discovery starts.
async fn fill(mesh: &Mesh, cluster: &KubeCluster) -> Result<()> {
    cluster.namespace(objects::NAMESPACE, &[]).await?;
    let mut all: Vec<Value> = (0..objects::NODES).map(node).collect();
    for index in 0..mesh.services {
        all.push(service(index));
        all.push(slice(mesh, index, true));
        if mesh.pods {
            all.extend((0..mesh.endpoints).map(|number| pod(mesh, index, number)));
        }
    }
    cluster.import(&all).await?;
    // The API server reads what it has not written itself.
    sleep(SETTLE).await;
    Ok(())
}

/// Writes slices: the first endpoint of a service ends to be ready, or is ready again.
struct Writer<'a> {
    mesh: &'a Mesh,
    cluster: &'a KubeCluster,
    /// Whether the first endpoint is ready, by service.
    ready: Vec<bool>,
    /// How many changes there were.
    changes: usize,
}

impl<'a> Writer<'a> {
    fn new(mesh: &'a Mesh, cluster: &'a KubeCluster) -> Self {
        Self {
            mesh,
            cluster,
            ready: vec![true; mesh.services],
            changes: 0,
        }
    }

    /// The next service of those with even numbers, which are measured, or of the others, and its slice as it is to be.
    fn next(&mut self, measured: bool) -> (usize, Value) {
        // Far apart from each other.
        let half = self.mesh.services / 2;
        let index = self.changes * 37 % half * 2 + usize::from(!measured);
        self.changes += 1;
        let ready = self.ready.get(index).is_some_and(|ready| !ready);
        if let Some(state) = self.ready.get_mut(index) {
            *state = ready;
        }
        (index, slice(self.mesh, index, ready))
    }

    /// Changes slices one after the other; with `busy` others change meanwhile, ten each second.
    async fn measure(&mut self, fleet: &mut Fleet, id: &str, busy: bool) -> Result<Changes> {
        let (mut answered, mut last) = (Vec::new(), Vec::new());
        let (cpu, before) = (cpu_seconds(id)?, self.changes);
        for _ in 0..self.mesh.rounds {
            let (index, slice) = self.next(true);
            let change = change(self.cluster, fleet, index, &slice);
            let (answer, time) = tokio::select! {
                done = change => done?,
                failed = self.disturb(), if busy => match failed? {},
            };
            answered.push(answer.as_secs_f64() * 1000.0);
            last.push(time.as_secs_f64() * 1000.0);
        }
        let changes = self.changes - before;
        Ok(Changes {
            rounds: self.mesh.rounds,
            answered_ms: Spread::of(answered),
            last_ms: Spread::of(last),
            server_cpu_ms: (cpu_seconds(id)? - cpu) * 1000.0 / changes.max(1) as f64,
        })
    }

    /// Changes slices that are not measured, until that fails.
    async fn disturb(&mut self) -> Result<Infallible> {
        let mut ticks = interval(BUSY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (_, slice) = self.next(false);
            self.cluster.merge(&slice).await?;
        }
    }
}

/// Writes a slice: how long the answer took, and the last proxy. Then there is a pause.
async fn change(
    cluster: &KubeCluster,
    fleet: &mut Fleet,
    index: usize,
    slice: &Value,
) -> Result<(Duration, Duration)> {
    fleet
        .watch(&format!("outbound|80||{}", host(index)))
        .await?;
    // What comes beside it has begun by then.
    sleep(PAUSE).await;
    let began = Instant::now();
    let writing = async {
        cluster.merge(slice).await?;
        anyhow::Ok(began.elapsed())
    };
    let (answered, times) = tokio::try_join!(writing, fleet.seen())?;
    let last = times.last().copied().unwrap_or(began);
    Ok((answered, last - began))
}
