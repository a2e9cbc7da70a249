//! The platform's file events, as changes of places.
//!
//! Directories are watched one by one and under the path that has no link in it: a watch that is recursive misses what
//! happens in a new directory before it is watched, and two paths to one directory share one watch.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::settle::{Change, Settling};

/// So many changes are kept until they are looked at; after that everything is looked at.
const PENDING: usize = 1 << 16;

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Signals {
    changes: mpsc::Receiver<(PathBuf, Change)>,
    lost: Arc<AtomicBool>,
}

/// The directories that are watched. Where the platform refuses, it says so once and [`polling`](Self::polling) is true.
#[derive(Debug)]
pub(crate) struct Watches {
    watcher: Option<RecommendedWatcher>,
    dirs: BTreeSet<PathBuf>,
}

impl Watches {
    /// Watches nothing so far.
    pub(crate) fn new() -> (Self, Signals) {
        let (sender, changes) = mpsc::channel(PENDING);
        let lost = Arc::new(AtomicBool::new(false));
        let signals = Signals {
            changes,
            lost: lost.clone(),
        };
        let handler = move |event: notify::Result<Event>| match event {
            Ok(event) if !event.need_rescan() => {
                let Some(change) = change(event.kind) else {
                    return;
                };
                for path in event.paths {
                    if sender.try_send((path, change)).is_err() {
                        lose(&lost, &sender);
                    }
                }
            }
            // The queue of the platform ran over, or it cannot say what happened.
            Ok(_) | Err(_) => lose(&lost, &sender),
        };
        let mut watches = Self {
            watcher: None,
            dirs: BTreeSet::new(),
        };
        match notify::recommended_watcher(handler) {
            Ok(watcher) => watches.watcher = Some(watcher),
            Err(error) => watches.refused(&error),
        }
        (watches, signals)
    }

    /// Whether the platform reports no events and one has to look again and again.
    pub(crate) fn polling(&self) -> bool {
        self.watcher.is_none()
    }

    /// Watches `dir`, a path without links. It may be one that replaced another of the same name, so it is asked for each time.
    pub(crate) fn watch(&mut self, dir: &Path) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        match watcher.watch(dir, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.dirs.insert(dir.to_owned());
            }
            // What is not there, or not for us, cannot be watched; its parent tells when that changes.
            Err(error) if not_there(&error) => {
                self.dirs.remove(dir);
            }
            Err(error) => self.refused(&error),
        }
    }

    /// Stops watching what is not in `wanted`.
    pub(crate) fn retain(&mut self, wanted: &BTreeSet<&Path>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        self.dirs.retain(|dir| {
            let keep = wanted.contains(dir.as_path());
            if !keep {
                // It fails for a directory that has gone, which is then no longer watched anyway.
                let _ = watcher.unwatch(dir);
            }
            keep
        });
    }

    /// Looks are to be taken instead of events.
    pub(crate) fn refused(&mut self, error: &notify::Error) {
        self.watcher = None;
        self.dirs.clear();
        tracing::warn!(
            %error,
            "the platform reports no file events; files are looked at every two seconds instead \
             (on Linux, raise fs.inotify.max_user_watches and fs.inotify.max_user_instances)"
        );
    }
}

impl Signals {
    /// Waits for the next change and takes note of all there are.
    pub(crate) async fn collect(&mut self, settling: &mut Settling) {
        let Some(first) = self.changes.recv().await else {
            // Without a watcher there are no changes.
            return std::future::pending().await;
        };
        let now = Instant::now();
        let mut next = Some(first);
        while let Some((path, change)) = next {
            if !path.as_os_str().is_empty() {
                settling.note(now, path, change);
            }
            next = self.changes.try_recv().ok();
        }
        if self.lost.swap(false, Ordering::Acquire) {
            settling.rescan(now);
        }
    }
}

/// Asks for everything to be looked at.
fn lose(lost: &AtomicBool, sender: &mpsc::Sender<(PathBuf, Change)>) {
    lost.store(true, Ordering::Release);
    // Wakes the receiver. If the queue is full, it is awake and will ask again.
    let _ = sender.try_send((PathBuf::new(), Change::Touched));
}

fn change(kind: EventKind) -> Option<Change> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Change::Closed),
        // Somebody looks at it, most often we.
        EventKind::Access(_) => None,
        EventKind::Create(CreateKind::File) => Some(Change::Created),
        EventKind::Modify(ModifyKind::Data(_)) => Some(Change::Written),
        EventKind::Modify(ModifyKind::Metadata(_)) => Some(Change::Touched),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => Some(Change::Replaced),
    }
}

fn not_there(error: &notify::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => matches!(error.kind(), NotFound | PermissionDenied | NotADirectory),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::settle::Batch;

    #[tokio::test]
    async fn events_name_places() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (mut watches, mut signals) = Watches::new();
        watches.watch(&root);
        watches.watch(&root.join("nothing"));
        assert!(!watches.polling());
        fs::write(root.join("a.yaml"), "a").unwrap();
        let mut settling = Settling::default();
        while settling.due().is_none() {
            signals.collect(&mut settling).await;
        }
        let far = Instant::now() + std::time::Duration::from_secs(10);
        assert_eq!(
            settling.take(far),
            Batch {
                paths: [root.join("a.yaml")].into(),
                ..Batch::default()
            }
        );
    }

    #[tokio::test]
    async fn when_events_are_lost_everything_is_looked_at() {
        let (sender, changes) = mpsc::channel(1);
        let lost = Arc::new(AtomicBool::new(false));
        let mut signals = Signals {
            changes,
            lost: Arc::clone(&lost),
        };
        sender
            .try_send((PathBuf::from("/a"), Change::Replaced))
            .unwrap();
        lose(&lost, &sender);
        let mut settling = Settling::default();
        signals.collect(&mut settling).await;
        let batch = settling.take(Instant::now() + crate::disk::settle::QUIET);
        assert_eq!(
            batch,
            Batch {
                rescan: true,
                paths: ["/a".into()].into(),
                ..Batch::default()
            }
        );
    }
}
