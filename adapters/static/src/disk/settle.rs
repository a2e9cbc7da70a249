//! When a changed file is worth reading: a decision function fed with times, without a clock of its own.
//!
//! A file that is being written is read when its writer closes it, so that nobody sees half of it. Several changes within
//! a few milliseconds are read together, so that what moves between files is never missing from both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

/// Changes closer together than this are one.
pub(crate) const QUIET: Duration = Duration::from_millis(5);

/// What never comes to rest is read this long after it began to change.
const RESTLESS: Duration = Duration::from_millis(50);

/// A file may come into being without ever being written: a hard link.
const CREATED: Duration = Duration::from_millis(100);

/// How long after the last write a file is read that its writer does not close; where the platform does not tell of
/// closing, its being quiet has to do.
const WRITING: Duration = if cfg!(any(target_os = "linux", target_os = "android")) {
    Duration::from_secs(1)
} else {
    Duration::from_millis(50)
};

/// A writer that never stops is not waited for any longer.
const ENDLESS: Duration = Duration::from_secs(5);

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It appeared, and perhaps somebody is about to write it.
    Created,
    /// Some of it was written.
    Written,
    /// It was written, and its writer has closed it.
    Closed,
    /// Its owner, permissions or times changed.
    Touched,
    /// It was replaced, renamed or removed as a whole.
    Replaced,
}

/// Changes that wait to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    paths: BTreeMap<PathBuf, Wait>,
    files: BTreeMap<String, Instant>,
    rescan: Option<Instant>,
}

#[derive(Debug)]
struct Wait {
    /// Since when it has been like this.
    since: Instant,
    due: Instant,
    /// Somebody is writing it.
    open: bool,
}

/// What is to be looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Everything.
    pub(crate) rescan: bool,
    /// What changed, as the platform calls it.
    pub(crate) paths: BTreeSet<PathBuf>,
    /// Files to look at again, as the registry calls them.
    pub(crate) files: BTreeSet<String>,
}

impl Settling {
    /// Takes note of a change.
    pub(crate) fn note(&mut self, now: Instant, path: PathBuf, change: Change) {
        let wait = self.paths.entry(path).or_insert(Wait {
            since: now,
            due: now,
            open: false,
        });
        let open = matches!(change, Change::Created | Change::Written)
            || (wait.open && change == Change::Touched);
        if open != wait.open {
            (wait.open, wait.since) = (open, now);
        }
        wait.due = match change {
            Change::Created => now + CREATED,
            Change::Written => (now + WRITING).min(wait.since + ENDLESS),
            Change::Closed | Change::Replaced => (now + QUIET).min(now.max(wait.since + RESTLESS)),
            Change::Touched => wait.due.max(now + QUIET),
        };
    }

    /// Everything is to be looked at, at `due` or before.
    pub(crate) fn rescan(&mut self, due: Instant) {
        self.rescan = Some(self.rescan.map_or(due, |earlier| earlier.min(due)));
    }

    /// A file is to be looked at once more, at `due` or before.
    pub(crate) fn again(&mut self, file: String, due: Instant) {
        let known = self.files.entry(file).or_insert(due);
        *known = due.min(*known);
    }

    /// When something is to be looked at next.
    pub(crate) fn due(&self) -> Option<Instant> {
        let paths = self.paths.values().map(|wait| wait.due);
        paths
            .chain(self.files.values().copied())
            .chain(self.rescan)
            .min()
    }

    /// What is to be looked at now, together with what would be a moment later.
    pub(crate) fn take(&mut self, now: Instant) -> Batch {
        if self.due().is_none_or(|due| due > now) {
            return Batch::default();
        }
        let soon = now + QUIET;
        let rescan = self.rescan.take_if(|due| *due <= soon).is_some();
        let paths = self
            .paths
            .extract_if(.., |_, wait| wait.due <= soon)
            .map(|(path, _)| path)
            .collect();
        let files = self
            .files
            .extract_if(.., |_, due| *due <= soon)
            .map(|(file, _)| file)
            .collect();
        Batch {
            rescan,
            paths,
            files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Plays `changes` (milliseconds, path, what) and lists what is read when.
    fn check(changes: &[(u64, &str, Change)], expected: &[(u64, &[&str])]) {
        let start = Instant::now();
        let mut settling = Settling::default();
        let mut read = Vec::new();
        let mut drain = |settling: &mut Settling, until: Option<Instant>| {
            while let Some(due) = settling
                .due()
                .filter(|due| until.is_none_or(|until| *due <= until))
            {
                let paths = settling
                    .take(due)
                    .paths
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect::<Vec<_>>();
                read.push(((due - start).as_millis(), paths));
            }
        };
        for (at, path, change) in changes {
            let now = start + ms(*at);
            drain(&mut settling, Some(now));
            settling.note(now, path.into(), *change);
        }
        drain(&mut settling, None);
        let expected = expected.iter().map(|(at, paths)| {
            (
                u128::from(*at),
                paths
                    .iter()
                    .map(|path| (*path).to_owned())
                    .collect::<Vec<_>>(),
            )
        });
        assert_eq!(read, expected.collect::<Vec<_>>(), "after {changes:?}");
    }

    use Change::{Closed, Created, Replaced, Touched, Written};

    #[test]
    fn a_replaced_file_is_read_at_once() {
        check(&[(0, "a", Replaced)], &[(5, &["a"])]);
        check(
            &[(0, "a", Created), (1, "a", Written), (2, "a", Closed)],
            &[(7, &["a"])],
        );
    }

    #[test]
    fn changes_that_are_close_are_read_together() {
        check(&[(0, "a", Closed), (4, "b", Closed)], &[(5, &["a", "b"])]);
        check(
            &[(0, "a", Closed), (11, "b", Closed)],
            &[(5, &["a"]), (16, &["b"])],
        );
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn a_file_that_is_being_written_is_read_when_it_is_closed() {
        check(
            &[(0, "a", Written), (700, "a", Written), (900, "a", Closed)],
            &[(905, &["a"])],
        );
        check(
            &[(0, "a", Written), (1, "a", Touched), (2, "b", Closed)],
            &[(7, &["b"]), (1000, &["a"])],
        );
        let endless: Vec<_> = (0..10).map(|i| (i * 600, "a", Written)).collect();
        check(&endless, &[(5000, &["a"]), (6400, &["a"])]);
    }

    #[test]
    fn what_never_comes_to_rest_is_read_all_the_same() {
        let restless: Vec<_> = (0..30).map(|i| (i * 2, "a", Replaced)).collect();
        check(&restless, &[(50, &["a"]), (63, &["a"])]);
    }

    #[test]
    fn the_earliest_rescan_counts() {
        let now = Instant::now();
        let mut settling = Settling::default();
        settling.rescan(now + ms(100));
        settling.rescan(now + ms(50));
        settling.rescan(now + ms(80));
        settling.again("a".to_owned(), now + ms(52));
        assert_eq!(settling.due(), Some(now + ms(50)));
        assert_eq!(settling.take(now + ms(49)), Batch::default());
        let batch = settling.take(now + ms(50));
        assert_eq!(
            batch,
            Batch {
                rescan: true,
                files: ["a".to_owned()].into(),
                ..Batch::default()
            }
        );
        assert_eq!(settling.due(), None);
    }
}
