//! How Envoy ended, which is how the agent ends.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Why Envoy is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitReason {
    /// How it ended.
    pub status: ExitStatus,
    /// Whether the agent had asked it to.
    pub asked: bool,
}

impl ExitReason {
    pub(super) fn asked(status: ExitStatus) -> Self {
        Self {
            status,
            asked: true,
        }
    }

    pub(super) fn unasked(status: ExitStatus) -> Self {
        Self {
            status,
            asked: false,
        }
    }

    /// What the agent exits with: Envoy's code, or 128 and the number of the signal that ended it, as shells have it.
    pub fn code(self) -> u8 {
        let code = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => 1,
        };
        // A code has eight bits wherever it comes from.
        u8::try_from(code & 0xff).unwrap_or(u8::MAX)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status.signal() {
            None => write!(f, "Envoy exited with code {}", self.code())?,
            Some(number) => {
                write!(f, "Envoy was ended by signal {number}")?;
                if let Some(name) = name(number) {
                    write!(f, " ({name})")?;
                }
            }
        }
        if self.status.core_dumped() {
            f.write_str(" and left a core dump")?;
        }
        Ok(())
    }
}

fn name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_words() {
        // As wait(2) reports them: a code in the second byte, a signal in the first, and a core dump beside it.
        for (raw, code, words) in [
            (0, 0, "Envoy exited with code 0"),
            (3 << 8, 3, "Envoy exited with code 3"),
            (9, 137, "Envoy was ended by signal 9 (SIGKILL)"),
            (
                11 | 0x80,
                139,
                "Envoy was ended by signal 11 (SIGSEGV) and left a core dump",
            ),
            (35, 163, "Envoy was ended by signal 35"),
        ] {
            let reason = ExitReason::unasked(ExitStatus::from_raw(raw));
            assert_eq!((reason.code(), reason.to_string().as_str()), (code, words));
        }
    }
}
