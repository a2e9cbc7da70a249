//! The names and versions that the clients of one thread have seen, as small numbers.
//!
//! Thousands of clients get the same names in the same order: a look-up guesses the name that followed the last one before, so that it costs a
//! comparison and no hash.

use std::collections::HashMap;
use std::rc::Rc;

use crate::kind::Kind;
use crate::wire;

/// The number of a name, among those of its type.
pub(crate) type NameId = u32;
/// The number of a version, among those of its name; never 0.
pub(crate) type VersionId = u32;

/// One type's names.
#[derive(Debug, Default)]
pub(crate) struct Table {
    ids: HashMap<Box<[u8]>, NameId>,
    entries: Vec<Entry>,
    /// The name that was looked up last.
    last: usize,
    /// The last list of names that was asked for, and its encoding.
    asked: (Vec<NameId>, Rc<[u8]>),
}

#[derive(Debug)]
struct Entry {
    name: Box<[u8]>,
    versions: Vec<Version>,
    /// The name that came after this one.
    next: usize,
}

/// A version and what a resource in that version refers to: the assignment of a cluster, the route tables of a listener.
#[derive(Debug)]
struct Version {
    text: Box<[u8]>,
    refers_to: Vec<NameId>,
}

/// All types' names.
#[derive(Debug, Default)]
pub(crate) struct Tables([Table; Kind::COUNT]);

impl Tables {
    /// The names of a type.
    pub(crate) fn of(&mut self, kind: Kind) -> &mut Table {
        let Self([clusters, endpoints, listeners, routes]) = self;
        match kind {
            Kind::Cluster => clusters,
            Kind::Endpoint => endpoints,
            Kind::Listener => listeners,
            Kind::Route => routes,
        }
    }

    /// The numbers of a resource's name and version. Its content is looked at when the pair is new.
    pub(crate) fn resource(
        &mut self,
        kind: Kind,
        name: &[u8],
        version: &[u8],
        content: &[u8],
    ) -> (NameId, VersionId) {
        let id = self.of(kind).id(name);
        if let Some(version) = self.of(kind).version(id, version) {
            return (id, version);
        }
        let mut refers_to = Vec::new();
        match kind {
            Kind::Cluster => refers_to.extend(
                wire::assignment_of_cluster(content).map(|name| self.of(Kind::Endpoint).id(name)),
            ),
            Kind::Listener => wire::routes_of_listener(content, |name| {
                refers_to.push(self.of(Kind::Route).id(name))
            }),
            Kind::Endpoint | Kind::Route => {}
        }
        let Some(entry) = self.of(kind).entries.get_mut(id as usize) else {
            return (id, 0);
        };
        entry.versions.push(Version {
            text: version.into(),
            refers_to,
        });
        (id, entry.versions.len() as VersionId)
    }
}

impl Table {
    /// The number of a name, which is a new one if it has not been seen.
    pub(crate) fn id(&mut self, name: &[u8]) -> NameId {
        let guess = self.entries.get(self.last).map_or(0, |entry| entry.next);
        let index = if self
            .entries
            .get(guess)
            .is_some_and(|entry| *entry.name == *name)
        {
            guess
        } else {
            self.find(name)
        };
        if let Some(last) = self.entries.get_mut(self.last) {
            last.next = index;
        }
        self.last = index;
        index as NameId
    }

    /// The name with this number.
    pub(crate) fn name(&self, id: NameId) -> &[u8] {
        self.entries
            .get(id as usize)
            .map(|entry| &*entry.name)
            .unwrap_or_default()
    }

    /// The text of a version.
    pub(crate) fn version_text(&self, id: NameId, version: VersionId) -> &[u8] {
        self.version_at(id, version)
            .map(|version| &*version.text)
            .unwrap_or_default()
    }

    /// What the resource refers to in that version.
    pub(crate) fn refers_to(&self, id: NameId, version: VersionId) -> &[NameId] {
        self.version_at(id, version)
            .map(|version| version.refers_to.as_slice())
            .unwrap_or_default()
    }

    /// A list of names as `encode` makes it, shared by the clients that ask for the same.
    pub(crate) fn shared_names(
        &mut self,
        names: Vec<NameId>,
        encode: impl FnOnce(&Self, &[NameId]) -> Vec<u8>,
    ) -> Rc<[u8]> {
        if self.asked.0 != names {
            self.asked = (names, Rc::default());
            self.asked.1 = encode(self, &self.asked.0).into();
        }
        Rc::clone(&self.asked.1)
    }

    fn find(&mut self, name: &[u8]) -> usize {
        if let Some(&id) = self.ids.get(name) {
            return id as usize;
        }
        let index = self.entries.len();
        self.ids.insert(name.into(), index as NameId);
        self.entries.push(Entry {
            name: name.into(),
            versions: Vec::new(),
            next: index + 1,
        });
        index
    }

    fn version_at(&self, id: NameId, version: VersionId) -> Option<&Version> {
        self.entries
            .get(id as usize)?
            .versions
            .get((version as usize).checked_sub(1)?)
    }

    fn version(&self, id: NameId, text: &[u8]) -> Option<VersionId> {
        let versions = &self.entries.get(id as usize)?.versions;
        // The newest is the likeliest.
        versions
            .iter()
            .rposition(|version| *version.text == *text)
            .map(|index| index as VersionId + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_and_version_have_the_same_numbers() {
        let mut tables = Tables::default();
        let mut look = |name: &str, version: &str| {
            tables.resource(Kind::Route, name.as_bytes(), version.as_bytes(), &[])
        };
        let first = [
            look("a", "1"),
            look("b", "1"),
            look("c", "1"),
            look("b", "2"),
        ];
        assert_eq!(first, [(0, 1), (1, 1), (2, 1), (1, 2)]);
        assert_eq!(
            [
                look("c", "1"),
                look("b", "2"),
                look("a", "1"),
                look("b", "1")
            ],
            [(2, 1), (1, 2), (0, 1), (1, 1)]
        );
        assert_eq!(tables.of(Kind::Route).name(2), b"c");
        assert_eq!(tables.of(Kind::Route).version_text(1, 2), b"2");
    }
}
