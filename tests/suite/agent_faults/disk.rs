//! A disk without room.

use std::path::{Path, PathBuf};
use std::process::Command;

use pilothouse_tests::ports::free_address;

use super::scene::Options;
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
    let mut agent = Options::new(free_address().unwrap(), dir.path())
        .config_path(&full.0)
        .start()
        .await;
    assert_eq!(agent.ended().await.code(), Some(1), "{}", agent.log());
    let log = agent.log();
    assert!(
        log.contains("No space left on device") && log.contains(&full.0.display().to_string()),
        "{log}"
    );
}
