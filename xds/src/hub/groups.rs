//! Groups: who is woken by which change. Members that ask for the same names of a type form one group, so that a change looks
//! at groups and touches only the members of those it concerns.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fanout::NameSet;
use crate::protocol::Interest;
use crate::resource::{Name, ResourceType};

/// A member's number, unique within the process.
pub(crate) type MemberId = u64;

/// The members of one class of proxies, grouped by what they ask for.
#[derive(Debug)]
pub(super) struct Groups<M> {
    by_type: [OfType<M>; ResourceType::ALL.len()],
}

#[derive(Debug)]
struct OfType<M> {
    all: BTreeMap<MemberId, M>,
    /// By the address of the interned set, which the group keeps alive.
    named: BTreeMap<usize, Named<M>>,
}

#[derive(Debug)]
struct Named<M> {
    names: Arc<NameSet>,
    members: BTreeMap<MemberId, M>,
}

impl<M> Default for Groups<M> {
    fn default() -> Self {
        Self {
            by_type: std::array::from_fn(|_| OfType {
                all: BTreeMap::new(),
                named: BTreeMap::new(),
            }),
        }
    }
}

impl<M: Clone> Groups<M> {
    /// Moves a member from the group of `before` to that of `after`.
    pub(super) fn regroup(
        &mut self,
        id: MemberId,
        member: &M,
        resource_type: ResourceType,
        before: &Interest,
        after: &Interest,
    ) {
        let groups = &mut self.by_type[resource_type.index()];
        match before {
            Interest::None => {}
            Interest::Wildcard => {
                groups.all.remove(&id);
            }
            Interest::Names(names) => {
                let at = Arc::as_ptr(names).addr();
                if let Some(group) = groups.named.get_mut(&at) {
                    group.members.remove(&id);
                    if group.members.is_empty() {
                        groups.named.remove(&at);
                    }
                }
            }
        }
        match after {
            Interest::None => {}
            Interest::Wildcard => {
                groups.all.insert(id, member.clone());
            }
            Interest::Names(names) => {
                let group = groups
                    .named
                    .entry(Arc::as_ptr(names).addr())
                    .or_insert_with(|| Named {
                        names: names.clone(),
                        members: BTreeMap::new(),
                    });
                group.members.insert(id, member.clone());
            }
        }
    }

    /// Calls `wake` for every member that asks for any of these names.
    pub(super) fn concerned(
        &self,
        resource_type: ResourceType,
        names: &[Name],
        mut wake: impl FnMut(MemberId, &M),
    ) {
        if names.is_empty() {
            return;
        }
        let groups = &self.by_type[resource_type.index()];
        for (id, member) in &groups.all {
            wake(*id, member);
        }
        for group in groups.named.values() {
            if names.iter().any(|name| group.names.contains(name.as_str())) {
                for (id, member) in &group.members {
                    wake(*id, member);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::Fanout;

    #[test]
    fn a_change_reaches_those_who_ask_for_it_and_nobody_else() {
        let fanout = Fanout::default();
        let names = |names: &[&str]| Interest::Names(fanout.names(names.to_vec()));
        let mut groups = Groups::default();
        let endpoint = ResourceType::Endpoint;
        groups.regroup(
            1,
            &"wildcard",
            endpoint,
            &Interest::None,
            &Interest::Wildcard,
        );
        groups.regroup(
            2,
            &"a and b",
            endpoint,
            &Interest::None,
            &names(&["a", "b"]),
        );
        groups.regroup(3, &"b", endpoint, &Interest::None, &names(&["b"]));
        groups.regroup(
            4,
            &"a, of clusters",
            ResourceType::Cluster,
            &Interest::None,
            &names(&["a"]),
        );
        let woken = |groups: &Groups<&'static str>, name: &str| {
            let mut woken = Vec::new();
            groups.concerned(endpoint, &[Name::from(name)], |_, member| {
                woken.push(*member)
            });
            woken.sort_unstable();
            woken
        };
        assert_eq!(woken(&groups, "a"), ["a and b", "wildcard"]);
        assert_eq!(woken(&groups, "b"), ["a and b", "b", "wildcard"]);
        assert_eq!(woken(&groups, "c"), ["wildcard"]);
        groups.regroup(
            2,
            &"a and b",
            endpoint,
            &names(&["a", "b"]),
            &Interest::None,
        );
        groups.regroup(
            1,
            &"wildcard",
            endpoint,
            &Interest::Wildcard,
            &names(&["c"]),
        );
        assert_eq!(woken(&groups, "a"), [""; 0]);
        assert_eq!(woken(&groups, "c"), ["wildcard"]);
    }
}
