//! When files may have changed.
//!
//! Directories are watched, not files: a file is replaced by a rename, and a mounted secret changes when a link beside it is
//! turned. An event only says that it is worth looking; what has changed is found by content.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::sleep;

/// Two files that belong together are often written one after the other.
const SETTLE: Duration = Duration::from_millis(100);

/// As many links as Linux follows.
const LINKS: usize = 40;

/// The directories that are watched. Without events of the platform, files are looked at now and then all the same.
#[derive(Debug)]
pub(super) struct Watches {
    watcher: Option<RecommendedWatcher>,
    dirs: BTreeSet<PathBuf>,
    event: Arc<Notify>,
}

impl Watches {
    pub(super) fn new(poll: Duration) -> Self {
        let event = Arc::new(Notify::new());
        let told = Arc::clone(&event);
        let handler = move |event: notify::Result<Event>| {
            if !event.is_ok_and(|event| is_look(event.kind)) {
                told.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(handler)
            .inspect_err(|error| {
                tracing::warn!(target: "sds", %error, "the platform reports no file events; certificates are looked at every {poll:?} instead");
            })
            .ok();
        Self {
            watcher,
            dirs: BTreeSet::new(),
            event,
        }
    }

    /// Watches everything that decides what is found at these paths, and nothing else.
    pub(super) fn follow<'a>(&mut self, paths: impl IntoIterator<Item = &'a Path>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let wanted: BTreeSet<_> = paths.into_iter().flat_map(dirs).collect();
        for dir in self.dirs.difference(&wanted) {
            // It fails for a directory that is gone, which is not watched any more.
            let _ = watcher.unwatch(dir);
        }
        for dir in &wanted {
            // Again each time, because it may be another directory of the same name. Where it cannot be watched, looking now
            // and then remains.
            if let Err(error) = watcher.watch(dir, RecursiveMode::NonRecursive) {
                tracing::debug!(target: "sds", dir = %dir.display(), %error, "a directory cannot be watched");
            }
        }
        self.dirs = wanted;
    }

    /// Waits until something has happened and has come to rest.
    pub(super) async fn changed(&self) {
        self.event.notified().await;
        sleep(SETTLE).await;
    }
}

/// Whether somebody has only looked at a file; most often we have.
fn is_look(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

/// The directories in which a change changes what is found at `path`: that of the file, of each link that it is behind, and
/// for what does not exist the nearest one that does.
fn dirs(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..LINKS {
        let nearest = path
            .ancestors()
            .skip(1)
            .find_map(|dir| dir.canonicalize().ok());
        found.extend(nearest);
        let Ok(target) = path.read_link() else {
            break;
        };
        path = path.parent().map_or(target.clone(), |dir| dir.join(target));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_decides_is_watched() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let check = |path: &str, expected: &[&str]| {
            let expected: Vec<_> = expected.iter().map(|dir| root.join(dir)).collect();
            assert_eq!(dirs(&root.join(path)), expected, "{path}");
        };
        fs::create_dir_all(root.join("mount/..v1")).unwrap();
        fs::write(root.join("mount/..v1/tls.crt"), "").unwrap();
        symlink("..v1", root.join("mount/..data")).unwrap();
        symlink("..data/tls.crt", root.join("mount/tls.crt")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        check("mount/..v1/tls.crt", &["mount/..v1"]);
        check("mount/tls.crt", &["mount", "mount/..v1"]);
        check("not/yet/there", &[""]);
        assert_eq!(dirs(&root.join("loop")).len(), LINKS);
    }

    #[tokio::test]
    async fn a_change_is_told_and_a_look_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tls.crt");
        fs::write(&file, "").unwrap();
        let mut watches = Watches::new(Duration::from_secs(1));
        watches.follow([file.as_path()]);
        fs::read(&file).unwrap();
        fs::write(&file, "x").unwrap();
        watches.changed().await;
        symlink("elsewhere", dir.path().join("link")).unwrap();
        watches.changed().await;
    }
}
