//! The loop of rules: everything below a prefix of the key-value store, one object per key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::registry::{Closed, Origin, Problem, SetId, Tx};
use pilothouse_manifests::Reading;
use tokio::time::sleep_until;

use super::first::Pending;
use super::follow::{Follow, Verdict};
use super::{Shared, Unreadable, rights};
use crate::client::{Answer, Error, KvPair, Readable};

/// The keys below a prefix.
pub(super) struct Watch {
    shared: Shared,
    prefix: String,
    /// Dropped with the first word about them.
    pending: Option<Pending>,
    /// What is known, by key: when it was written; 0 for what the token may not read, although it could.
    known: BTreeMap<String, u64>,
}

/// What the set of a key is called.
fn set_of(key: &str) -> SetId {
    SetId::new(format!("kv/{key}"))
}

impl Watch {
    pub(super) fn new(shared: Shared, prefix: String, pending: Pending) -> Self {
        Self {
            shared,
            prefix,
            pending: Some(pending),
            known: BTreeMap::new(),
        }
    }

    /// Follows the keys until the store is gone.
    pub(super) async fn run(mut self) -> Result<(), Closed> {
        let set = set_of(&self.prefix);
        let mut follow = Follow::new(self.shared.config.max_stale);
        loop {
            let query = self.shared.query(follow.index(self.shared.config.wait));
            let answer = self.shared.api.list(&self.prefix, &query).await;
            let next = match self.state(answer, &set, &mut follow).await? {
                Ok(()) => {
                    self.pending = None;
                    follow.worked()
                }
                Err(why) => {
                    self.shared.failing(&set, &why);
                    follow.failed()
                }
            };
            sleep_until(next).await;
        }
    }

    /// States the keys that differ, if the answer is the truth.
    async fn state(
        &mut self,
        answer: Result<Answer<Vec<KvPair>>, Error>,
        set: &SetId,
        follow: &mut Follow,
    ) -> Result<Result<(), Unreadable>, Closed> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error.into())),
        };
        // A key that ends with a slash is a folder, and has no value.
        let pairs = answer.value.iter().filter(|pair| !pair.key.ends_with('/'));
        let found: BTreeMap<&str, &KvPair> = pairs.map(|pair| (pair.key.as_str(), pair)).collect();
        let written = |key: &String| found.get(key.as_str()).map(|pair| pair.modify_index);
        let same = found.len() == self.known.len()
            && self.known.iter().all(|(key, at)| written(key) == Some(*at));
        let loses = self.known.keys().any(|key| written(key).is_none());
        let doubt = match follow.judge(&answer, same, loses) {
            Verdict::Known => return Ok(Ok(())),
            Verdict::Untrue(why) => return Ok(Err(Unreadable::Untrue(why))),
            Verdict::State(doubt) => doubt,
        };
        let lost = self.known.keys().filter(|key| written(key).is_none());
        let lost: BTreeSet<&String> = lost.collect();
        let hidden = lost.iter().map(|key| Readable::Key((*key).clone()));
        let hidden = match self.shared.hidden(hidden.collect(), answer.filtered).await {
            Ok(hidden) => hidden,
            Err(error) => return Ok(Err(error.into())),
        };
        let (hidden_keys, gone): (BTreeSet<_>, BTreeSet<_>) = lost
            .into_iter()
            .partition(|key| hidden.contains(&Readable::Key((*key).clone())));
        let domain: Arc<str> = self.shared.naming.suffix().into();
        let mut tx = self.shared.updates.begin();
        tx.clear(set.clone());
        for (key, pair) in &found {
            if self.known.get(*key) != Some(&pair.modify_index) {
                state_key(&mut tx, pair, &domain);
            }
        }
        for key in gone {
            tx.clear(set_of(key));
        }
        if let Some(why) = doubt {
            tx.doubtful(why);
        }
        tx.commit().await?;
        if !hidden.is_empty() {
            let mut tx = self.shared.updates.begin();
            for key in &hidden_keys {
                tx.clear(set_of(key));
            }
            tx.doubtful_until_confirmed(rights::why(&hidden));
            tx.commit().await?;
            follow.look_again();
        }
        let read = found.iter().map(|(key, pair)| (*key, pair.modify_index));
        let unread = hidden_keys.iter().map(|key| (key.as_str(), 0));
        let known = read.chain(unread).map(|(key, at)| (key.to_owned(), at));
        self.known = known.collect();
        Ok(Ok(()))
    }
}

/// States what a key says, with short names completed. What cannot be read of it keeps its last good version.
fn state_key(tx: &mut Tx, pair: &KvPair, domain: &Arc<str>) {
    let set = set_of(&pair.key);
    let mut reading = match std::str::from_utf8(&pair.value) {
        Ok(text) => Reading::of(&pair.key, text),
        Err(error) => {
            tx.clear(set.clone());
            let problem = Problem::error("", format!("it is no text: {error}"));
            let at = Origin::new(pair.key.as_str());
            tx.reject(&set, None, at, vec![problem]);
            return;
        }
    };
    for object in &mut reading.objects {
        object.meta.domain = Some(domain.clone());
    }
    tx.replace(set.clone(), reading.objects);
    for finding in reading.findings {
        tx.reject(&set, finding.key, finding.at, finding.problems);
    }
    for unknown in reading.unknown {
        tracing::warn!(
            target: "consul", key = %pair.key, object = %unknown.key, api_version = %unknown.api_version,
            "objects of this kind are not read"
        );
    }
}
