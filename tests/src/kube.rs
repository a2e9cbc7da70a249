//! A real Kubernetes control plane: etcd, an API server and, where a test wants them, the controllers, as processes on loopback.
//!
//! There is no scheduler and no kubelet: nodes and pods are objects that the test writes, their status included (see [`objects`]).
//! Endpoint addresses may be neither loopback nor link-local; the API refuses them. A cluster takes about 350 MB, so that only
//! [`AT_ONCE`] of them run at a time; whoever needs several starts them with [`KubeCluster::start_all`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::ports::free_address;
use crate::process::Process;

mod audit;
mod client;
mod etcd;
mod files;
mod import;
mod kept;
mod kubectl;
pub mod objects;
mod programs;

pub use audit::Request;
use files::Files;
use kept::Kept;
pub use programs::Programs;
use programs::{api_server, controllers};

/// How many clusters run at a time.
pub const AT_ONCE: u32 = 2;
/// How long a cluster may take to be ready, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(90);
/// The user whom RBAC does not concern.
pub const ADMIN: &str = "admin";
/// A user without any right of its own, and without groups.
pub const PILOTHOUSE: &str = "pilothouse";
/// The controllers that say what is behind services, and remove what belongs to what is gone.
pub const CONTROLLERS: [&str; 4] = [
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "garbage-collector-controller",
    "namespace-controller",
];

static SEATS: Semaphore = Semaphore::const_new(AT_ONCE as usize);

/// What kind of cluster a test wants. The default has an API server alone.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which controllers run, such as [`CONTROLLERS`].
    pub controllers: Vec<&'static str>,
    /// Users beside [`ADMIN`] and [`PILOTHOUSE`], without groups.
    pub users: Vec<String>,
    /// Whether requests are recorded; see [`KubeCluster::requests_of`].
    pub audited: bool,
    /// Whether watches read etcd rather than the API server's cache: then a compaction makes old versions answer 410 at once, where
    /// the cache knows them until the API server ends.
    pub without_watch_cache: bool,
    /// More flags of the API server.
    pub api_server: Vec<String>,
}

/// A control plane; its processes end when it is dropped, and its files go with it unless the test fails.
pub struct KubeCluster {
    // Processes end in this order.
    controllers: Option<Process>,
    api_server: Option<Process>,
    _etcd: Process,
    programs: Programs,
    options: Options,
    etcd_address: SocketAddr,
    address: SocketAddr,
    client: kube::Client,
    files: Files,
    _dir: Kept,
    _seat: SemaphorePermit<'static>,
}

