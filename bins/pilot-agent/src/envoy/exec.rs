//! The step between the agent and Envoy: a subcommand of this program that binds its life to its parent's and then becomes
//! Envoy, under the same process id.
//!
//! The system offers to signal a process when its parent ends, and only the process itself can ask for that. Doing so
//! between `fork` and `exec` needs `unsafe`; doing so in a program that then calls `exec` does not.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// This program, whatever has become of its file since it was started.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Becomes another program that is killed when the process that started it ends.
#[derive(Debug, Clone, clap::Args)]
pub struct Exec {
    /// The process that it must not outlive
    #[arg(long, value_name = "PID")]
    parent: u32,
    /// The program
    program: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Exec {
    /// The name under which it must be a (hidden) subcommand of this program.
    pub const NAME: &str = "exec-envoy";

    /// Becomes the program; returns only what prevents it.
    pub fn run(self) -> io::Error {
        if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
            return error.into();
        }
        // It may have ended before it could be watched.
        let parent = getppid().map(Pid::as_raw_nonzero);
        if parent.map(|id| id.get().unsigned_abs()) != Some(self.parent) {
            return io::Error::other(format!("process {} has ended already", self.parent));
        }
        let error = Command::new(&self.program).args(self.arguments).exec();
        io::Error::new(
            error.kind(),
            format!("cannot start {}: {error}", self.program.display()),
        )
    }
}

/// The command by which this process starts `program` through [`Exec`].
pub(super) fn command(program: &Path, arguments: &[OsString]) -> Command {
    let mut command = Command::new(THIS_PROGRAM);
    command
        .arg0("pilot-agent")
        .arg(Exec::NAME)
        .arg("--parent")
        .arg(std::process::id().to_string())
        .arg(program)
        .args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    enum Line {
        #[command(name = Exec::NAME)]
        Exec(Exec),
    }

    #[test]
    fn the_command_is_understood_as_it_is_given() {
        let arguments = ["-c", "e.json", "--config-yaml", "a: --help", "--"].map(OsString::from);
        let command = command(Path::new("/bin/envoy"), &arguments);
        assert_eq!(command.get_program(), THIS_PROGRAM);
        let line = std::iter::once("pilot-agent".as_ref()).chain(command.get_args());
        let Line::Exec(exec) = Line::try_parse_from(line).unwrap();
        assert_eq!(exec.parent, std::process::id());
        assert_eq!(exec.program, Path::new("/bin/envoy"));
        assert_eq!(exec.arguments, arguments);
    }

    #[test]
    fn a_parent_that_has_gone_is_noticed() {
        let exec = Exec {
            parent: std::process::id(),
            program: "/bin/false".into(),
            arguments: Vec::new(),
        };
        let error = exec.run();
        set_parent_process_death_signal(None).unwrap();
        assert!(error.to_string().contains("has ended already"), "{error}");
    }
}
