//! What a stream asks for of one type, and what a request changes in it.
//!
//! The rules are those of "How the client specifies what resources to return" in Envoy's xDS protocol document.

use std::sync::Arc;

use crate::fanout::{Fanout, Interest, NameSet};
use crate::resource::ResourceType;

const WILDCARD: &str = "*";

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Subscription {
    /// Whether there has been a request.
    asked: bool,
    wildcard: bool,
    /// Whether no name means nothing and not everything: in the state of the world as soon as something has been asked for by
    /// name, and with clients of which it is known.
    explicit: bool,
    names: Option<Arc<NameSet>>,
}

/// What a request has changed.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// The first request of this type.
    pub(super) first: bool,
    /// Names that are to be answered, whether the client has been sent them or not.
    pub(super) added: Option<Arc<NameSet>>,
    /// Everything is asked for, and was not before.
    pub(super) everything: bool,
    /// Whether the interest is another one.
    pub(super) changed: bool,
}

impl Subscription {
    /// Whether there has been a request.
    pub(super) fn asked(&self) -> bool {
        self.asked
    }

    /// No name means nothing, in the first request as well.
    pub(super) fn by_name_only(&mut self) {
        self.explicit = true;
    }

    /// Whether there is anything that is asked for.
    pub(super) fn active(&self) -> bool {
        self.wildcard || self.names.is_some()
    }

    /// What is asked for. Names beside the wildcard add nothing to it.
    pub(super) fn interest(&self) -> Interest {
        match &self.names {
            _ if self.wildcard => Interest::Wildcard,
            Some(names) => Interest::Names(names.clone()),
            None => Interest::None,
        }
    }

    /// How many names are asked for.
    pub(super) fn len(&self) -> usize {
        self.names.as_ref().map_or(0, |names| names.len())
    }

    /// Applies the changes of a delta request.
    pub(super) fn delta(
        &mut self,
        shared: &Fanout,
        resource_type: ResourceType,
        subscribe: Vec<&str>,
        unsubscribe: Vec<&str>,
    ) -> Turn {
        let first = !std::mem::replace(&mut self.asked, true);
        let was = self.wildcard;
        let legacy =
            first && subscribe.is_empty() && resource_type.has_wildcard() && !self.explicit;
        if subscribe.contains(&WILDCARD) || legacy {
            self.wildcard = true;
        } else if unsubscribe.contains(&WILDCARD) {
            self.wildcard = false;
        }
        let added = named(shared, subscribe);
        let removed = named(shared, unsubscribe);
        let mut answer = added.clone();
        let old = self.names.clone();
        if let (Some(old), Some(removed), true) = (&old, &removed, self.wildcard) {
            // What is not asked for by name any more is part of everything: whether it is there has to be said.
            let returned = removed
                .iter()
                .filter(|n| old.contains(n.as_str()))
                .map(|n| n.as_str());
            let names = returned.chain(added.iter().flat_map(|a| a.iter().map(|n| n.as_str())));
            answer = named(shared, names.collect());
        }
        if added.is_some() || removed.is_some() {
            let nothing = shared.names(Vec::new());
            let names = shared.step(
                old.as_ref().unwrap_or(&nothing),
                added.as_ref().unwrap_or(&nothing),
                removed.as_ref().unwrap_or(&nothing),
            );
            self.names = (!names.is_empty()).then_some(names);
        }
        Turn {
            first,
            added: answer,
            everything: self.wildcard && !was,
            changed: self.wildcard != was || !self.wildcard && !same(&old, &self.names),
        }
    }

    /// Replaces the subscription by that of a state-of-the-world request.
    pub(super) fn sotw(
        &mut self,
        shared: &Fanout,
        resource_type: ResourceType,
        names: Vec<&str>,
    ) -> Turn {
        let first = !std::mem::replace(&mut self.asked, true);
        let was = self.wildcard;
        // A list that has only the empty name unsubscribes from everything: some clients cannot send an empty one.
        self.explicit |= !names.is_empty();
        self.wildcard = if names.is_empty() {
            !self.explicit && resource_type.has_wildcard()
        } else {
            names.contains(&WILDCARD)
        };
        let old = std::mem::replace(&mut self.names, named(shared, names));
        let added = match (&old, &self.names) {
            _ if same(&old, &self.names) => None,
            (Some(old), Some(new)) => {
                let added = new.iter().filter(|n| !old.contains(n.as_str()));
                named(shared, added.map(|n| n.as_str()).collect())
            }
            (None, new) => new.clone(),
            (Some(_), None) => None,
        };
        Turn {
            first,
            added,
            everything: self.wildcard && !was,
            changed: self.wildcard != was || !self.wildcard && !same(&old, &self.names),
        }
    }

    /// All names that are asked for, to be answered once more.
    pub(super) fn names(&self) -> Option<&Arc<NameSet>> {
        self.names.as_ref()
    }
}

/// The set of those that are names; `None` if it is empty.
fn named(shared: &Fanout, mut names: Vec<&str>) -> Option<Arc<NameSet>> {
    names.retain(|name| !name.is_empty() && *name != WILDCARD);
    (!names.is_empty()).then(|| shared.names(names))
}

fn same(a: &Option<Arc<NameSet>>, b: &Option<Arc<NameSet>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}
