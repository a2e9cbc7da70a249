//! What is known of each file, and what a batch of changes means for the sets of the registry.
//!
//! A set is a file. Of a file that has been read, only a hash and the keys of its objects are kept: the store has the rest.
//! A file that has not changed is not parsed, and a file that has vanished is looked for once more a moment later, because
//! many editors and tools remove a file and then write it anew.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::registry::{Object, ObjectKey};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_128;

use pilothouse_manifests::kubernetes::Names;
use pilothouse_manifests::{Finding, Reading, Unknown};

use crate::disk::{Batch, Concern, Content, Layout, Listing, ReadError, Watches, content};

/// So long a file may be missing before its objects are removed.
const GRACE: Duration = Duration::from_millis(100);

/// A file that cannot be read is tried again after this, in case the platform does not tell when it can be.
const RETRY: Duration = Duration::from_secs(5);

/// The same for the root, without which there is nothing to be told by.
const RETRY_ROOT: Duration = Duration::from_secs(1);

/// The time between two looks where the platform reports no events.
const POLL: Duration = Duration::from_secs(2);

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
    names: Names,
    layout: Layout,
    files: BTreeMap<String, File>,
    /// Kinds that have been reported as unknown.
    unknown: BTreeSet<(String, String)>,
}

#[derive(Debug, Default)]
struct File {
    /// Of the content that was last stated; `None` if it is to be stated whatever it is.
    hash: Option<u128>,
    keys: Box<[ObjectKey]>,
    /// Since when it has been missing or empty.
    missing: Option<Instant>,
}

/// What a look at some files found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What each set consists of, of those that are different.
    pub(crate) statements: BTreeMap<String, Statement>,
    /// The files, and directories below the root, that cannot be read.
    pub(crate) failing: BTreeMap<String, Arc<ReadError>>,
    /// Why nothing can be read; the rest is then empty.
    pub(crate) root: Option<ReadError>,
    /// Why the statements may be a fault of the platform.
    pub(crate) doubtful: Option<String>,
    /// Every file was looked at.
    pub(crate) complete: bool,
    /// Files to look at again, and when.
    pub(crate) look_again: BTreeMap<String, Instant>,
    /// When to look at everything again.
    pub(crate) rescan_at: Option<Instant>,
}

/// What one file says.
#[derive(Debug, Default)]
pub(crate) struct Statement {
    /// The objects in it.
    pub(crate) objects: Vec<Object>,
    /// What is wrong with these and others.
    pub(crate) findings: Vec<Finding>,
}

/// Asked to stop in the middle.
#[derive(Debug)]
pub(crate) struct Stopped;

impl Files {
    /// The files of `root`, an absolute path, with services of these names. Those that an earlier run has `stated` are looked for, whether or not they are still
    /// there: the store has what they said.
    pub(crate) fn new(root: &Path, names: Names, stated: impl IntoIterator<Item = String>) -> Self {
        Self {
            root: root.to_owned(),
            names,
            layout: Layout::default(),
            files: stated
                .into_iter()
                .map(|name| (name, File::default()))
                .collect(),
            unknown: BTreeSet::new(),
        }
    }

    /// Looks at what `batch` names. Blocks.
    ///
    /// # Errors
    /// `stop` was cancelled; what was found by then is lost.
    pub(crate) fn look(
        &mut self,
        batch: Batch,
        watches: &mut Option<Watches>,
        stop: &CancellationToken,
    ) -> Result<Outcome, Stopped> {
        let now = Instant::now();
        let mut outcome = Outcome::default();
        let mut dirty = batch.files;
        let mut rescan = batch.rescan;
        for place in &batch.paths {
            match self.layout.concern(place) {
                Concern::None => {}
                Concern::Files(files) => dirty.extend(files),
                Concern::Layout => rescan = true,
            }
        }
        rescan |= dirty.iter().any(|file| self.root.join(file).is_dir());
        if rescan {
            match self.list(watches) {
                Ok(listing) => dirty.extend(self.listed(listing, now, &mut outcome)),
                Err(error) => {
                    return Ok(Outcome {
                        root: Some(error),
                        rescan_at: Some(now + RETRY_ROOT),
                        ..outcome
                    });
                }
            }
        } else {
            self.layout
                .relink(&self.root, &dirty, &mut watcher(watches));
        }
        for file in &dirty {
            if stop.is_cancelled() {
                return Err(Stopped);
            }
            self.read(file, now, &mut outcome);
        }
        self.bury(now, &mut outcome);
        if watches.as_ref().is_some_and(Watches::polling) {
            outcome.rescan_at = Some(now + POLL);
        }
        Ok(outcome)
    }

    fn list(&mut self, watches: &mut Option<Watches>) -> Result<Listing, ReadError> {
        let (layout, listing) = Layout::list(&self.root, &mut watcher(watches));
        if listing.is_ok() {
            self.layout = layout;
        } else {
            // What leads to the root is watched beside what was known: either may be the first to change.
            self.layout.merge(layout);
        }
        if let Some(watches) = watches {
            watches.retain(&self.layout.watched());
        }
        listing
    }

