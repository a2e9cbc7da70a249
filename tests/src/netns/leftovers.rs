//! Namespaces that a killed test has left: found by the number of the process in their names.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::ip;

/// What names of namespaces begin with.
const PREFIX: &str = "pilothouse-test-";

/// What the names of a process begin with.
pub(super) fn prefix(process: u32) -> String {
    format!("{PREFIX}{process}-")
}

/// Removes namespaces whose process is gone.
pub(super) fn remove() -> Result<()> {
    let all = ip(&["netns", "list"])?;
    for name in all.lines().filter_map(|line| line.split(' ').next()) {
        if owner(name).is_some_and(|process| !is_alive(process)) {
            delete(name);
        }
    }
    Ok(())
}

/// Deletes a namespace, its files, and what runs in it; what cannot be deleted is left to the next time.
pub(super) fn delete(name: &str) {
    if let Ok(processes) = ip(&["netns", "pids", name]) {
        for process in processes.split_whitespace() {
            // It may have ended by itself.
            let script = "kill -KILL \"$0\" 2>/dev/null";
            Command::new("sh")
                .args(["-c", script, process])
                .status()
                .ok();
        }
    }
    ip(&["netns", "delete", name]).ok();
    std::fs::remove_dir_all(files(name)).ok();
}

/// Where files are that replace those of `/etc`.
pub(super) fn files(name: &str) -> PathBuf {
    Path::new("/etc/netns").join(name)
}

/// The process that has made a namespace of ours.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

fn is_alive(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_have_an_owner() {
        assert_eq!(owner(&format!("{}0-one", prefix(77))), Some(77));
        for other in ["one", "pilothouse-test-x-one", "pilothouse-77-one", ""] {
            assert_eq!(owner(other), None, "{other}");
        }
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(u32::MAX));
    }
}
