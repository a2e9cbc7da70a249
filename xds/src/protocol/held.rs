//! What a client holds of one type: a shared content, and a short list of what it holds differently.

use std::sync::Arc;

use crate::fanout::{Content, Exception, Fanout, Has, Interest, find};
use crate::resource::{Name, Version};

/// What has been sent, as far as it has not been rejected. Only what is asked for counts: of the content that stands for it, a
/// client holds the part that it is interested in.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    /// `None`: nothing.
    pub(super) base: Option<Content>,
    /// Sorted.
    pub(super) exceptions: Arc<[Exception]>,
}

impl Held {
    /// What the client has of this name.
    pub(super) fn has(&self, name: &str) -> Has {
        match find(&self.exceptions, name) {
            Some(has) => has.clone(),
            None => Has::of(self.base.as_ref().and_then(|base| base.get(name))),
        }
    }

    /// Whether it is exactly this content.
    pub(super) fn is(&self, content: &Content) -> bool {
        self.exceptions.is_empty() && self.base.as_ref().is_some_and(|base| base.same(content))
    }

    /// What the client has of these names does not count: it is to be sent them again.
    pub(super) fn forget<'a>(&mut self, names: impl IntoIterator<Item = &'a Name>) {
        self.set(names.into_iter().map(|name| (name.clone(), Has::Nothing)));
    }

    /// The client has this instead.
    pub(super) fn set(&mut self, changes: impl IntoIterator<Item = (Name, Has)>) {
        let differs =
            |name: &Name, has: &Has| match self.base.as_ref().and_then(|b| b.get(name.as_str())) {
                Some(item) => has.version() != Some(item.version),
                None => !has.is_nothing(),
            };
        let mut changes: Vec<_> = changes.into_iter().collect();
        // Without a base, nothing is what there is anyhow.
        changes.retain(|(name, has)| {
            differs(name, has) || find(&self.exceptions, name.as_str()).is_some()
        });
        if changes.is_empty() {
            return;
        }
        changes.sort_by(|a, b| a.0.cmp(&b.0));
        let kept = self
            .exceptions
            .iter()
            .filter(|e| changes.binary_search_by(|c| c.0.cmp(&e.name)).is_err());
        let mut exceptions: Vec<_> = kept.cloned().collect();
        let changed = changes.into_iter().filter(|(name, has)| differs(name, has));
        exceptions.extend(changed.map(|(name, has)| Exception { name, has }));
        exceptions.sort_by(|a, b| a.name.cmp(&b.name));
        exceptions.dedup_by(|a, b| a.name == b.name);
        self.exceptions = exceptions.into();
    }

    /// The client forgets everything but these names.
    pub(super) fn keep_only<'a>(&mut self, names: impl IntoIterator<Item = &'a Name>) {
        let kept: Vec<_> = names
            .into_iter()
            .map(|name| (name.clone(), self.has(name.as_str())))
            .collect();
        *self = Self::default();
        self.set(kept);
    }

    /// It is not known what the client has of anything.
    pub(super) fn doubt(&mut self) {
        let unsure = |e: &Exception| Exception {
            name: e.name.clone(),
            has: e.has.clone().unsure(),
        };
        self.exceptions = self.exceptions.iter().map(unsure).collect();
        self.base = None;
    }

    /// Drops what is said about names that are not asked for.
    pub(super) fn restrict(&mut self, interest: &Interest) {
        if self
            .exceptions
            .iter()
            .any(|e| !interest.contains(e.name.as_str()))
        {
            let kept = self
                .exceptions
                .iter()
                .filter(|e| interest.contains(e.name.as_str()));
            self.exceptions = kept.cloned().collect();
        }
    }

    /// What a client holds that reports these names and versions (sorted) and is to have `goal`.
    pub(super) fn reported(
        shared: &Fanout,
        goal: &Content,
        interest: &Interest,
        reported: &[(&str, Version)],
    ) -> Self {
        let everything = shared.diff(None, goal, interest);
        let mut known = vec![false; reported.len()];
        let mut exceptions = Vec::new();
        for segment in &everything.upserts {
            let mut at = 0;
            for item in segment.items() {
                let name = item.name().as_str();
                while reported.get(at).is_some_and(|(other, _)| *other < name) {
                    at += 1;
                }
                let has = match reported.get(at) {
                    Some((other, version)) if *other == name => {
                        if let Some(known) = known.get_mut(at) {
                            *known = true;
                        }
                        Has::Version(Some(*version))
                    }
                    _ => Has::Nothing,
                };
                if has.version() != Some(item.version) {
                    let name = item.name().clone();
                    exceptions.push(Exception { name, has });
                }
            }
        }
        let vanished = reported.iter().zip(known).filter(|(_, known)| !known);
        let vanished = vanished.filter(|((name, _), _)| interest.contains(name));
        exceptions.extend(vanished.map(|((name, version), _)| Exception {
            name: (*name).into(),
            has: Has::Version(Some(*version)),
        }));
        exceptions.sort_by(|a, b| a.name.cmp(&b.name));
        exceptions.dedup_by(|a, b| a.name == b.name);
        Self {
            base: Some(goal.clone()),
            exceptions: exceptions.into(),
        }
    }
}
