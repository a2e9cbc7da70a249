//! The programs that speak to the kernel: `iptables-save` and `iptables-restore`, in whichever of their two kinds.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::rules::Family;
use super::ruleset::{Ruleset, Table};
use super::saved::{self, Saved};
use super::transition;

/// How long the lock of all such programs is waited for, in seconds.
const WAIT: &str = "30";
/// Where programs of administrators are, which may be missing in the path of others.
const SYSTEM_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// What programs say when the kernel lacks something.
const MISSING_MODULE: [&str; 6] = [
    "No such file or directory",
    "missing kernel module",
    "do you need to insmod",
    "Failed to initialize nft",
    "No chain/target/match by that name",
    "Couldn't load",
];

/// One kind of programs, for one version of IP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    family: Family,
    save: PathBuf,
    restore: PathBuf,
}

/// One kind of programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Backend {
    v4: Programs,
    pub(super) v6: Option<Programs>,
}

impl Backend {
    /// All that are installed, the preferred one first.
    pub(super) fn installed() -> Vec<Self> {
        let kinds = ["-nft", "-legacy"].into_iter().filter_map(Self::find);
        let kinds: Vec<_> = kinds.collect();
        if kinds.is_empty() {
            Self::find("").into_iter().collect()
        } else {
            kinds
        }
    }

    fn find(kind: &str) -> Option<Self> {
        Some(Self {
            v4: Programs::find(Family::V4, "iptables", kind)?,
            v6: Programs::find(Family::V6, "ip6tables", kind),
        })
    }

    /// The programs for a version of IP.
    pub(super) fn programs(&self, family: Family) -> Option<&Programs> {
        match family {
            Family::V4 => Some(&self.v4),
            Family::V6 => self.v6.as_ref(),
        }
    }

    /// The programs for both versions of IP.
    pub(super) fn all(&self) -> impl Iterator<Item = &Programs> {
        [Some(&self.v4), self.v6.as_ref()].into_iter().flatten()
    }

    /// What the kernel has in both versions of IP.
    fn read(&self) -> Result<Saved> {
        let mut all = self.v4.read()?;
        if let Some(v6) = &self.v6 {
            let v6 = v6.read()?;
            all.has_rules |= v6.has_rules;
            if all.ours.is_empty() {
                all.ours = v6.ours;
            }
        }
        Ok(all)
    }
}

/// Chooses among what is installed: the kind that has rules of ours, else the one that has any, else the first that works.
pub(super) fn choose(installed: Vec<Backend>) -> Result<Backend> {
    let mut working = Vec::new();
    let mut first_error = None;
    for backend in installed {
        match backend.read() {
            Ok(saved) => working.push((backend, saved)),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    let index = working
        .iter()
        .position(|(_, saved)| !saved.ours.is_empty())
        .or_else(|| working.iter().position(|(_, saved)| saved.has_rules))
        .unwrap_or_default();
    match (working.into_iter().nth(index), first_error) {
        (Some((backend, _)), _) => Ok(backend),
        (None, Some(error)) => Err(error),
        (None, None) => {
            bail!("there is no iptables-restore in PATH: install the package iptables")
        }
    }
}

impl Programs {
    fn find(family: Family, name: &str, kind: &str) -> Option<Self> {
        Some(Self {
            family,
            save: in_path(&format!("{name}{kind}-save"))?,
            restore: in_path(&format!("{name}{kind}-restore"))?,
        })
    }

    /// The version of IP that they are for.
    pub(super) fn family(&self) -> Family {
        self.family
    }

    /// The name of the one that makes changes.
    pub(super) fn name(&self) -> String {
        self.restore
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// What the kernel has.
    pub(super) fn read(&self) -> Result<Saved> {
        let output = Command::new(&self.save)
            .output()
            .with_context(|| format!("running {}", self.save.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{}", self.refusal(&self.save, None, &said));
        }
        Ok(saved::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Makes what is ours be this, and says whether anything had to change.
    pub(super) fn make(&self, wanted: &Ruleset) -> Result<bool> {
        let seen = self.read()?.ours;
        let mut tables = Table::ALL;
        if wanted.is_empty() {
            // Capturing ends before what it needs.
            tables.reverse();
        }
        let mut changed = false;
        for table in tables {
            let text = transition::restore(table, &seen.table(table), &wanted.table(table));
            if let Some(text) = text {
                self.restore(table, &text)?;
                changed = true;
            }
        }
        Ok(changed)
    }

    fn restore(&self, table: Table, text: &str) -> Result<()> {
        let what = || format!("running {}", self.restore.display());
        let mut child = Command::new(&self.restore)
            .args(["--noflush", "--wait", WAIT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(what)?;
        if let Some(mut input) = child.stdin.take() {
            // A program that refuses the first lines does not read the others; it says why itself.
            input.write_all(text.as_bytes()).ok();
        }
        let output = child.wait_with_output().with_context(what)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!(
                "{}; it was given:\n{text}",
                self.refusal(&self.restore, Some(table), &said)
            );
        }
        Ok(())
    }

    fn refusal(&self, program: &Path, table: Option<Table>, said: &str) -> String {
        let table = table.map_or_else(String::new, |table| format!(" table {table} of"));
        let said = said.trim();
        let mut text = format!(
            "{} could not change{table} {}: {said}",
            program.display(),
            self.family.name()
        );
        if program == self.save {
            text = format!(
                "{} could not read the rules of {}: {said}",
                program.display(),
                self.family.name()
            );
        }
        if let Some(advice) = advice(said) {
            text.push_str(&format!(" ({advice})"));
        }
        text
    }
}

/// What to do about an error that a program has printed.
fn advice(said: &str) -> Option<&'static str> {
    if said.contains("Permission denied") || said.contains("you must be root") {
        return Some(
            "CAP_NET_ADMIN and CAP_NET_RAW are needed: run it as root, or give the container both",
        );
    }
    if said.contains("Read-only file system") {
        return Some("its lock is a file in /run, which must be writable");
    }
    MISSING_MODULE.iter().any(|sign| said.contains(sign)).then_some(
        "the kernel lacks a module: nf_tables with nft_compat, or iptable_raw, iptable_mangle and iptable_nat (ip6table_… for IPv6); and \
         xt_owner, xt_multiport, xt_conntrack, xt_REDIRECT; for DNS xt_CT; for TPROXY xt_TPROXY, xt_mark, xt_connmark, xt_MARK and \
         xt_CONNMARK. Load them with modprobe on the machine itself: a container cannot",
    )
}

/// Finds a program.
pub(super) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = SYSTEM_DIRS.map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        for (said, expected) in [
            (
                "iptables-restore v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)",
                "CAP_NET_ADMIN",
            ),
            (
                "Warning: Extension owner revision 0 not supported, missing kernel module?",
                "xt_owner",
            ),
            (
                "RULE_APPEND failed (No such file or directory): rule in chain ISTIO_TPROXY",
                "xt_TPROXY",
            ),
            (
                "can't initialize iptables table `nat': Table does not exist (do you need to insmod?)",
                "iptable_nat",
            ),
            (
                "Fatal: can't open lock file /run/xtables.lock: Read-only file system",
                "writable",
            ),
        ] {
            assert!(
                advice(said).is_some_and(|text| text.contains(expected)),
                "{said}"
            );
        }
        assert_eq!(advice("Bad argument `x'"), None);
    }

    #[test]
    fn without_programs_there_is_advice() {
        let error = choose(Vec::new()).unwrap_err().to_string();
        assert!(error.contains("install the package iptables"), "{error}");
    }
}