impl KubeCluster {
    /// A cluster that is ready, or nothing where its programs are [`missing`](Self::missing).
    #[expect(clippy::panic, reason = "a test cannot go on")]
    pub async fn get(options: Options) -> Option<Self> {
        if Self::missing() {
            return None;
        }
        match Self::start(options).await {
            Ok(cluster) => Some(cluster),
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Whether the programs cannot be had: then this says why, and fails in continuous integration.
    #[expect(clippy::print_stderr, reason = "a suite that is left out says why")]
    #[expect(clippy::panic, reason = "a test cannot go on")]
    pub fn missing() -> bool {
        match Programs::find() {
            Ok(_) => false,
            Err(error) if std::env::var_os("CI").is_none() => {
                eprintln!("left out: {error:#}");
                true
            }
            Err(error) => panic!("{error:#}"),
        }
    }

    /// A cluster that is ready: the namespace `default` and the service `kubernetes` are there.
    pub async fn start(options: Options) -> Result<Self> {
        Self::start_on(&Programs::find()?, options).await
    }

    /// The same with the [`CONTROLLERS`].
    pub async fn start_with_controllers() -> Result<Self> {
        Self::start(Options {
            controllers: CONTROLLERS.to_vec(),
            ..Options::default()
        })
        .await
    }

    /// Several clusters, at most [`AT_ONCE`]. A test that started them one by one could wait for another that does the same.
    pub async fn start_all<const N: usize>(options: [Options; N]) -> Result<Vec<Self>> {
        let programs = Programs::find()?;
        let count = u32::try_from(N)?;
        ensure!(count <= AT_ONCE, "{N} clusters are more than {AT_ONCE}");
        let mut seats = SEATS.acquire_many(count).await?;
        let seats = (0..N).map_while(|_| seats.split(1)).collect::<Vec<_>>();
        let starting = seats
            .into_iter()
            .zip(options)
            .map(|(seat, options)| Self::start_in(seat, &programs, options));
        futures::future::try_join_all(starting).await
    }

    async fn start_on(programs: &Programs, options: Options) -> Result<Self> {
        Self::start_in(SEATS.acquire().await?, programs, options).await
    }

    async fn start_in(
        seat: SemaphorePermit<'static>,
        programs: &Programs,
        options: Options,
    ) -> Result<Self> {
        let dir = Kept::new()?;
        let (etcd_address, address) = (free_address()?, free_address()?);
        let files = Files::write(dir.path(), address, &options)?;
        let etcd = etcd::start(programs, etcd_address, dir.path())?;
        let mut api_server = api_server(programs, &options, etcd_address, address, &files)?;
        let client = api_server
            .until("the API server is ready", PATIENCE, async || {
                files.write_kubeconfigs()?;
                let client = client::of(&files.kubeconfig(ADMIN))?;
                client::is_ready(&client).await?;
                Ok(client)
            })
            .await?;
        let controllers = if options.controllers.is_empty() {
            None
        } else {
            Some(controllers(programs, &options.controllers, &files)?)
        };
        Ok(Self {
            controllers,
            api_server: Some(api_server),
            _etcd: etcd,
            programs: programs.clone(),
            options,
            etcd_address,
            address,
            client,
            files,
            _dir: dir,
            _seat: seat,
        })
    }

    /// Where the API server listens, with TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A file with everything that [`ADMIN`] needs.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_of(ADMIN)
    }

    /// The same for one of the users.
    pub fn kubeconfig_of(&self, user: &str) -> PathBuf {
        self.files.kubeconfig(user)
    }

    /// The bearer token of one of the users.
    pub fn token_of(user: &str) -> String {
        files::token(user)
    }

    /// What the API server and the others have written, for those who look at a failure.
    pub fn logs(&self) -> PathBuf {
        self.files.dir().to_owned()
    }

    /// Kills the API server. Etcd keeps what there is.
    pub fn stop_api_server(&mut self) -> Result<()> {
        let process = self.api_server.take();
        process.context("no API server runs")?.kill()?;
        Ok(())
    }

    /// Starts it again, with the same address, certificates and objects, and waits until it is ready.
    pub async fn start_api_server(&mut self) -> Result<()> {
        ensure!(self.api_server.is_none(), "an API server runs already");
        let mut process = api_server(
            &self.programs,
            &self.options,
            self.etcd_address,
            self.address,
            &self.files,
        )?;
        process
            .until("the API server is ready again", PATIENCE, async || {
                client::is_ready(&self.client).await
            })
            .await?;
        self.api_server = Some(process);
        Ok(())
    }

    /// Kills the controllers, so that endpoint slices stay as they are whatever happens to pods.
    pub fn stop_controllers(&mut self) -> Result<()> {
        let process = self.controllers.take();
        process.context("no controllers run")?.kill()?;
        Ok(())
    }

    /// Starts the controllers of the options again.
    pub fn start_controllers(&mut self) -> Result<()> {
        ensure!(self.controllers.is_none(), "controllers run already");
        if self.options.controllers.is_empty() {
            bail!("the options of this cluster name no controllers");
        }
        self.controllers = Some(controllers(
            &self.programs,
            &self.options.controllers,
            &self.files,
        )?);
        Ok(())
    }

    /// Makes etcd forget every version but the present one, and returns its revision. With its watch cache the API server still knows
    /// what it has seen: stop it, compact and start it again, and it answers 410 to whoever asks for more.
    pub async fn compact(&self) -> Result<u64> {
        etcd::compact(self.etcd_address).await
    }
}

impl std::fmt::Debug for KubeCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeCluster")
            .field("address", &self.address)
            .field("logs", &self.files.dir())
            .finish_non_exhaustive()
    }
}
