//! A child process with a log file, which ends when its handle is dropped.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wait::eventually;

/// A running child process. It stands in a process group of its own, so that Ctrl-C reaches its owner only.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it writes is appended to the file `log`.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening the log {} of {name}", log.display()))?;
        let errors = output.try_clone().context("sharing a log file")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name} ({})", command.get_program().display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file that has its output.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// What it has written so far.
    pub fn log_text(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log)
            .with_context(|| format!("reading the log {} of {}", self.log.display(), self.name))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Fails, with the end of its log, if it has exited.
    pub fn check_running(&mut self) -> Result<()> {
        match self
            .child
            .try_wait()
            .with_context(|| format!("asking after {}", self.name))?
        {
            None => Ok(()),
            Some(status) => bail!(
                "{} has exited ({status}); the end of {}:\n{}",
                self.name,
                self.log.display(),
                self.log_end()
            ),
        }
    }

    /// Waits as [`eventually`] does, but gives up at once when the process has exited.
    pub async fn until<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut probe: impl AsyncFnMut() -> Result<T>,
    ) -> Result<T> {
        let outcome = eventually(what, within, async || match self.check_running() {
            Ok(()) => probe().await.map(Ok),
            Err(exited) => Ok(Err(exited)),
        });
        outcome
            .await?
            .with_context(|| format!("waiting until {what}"))
    }

    /// Ends it at once, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child
            .kill()
            .with_context(|| format!("killing {}", self.name))?;
        self.child
            .wait()
            .with_context(|| format!("waiting for {} to end", self.name))
    }

    /// Asks it to end (SIGTERM) and waits; it fails when it is still there after `patience`.
    pub async fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        let id = self.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &id])
            .status()
            .context("running sh to send SIGTERM")?;
        if !sent.success() {
            bail!("{} (process {id}) could not be sent SIGTERM", self.name);
        }
        let name = self.name.clone();
        eventually(
            &format!("{name} ends after SIGTERM"),
            patience,
            async || {
                self.child
                    .try_wait()
                    .with_context(|| format!("asking after {name}"))?
                    .with_context(|| format!("{name} still runs"))
            },
        )
        .await
    }

    fn log_end(&self) -> String {
        let text = self.log_text().unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines
            .get(lines.len().saturating_sub(30)..)
            .unwrap_or_default()
            .join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have exited already; either way it is waited for, so that no zombie is left.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, dir: &Path) -> Process {
        Process::spawn(
            "a shell",
            Command::new("sh").args(["-c", script]),
            &dir.join("log"),
        )
        .unwrap()
    }

    #[tokio::test]
    async fn its_output_is_shown_when_it_has_exited() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell("echo out of order >&2; exit 3", dir.path());
        let error = eventually("the exit", Duration::from_secs(5), async || {
            match process.check_running() {
                Ok(()) => bail!("it runs"),
                Err(error) => Ok(error),
            }
        });
        let text = error.await.unwrap().to_string();
        assert!(
            text.contains("exit status: 3") && text.contains("out of order"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn it_can_be_asked_to_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = shell(
            "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done",
            dir.path(),
        );
        eventually("the trap", Duration::from_secs(5), async || {
            process
                .log_text()?
                .contains("up")
                .then_some(())
                .context("not up")
        })
        .await
        .unwrap();
        assert_eq!(
            process
                .terminate(Duration::from_secs(5))
                .await
                .unwrap()
                .code(),
            Some(7)
        );
    }

    #[test]
    fn dropping_it_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let process = shell("sleep 60", dir.path());
        let entry = PathBuf::from(format!("/proc/{}", process.id()));
        assert!(entry.exists());
        drop(process);
        assert!(!entry.exists());
    }
}
