//! Keeps the secrets that are asked for as their files have them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep;

use super::Mounted;
use super::load::{Loaded, load};
use super::name::Source;
use super::wanted::Wanted;
use super::watch::Watches;

/// The secrets that can be served, by name.
pub(super) type Secrets = Arc<BTreeMap<String, Arc<Loaded>>>;

/// The one who reads files.
#[derive(Debug)]
pub(super) struct Keeper {
    mounted: Option<Mounted>,
    poll: Duration,
    wanted: Arc<Wanted>,
    watches: Watches,
    entries: BTreeMap<String, Entry>,
    published: watch::Sender<Secrets>,
}

/// What is known of a name. It is kept while nobody asks: whoever comes back while its files are in disorder is served the
/// last good ones.
#[derive(Debug, Default)]
struct Entry {
    good: Option<Arc<Loaded>>,
    /// What the log has said last.
    complaint: Option<String>,
    doubt: Option<&'static str>,
}

impl Keeper {
    /// A keeper of nothing yet, and what it has.
    pub(super) fn new(
        mounted: Option<Mounted>,
        poll: Duration,
        wanted: Arc<Wanted>,
    ) -> (Self, watch::Receiver<Secrets>) {
        let (published, secrets) = watch::channel(Secrets::default());
        let this = Self {
            mounted,
            poll,
            wanted,
            watches: Watches::new(poll),
            entries: BTreeMap::new(),
            published,
        };
        (this, secrets)
    }

    /// Never ends.
    pub(super) async fn run(mut self) {
        loop {
            let idle = self.look();
            tokio::select! {
                () = self.wanted.changed() => {}
                () = self.watches.changed() => {}
                () = sleep(self.poll), if !idle => {}
            }
        }
    }

    /// Reads the files of every name that is asked for; says whether there is none. They are small, so they are read here.
    fn look(&mut self) -> bool {
        let names = self.wanted.names();
        let sources: BTreeMap<_, _> = names
            .iter()
            .map(|name| (name, Source::of(name, self.mounted.as_ref())))
            .collect();
        // Watched before they are read, so that no change falls between the two.
        let paths = sources
            .values()
            .filter_map(|source| source.as_ref().ok())
            .flat_map(Source::paths);
        self.watches.follow(paths);
        for (name, source) in &sources {
            let loaded = match source {
                Ok(source) => load(name, source),
                Err(why) => Err((*why).to_owned()),
            };
            let entry = self.entries.entry((*name).clone()).or_default();
            entry.take(name, loaded);
            entry.doubt(name, SystemTime::now());
        }
        self.forget(names.len());
        self.publish();
        names.is_empty()
    }

    /// Forgets names that nobody asks for, once they are more than those that somebody does.
    fn forget(&mut self, wanted: usize) {
        const IDLE: usize = 64;
        if self.entries.len() > 2 * wanted + IDLE {
            let names = self.wanted.names();
            self.entries.retain(|name, _| names.contains(name));
        }
    }

    fn publish(&self) {
        let good = self.entries.iter().filter_map(|(name, entry)| {
            let good = entry.good.as_ref()?;
            Some((name.clone(), Arc::clone(good)))
        });
        let secrets: Secrets = Arc::new(good.collect());
        self.published.send_if_modified(|published| {
            let news = *published != secrets;
            if news {
                *published = secrets;
            }
            news
        });
    }
}

impl Entry {
    fn take(&mut self, name: &str, loaded: Result<Loaded, String>) {
        match loaded {
            Ok(loaded) => {
                self.complaint = None;
                let version = &loaded.version;
                let former = self.good.as_ref().map(|good| &good.version);
                if former != Some(version) {
                    tracing::info!(target: "sds", name, version, "secret read");
                    self.good = Some(Arc::new(loaded));
                    self.doubt = None;
                }
            }
            Err(why) => {
                if self.complaint.as_ref() != Some(&why) {
                    if self.good.is_some() {
                        tracing::warn!(target: "sds", name, why, "a secret cannot be used; the last good one is served on");
                    } else {
                        tracing::warn!(target: "sds", name, why, "a secret cannot be used; what needs it waits in Envoy");
                    }
                    self.complaint = Some(why);
                }
            }
        }
    }

    /// Says once that what is served is out of date.
    fn doubt(&mut self, name: &str, now: SystemTime) {
        let doubt = self.good.as_ref().and_then(|good| good.doubt(now));
        if let Some(doubt) = doubt
            && self.doubt != Some(doubt)
        {
            tracing::warn!(target: "sds", name, "the certificate of this secret {doubt}; it is served all the same");
        }
        self.doubt = doubt;
    }
}
