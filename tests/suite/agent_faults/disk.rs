//! A disk without room.

use std::path::{Path, PathBuf};
use std::process::Command;

use pilothouse_tests::agent::Agent;
use pilothouse_tests::ports::free_address;

use super::scene::{ended, log, options};
use crate::world::Scratch;

/// A file system of one page that is full, unmounted when dropped.
struct Full(PathBuf);

impl Full {
    fn mount(at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4k", "tmpfs"])
            .arg(at)
            .status()
            .unwrap();
        assert!(mounted.success(), "no tmpfs can be mounted: is this root?");
        std::fs::write(at.join("ballast"), [0; 4096]).unwrap();
        Self(at.to_owned())
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

#[tokio::test]
async fn a_full_disk_is_named() {
    let dir = Scratch::new();
    let full = Full::mount(&dir.path().join("full"));
    let options = options(free_address().unwrap(), dir.path())
        .await
        .arg("--configPath", &full.0);
    let mut agent = Agent::spawn(&options).unwrap();
    let status = ended(agent.process()).await;
    let log = log(&mut agent);
    assert_eq!(status.code(), Some(1), "{log}");
    let at = full.0.display().to_string();
    assert!(
        log.contains("No space left on device") && log.contains(&at),
        "{log}"
    );
}