    /// The files to look at after a listing. Those in a directory that cannot be listed stay as they are.
    fn listed(
        &mut self,
        listing: Listing,
        now: Instant,
        outcome: &mut Outcome,
    ) -> BTreeSet<String> {
        let mut files: BTreeSet<_> = self.files.keys().cloned().collect();
        for (dir, error) in listing.unreadable {
            let error = Arc::new(error);
            let within: Vec<_> = files
                .extract_if(.., |file| {
                    file.strip_prefix(dir.as_str())
                        .is_some_and(|rest| rest.starts_with('/'))
                })
                .collect();
            for file in within {
                if let Some(known) = self.files.get_mut(&file) {
                    known.hash = None;
                }
                outcome.failing.insert(file, Arc::clone(&error));
            }
            // As a file without objects, it is found to have gone as soon as it is a directory again.
            files.remove(&dir);
            self.files.entry(dir.clone()).or_default();
            outcome.look_again.insert(dir.clone(), now + RETRY);
            outcome.failing.insert(dir, error);
        }
        files.extend(listing.files);
        outcome.complete = true;
        files
    }

    fn read(&mut self, name: &str, now: Instant, outcome: &mut Outcome) {
        match content(&self.root.join(name)) {
            Content::Gone => {
                if let Some(file) = self.files.get_mut(name) {
                    file.missing.get_or_insert(now);
                }
            }
            Content::Unreadable(error) => {
                let file = self.files.entry(name.to_owned()).or_default();
                (file.hash, file.missing) = (None, None);
                outcome.failing.insert(name.to_owned(), Arc::new(error));
                outcome.look_again.insert(name.to_owned(), now + RETRY);
            }
            Content::Text(text) => self.take(name, &text, now, outcome),
        }
    }

    fn take(&mut self, name: &str, text: &str, now: Instant, outcome: &mut Outcome) {
        let hash = xxh3_128(text.as_bytes());
        if let Some(file) = self.files.get_mut(name) {
            if file.hash == Some(hash) {
                file.missing = None;
                return;
            }
            // A file that was cut to nothing is most often about to be written.
            if text.trim().is_empty() && !file.keys.is_empty() {
                file.missing.get_or_insert(now);
                return;
            }
        }
        let Reading {
            objects,
            findings,
            unknown,
            passed_over,
            ..
        } = Reading::of_cluster(name, text, &self.names);
        for Unknown {
            api_version,
            key,
            at,
        } in passed_over
        {
            tracing::debug!(object = %key, %api_version, %at, "means nothing to a mesh and is skipped");
        }
        for Unknown {
            api_version,
            key,
            at,
        } in unknown
        {
            let kind = key.kind.to_string();
            if self.unknown.insert((api_version.clone(), kind.clone())) {
                tracing::warn!(%kind, %api_version, %at, "objects of this kind are not read and are skipped");
            }
        }
        let rejected = findings.iter().filter_map(|finding| finding.key.clone());
        let keys = objects
            .iter()
            .map(|object| object.meta.key.clone())
            .chain(rejected)
            .collect();
        self.files.insert(
            name.to_owned(),
            File {
                hash: Some(hash),
                keys,
                missing: None,
            },
        );
        outcome
            .statements
            .insert(name.to_owned(), Statement { objects, findings });
    }

    /// Removes what has been missing for long enough, or has moved to another file.
    fn bury(&mut self, now: Instant, outcome: &mut Outcome) {
        let stated: BTreeSet<_> = outcome
            .statements
            .values()
            .flat_map(|said| &said.objects)
            .map(|object| &object.meta.key)
            .collect();
        let mut gone = Vec::new();
        for (name, file) in &self.files {
            let Some(since) = file.missing else { continue };
            if now >= since + GRACE || file.keys.iter().all(|key| stated.contains(key)) {
                gone.push(name.clone());
            } else {
                outcome.look_again.insert(name.clone(), since + GRACE);
            }
        }
        if gone.is_empty()
            && outcome
                .statements
                .values()
                .all(|said| !said.objects.is_empty())
        {
            return;
        }
        // From files that are missing in a root that is missing, nothing follows.
        if fs::read_dir(&self.root).is_err() {
            outcome.rescan_at = Some(now);
            return;
        }
        for name in gone {
            self.files.remove(&name);
            outcome.statements.insert(name, Statement::default());
        }
        if self.files.is_empty() && !outcome.statements.is_empty() {
            outcome.doubtful = Some(format!(
                "there is no configuration left in {}",
                self.root.display()
            ));
        }
    }
}

fn watcher(watches: &mut Option<Watches>) -> impl FnMut(&Path) {
    move |dir| {
        if let Some(watches) = watches {
            watches.watch(dir);
        }
    }
}
