//! The cluster as people use it: with kubectl.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{ADMIN, KubeCluster};

impl KubeCluster {
    /// Runs kubectl as [`ADMIN`] and returns what it prints.
    pub async fn kubectl(&self, args: &[&str], stdin: &str) -> Result<String> {
        self.kubectl_as(ADMIN, args, stdin).await
    }

    /// The same as one of the users.
    pub async fn kubectl_as(&self, user: &str, args: &[&str], stdin: &str) -> Result<String> {
        let mut child = Command::new(self.programs.path("kubectl"))
            .arg("--kubeconfig")
            .arg(self.kubeconfig_of(user))
            .args(args)
            // What it knows of an API server's kinds it keeps there.
            .env("HOME", self.logs())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting kubectl")?;
        let mut input = child.stdin.take().context("kubectl has no input")?;
        // One that reads nothing may have ended already.
        input.write_all(stdin.as_bytes()).await.ok();
        drop(input);
        let output = child.wait_with_output().await.context("running kubectl")?;
        ensure!(
            output.status.success(),
            "kubectl {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `kubectl apply` of these documents.
    pub async fn apply(&self, yaml: &str) -> Result<()> {
        self.kubectl(&["apply", "-f", "-"], yaml).await?;
        Ok(())
    }
}
