//! The thread that starts Envoy and waits for it.
//!
//! It is a thread of its own for two reasons. The system takes the end of the *thread* that started a child for the end of
//! its parent, and a runtime's threads come and go. And as process 1 of a container the agent inherits orphans, which
//! somebody has to wait for.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, wait};
use tokio::sync::oneshot;

/// The child. Dropping this ends it at once, unless it has ended.
#[derive(Debug)]
pub(super) struct Keeper {
    id: u32,
    /// Names the process even after another has got its number.
    handle: OwnedFd,
    outcome: oneshot::Receiver<io::Result<ExitStatus>>,
}

impl Keeper {
    /// Starts `command` in a process group of its own, so that Ctrl-C on a terminal does not end it before it is drained.
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).process_group(0);
        let (started, report) = mpsc::channel();
        let (ended, outcome) = oneshot::channel();
        thread::Builder::new().name("envoy".into()).spawn(move || {
            let child = match spawn(command) {
                Ok((child, handle)) => {
                    // Whoever asked waits for the report.
                    let _ = started.send(Ok((child.id(), handle)));
                    child
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                    return;
                }
            };
            // If nobody listens the process is about to end.
            let _ = ended.send(wait_for(child));
        })?;
        let (id, handle) = report.recv().map_err(io::Error::other)??;
        Ok(Self {
            id,
            handle,
            outcome,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Sends `signal`; a child that has ended does not mind.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// How it ended, once it has.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        match (&mut self.outcome).await {
            Ok(status) => status,
            Err(_) => Err(io::Error::other("nobody waits for it")),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn spawn(mut command: Command) -> io::Result<(Child, OwnedFd)> {
    let mut child = command.spawn()?;
    let handle = Pid::from_raw(child.id().cast_signed())
        .ok_or_else(|| io::Error::other("the child has no process id"))
        .and_then(|id| Ok(pidfd_open(id, PidfdFlags::empty())?));
    match handle {
        Ok(handle) => Ok((child, handle)),
        Err(error) => {
            child.kill()?;
            child.wait()?;
            Err(error)
        }
    }
}

fn wait_for(mut child: Child) -> io::Result<ExitStatus> {
    if std::process::id() != 1 {
        return child.wait();
    }
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((id, status))) if id.as_raw_nonzero().get().unsigned_abs() == child.id() => {
                return Ok(ExitStatus::from_raw(status.as_raw()));
            }
            // An orphan that came to process 1.
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
