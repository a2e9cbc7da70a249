//! The programs, and how they are started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::files::Files;
use super::{ADMIN, Options};
use crate::process::Process;

/// The directory that has the programs.
#[derive(Debug, Clone)]
pub struct Programs(PathBuf);

impl Programs {
    /// What `KUBEBUILDER_ASSETS` names, a directory of `PATH`, or else what `tests/fetch-kube` builds once into `.cache/`.
    pub fn find() -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fetch-kube");
        let output = Command::new("python3")
            .arg(&script)
            .stderr(Stdio::inherit())
            .output()
            .context("running python3, which finds Kubernetes; install Python 3")?;
        ensure!(
            output.status.success(),
            "there is no Kubernetes API server; {} has said why",
            script.display()
        );
        Ok(Self(String::from_utf8_lossy(&output.stdout).trim().into()))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Starts the API server.
pub(super) fn api_server(
    programs: &Programs,
    options: &Options,
    etcd: SocketAddr,
    address: SocketAddr,
    files: &Files,
) -> Result<Process> {
    let mut command = Command::new(programs.path("kube-apiserver"));
    command
        .arg(format!("--etcd-servers=http://{etcd}"))
        .arg(format!("--secure-port={}", address.port()))
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
        // Services may have both families. Endpoints of the API server itself would be on loopback, which the API refuses.
        .args([
            "--service-cluster-ip-range=10.96.0.0/12,fd00:10:96::/112",
            "--endpoint-reconciler-type=none",
        ])
        // Pods need no service account's object.
        .args([
            "--disable-admission-plugins=ServiceAccount",
            "--authorization-mode=RBAC",
        ])
        // Only a test compacts.
        .arg("--etcd-compaction-interval=0")
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .args(files.api_server_flags());
    if options.audited {
        command.args(files.audit_flags());
    }
    if options.without_watch_cache {
        command.arg("--watch-cache=false");
    }
    command.args(&options.api_server);
    Process::spawn(
        "kube-apiserver",
        &mut command,
        &files.dir().join("kube-apiserver.log"),
    )
}

/// Starts these controllers, as the administrator.
pub(super) fn controllers(programs: &Programs, which: &[&str], files: &Files) -> Result<Process> {
    let program = programs.path("kube-controller-manager");
    ensure!(
        program.exists(),
        "{} is missing, which runs controllers; put it beside kube-apiserver",
        program.display()
    );
    let mut command = Command::new(program);
    command
        .arg("--kubeconfig")
        .arg(files.kubeconfig(ADMIN))
        .arg(format!("--controllers={}", which.join(",")))
        .args(["--leader-elect=false", "--secure-port=0"])
        .args(["--kube-api-qps=1000", "--kube-api-burst=2000"]);
    Process::spawn(
        "kube-controller-manager",
        &mut command,
        &files.dir().join("kube-controller-manager.log"),
    )
}
