//! One file that is read again whenever it changes, such as mesh config.

use std::collections::BTreeSet;
use std::io;
use std::path::{self, Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::disk::{Content, ReadError, Settling, Signals, Watches, content, places};

/// So long a file may be missing or empty before that is reported.
const GRACE: Duration = Duration::from_millis(100);

/// A file is looked at so often while it cannot be read, or while the platform reports no events.
const RETRY: Duration = Duration::from_secs(2);

/// Watches the file at `path`, which need not exist yet.
pub fn watch_file(path: impl AsRef<Path>) -> WatchedFile {
    let path = path.as_ref();
    let (watches, signals) = Watches::new();
    let mut settling = Settling::default();
    settling.rescan(Instant::now());
    WatchedFile {
        path: path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        places: BTreeSet::new(),
        watches,
        signals,
        settling,
        missing: None,
        last: None,
    }
}

/// A file that is watched. Whatever changes it is seen: an edit, a rename over it, the flip of a link on the way.
#[derive(Debug)]
pub struct WatchedFile {
    path: PathBuf,
    /// What decides what is found at the path.
    places: BTreeSet<PathBuf>,
    watches: Watches,
    signals: Signals,
    settling: Settling,
    /// Since when it has been missing or empty.
    missing: Option<Instant>,
    last: Option<Result<String, String>>,
}

impl WatchedFile {
    /// The content, at first and then whenever it has changed; or why it cannot be read, whenever that has changed. The
    /// caller keeps the last good content. Dropping the future loses nothing.
    ///
    /// Such a file is small, so it is read on the task that asks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn changed(&mut self) -> Result<String, ReadError> {
        loop {
            let due = self.settling.due();
            tokio::select! {
                // What is due comes before news that may never end.
                biased;
                () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {
                    let now = Instant::now();
                    let batch = self.settling.take(now);
                    if (batch.rescan || !batch.paths.is_disjoint(&self.places))
                        && let Some(news) = self.look(now)
                    {
                        return news;
                    }
                }
                () = self.signals.collect(&mut self.settling) => {}
            }
        }
    }

    fn look(&mut self, now: Instant) -> Option<Result<String, ReadError>> {
        // Watched before it is read, so that no change falls between the two.
        self.places = places(&self.path).into_iter().collect();
        let dirs: BTreeSet<_> = self
            .places
            .iter()
            .filter_map(|place| place.parent())
            .collect();
        dirs.iter().for_each(|dir| self.watches.watch(dir));
        self.watches.retain(&dirs);
        let found = match content(&self.path) {
            Content::Text(text) => Ok(text),
            Content::Unreadable(error) => Err(error),
            Content::Gone => {
                let source = io::Error::from(io::ErrorKind::NotFound);
                Err(ReadError::Io {
                    path: self.path.display().to_string(),
                    source,
                })
            }
        };
        if found.is_err() || self.watches.polling() {
            self.settling.rescan(now + RETRY);
        }
        // Many editors and tools remove or cut a file and then write it anew.
        let incomplete = found.as_ref().map_or(true, |text| text.trim().is_empty());
        if incomplete
            && matches!(self.last, Some(Ok(_)))
            && now < *self.missing.get_or_insert(now) + GRACE
        {
            self.settling.rescan(now + GRACE);
            return None;
        }
        self.missing = None;
        let news = match &found {
            Ok(text) => Ok(text.clone()),
            Err(error) => Err(error.to_string()),
        };
        if self.last.as_ref() == Some(&news) {
            return None;
        }
        self.last = Some(news);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_file_is_read_at_first_and_on_every_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.yaml");
        let mut file = watch_file(&path);
        assert!(matches!(file.changed().await, Err(ReadError::Io { .. })));
        fs::write(&path, "a").unwrap();
        assert_eq!(file.changed().await.unwrap(), "a");
        fs::write(dir.path().join("next"), "b").unwrap();
        fs::rename(dir.path().join("next"), &path).unwrap();
        assert_eq!(file.changed().await.unwrap(), "b");
        fs::write(&path, "b").unwrap();
        fs::remove_file(&path).unwrap();
        assert!(file.changed().await.is_err());
        fs::write(&path, "b").unwrap();
        assert_eq!(file.changed().await.unwrap(), "b");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_flip_of_a_link_on_the_way_is_seen() {
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for version in ["..v1", "..v2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("mesh"), version).unwrap();
        }
        symlink("..v1", at("..data")).unwrap();
        symlink("..data/mesh", at("mesh")).unwrap();
        let mut file = watch_file(at("mesh"));
        assert_eq!(file.changed().await.unwrap(), "..v1");
        symlink("..v2", at("..tmp")).unwrap();
        fs::rename(at("..tmp"), at("..data")).unwrap();
        assert_eq!(file.changed().await.unwrap(), "..v2");
    }
}
