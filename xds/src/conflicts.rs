//! Services that connections do not lead to although they should, because another service is there first.
//!
//! Listeners tell services apart by address, server name and HTTP host. Where two have nothing in which they differ, the older
//! one gets the connections, and the author of the other is told.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::mesh::{Mesh, Source};
use pilothouse_core::model::ServiceKey;
use pilothouse_core::rules::RuleSpec;
use pilothouse_core::status::{Contest, Lost as LostContest, StatusHandle};

use crate::inputs::Lost;
use crate::inputs::router::LostServer;
use crate::resource::Name;

/// How many places are named.
const NAMED: usize = 4;

/// All conflicts of what is served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conflicts {
    /// By who lost to whom: the outbound listeners.
    pub outbound: BTreeMap<Lost, BTreeSet<Name>>,
    /// By who lost to whom: the ports of workloads.
    pub inbound: BTreeMap<Lost, BTreeSet<u16>>,
    /// What of rules has no effect on routers.
    pub servers: BTreeSet<LostServer>,
}

impl Conflicts {
    /// How many services do not get an outbound listener's address that they claim, each counted with each listener.
    pub fn outbound_count(&self) -> usize {
        count(&self.outbound)
    }

    /// How many services do not decide what is spoken on a workload's port, each counted with each port.
    pub fn inbound_count(&self) -> usize {
        count(&self.inbound)
    }

    /// The objects that are to be told, and what.
    fn by_source(&self, mesh: &Mesh) -> BTreeMap<Source, Vec<LostContest>> {
        let outbound = self.outbound.iter().map(|(lost, names)| {
            let why = format!(
                "{} gets the connections to {}: of services that nothing tells apart there, the oldest is used",
                lost.to,
                some(names)
            );
            (lost, why)
        });
        let inbound = self.inbound.iter().map(|(lost, ports)| {
            let why = format!(
                "{} decides what is spoken on the workload's port {}: of services with different protocols, a \
                 platform's goes before a rule's, and then the oldest",
                lost.to,
                some(ports)
            );
            (lost, why)
        });
        let mut all: BTreeMap<Source, Vec<LostContest>> = BTreeMap::new();
        for (lost, why) in outbound.chain(inbound) {
            let Some(to) = declaring(mesh, &lost.to).next() else {
                continue;
            };
            for source in declaring(mesh, &lost.service) {
                all.entry(source.clone()).or_default().push(LostContest {
                    over: Contest::Connections(lost.service.clone()),
                    to: to.clone(),
                    at: None,
                    why: why.as_str().into(),
                });
            }
        }
        for lost in &self.servers {
            let source = |key| mesh.rule(key).map(|rule| rule.source.clone());
            let (Some(loser), Some(to)) = (source(&lost.loser), source(&lost.to)) else {
                continue;
            };
            all.entry(loser).or_default().push(LostContest {
                over: Contest::Server(lost.field.clone()),
                to,
                at: None,
                why: lost.why.clone(),
            });
        }
        all
    }
}

/// Tells the authors of services about conflicts, and takes it back once they are resolved.
#[derive(Debug)]
pub(crate) struct Telling {
    status: StatusHandle,
    told: BTreeSet<Source>,
}

impl Telling {
    /// Tells by way of `status`.
    pub(crate) fn new(status: StatusHandle) -> Self {
        Self {
            status,
            told: BTreeSet::new(),
        }
    }

    /// These are all conflicts of what is made from `mesh`.
    pub(crate) fn tell(&mut self, mesh: &Mesh, conflicts: &Conflicts) {
        let all = conflicts.by_source(mesh);
        let told = std::mem::replace(&mut self.told, all.keys().cloned().collect());
        for resolved in told.difference(&self.told) {
            self.status.connections_lost(resolved, Vec::new());
        }
        for (source, lost) in all {
            self.status.connections_lost(&source, lost);
        }
    }
}

fn count<T: Ord>(conflicts: &BTreeMap<Lost, BTreeSet<T>>) -> usize {
    let pairs = conflicts
        .iter()
        .flat_map(|(lost, places)| places.iter().map(|place| (&lost.service, place)));
    pairs.collect::<BTreeSet<_>>().len()
}

fn some<T: ToString>(places: &BTreeSet<T>) -> String {
    let named: Vec<_> = places.iter().take(NAMED).map(ToString::to_string).collect();
    match places.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The objects that declare a service; all that have a part in it where none is known to declare services.
fn declaring<'a>(mesh: &'a Mesh, key: &ServiceKey) -> impl Iterator<Item = &'a Source> {
    let declares = |source: &Source| {
        let rule = mesh.rule(&source.object);
        source.object.kind.as_str() == "Service"
            || rule.is_some_and(|rule| matches!(rule.spec, RuleSpec::ServiceEntry(_)))
    };
    let all = mesh.sources(key);
    let any = all.iter().any(declares);
    all.iter().filter(move |source| !any || declares(source))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pilothouse_core::model::Host;
    use pilothouse_core::registry::{Meta, RegistryId};

    use super::*;

    fn key(host: &str) -> ServiceKey {
        ServiceKey {
            namespace: "shop".into(),
            host: Host::new(host).unwrap(),
        }
    }

    fn source(kind: &str, host: &str) -> Source {
        Source {
            registry: RegistryId::new("Static", "one"),
            object: Meta::new(kind, "shop", host).key,
        }
    }

    fn lost(host: &str, to: &str) -> Lost {
        Lost {
            service: key(host),
            to: key(to),
        }
    }

    #[test]
    fn authors_are_told_and_untold() {
        let mut mesh = Mesh::default();
        for host in ["a", "b", "c"] {
            let sources = ["Service", "EndpointSlice"].map(|kind| source(kind, host));
            mesh.set_sources(&key(host), Some(Arc::new(sources)));
        }
        let status = StatusHandle::new();
        let mut telling = Telling::new(status.clone());
        let names = |count: usize| {
            let names = (0..count).map(|n| Name::from(format!("10.0.0.{n}_80").as_str()));
            names.collect::<BTreeSet<_>>()
        };
        let mut conflicts = Conflicts {
            outbound: [(lost("b", "a"), names(6)), (lost("c", "a"), names(1))].into(),
            inbound: [(lost("c", "b"), [8080].into())].into(),
            servers: BTreeSet::new(),
        };
        assert_eq!(
            (conflicts.outbound_count(), conflicts.inbound_count()),
            (7, 1)
        );
        telling.tell(&mesh, &conflicts);
        let told = |host: &str| -> Vec<String> {
            let status = status.get();
            let object = status.object(&source("Service", host));
            let lost = object.map(|object| object.lost.clone()).unwrap_or_default();
            lost.iter()
                .map(|lost| format!("{}: {}", lost.to.object.name, lost.why))
                .collect()
        };
        assert_eq!(
            told("b"),
            [
                "a: shop/a gets the connections to 10.0.0.0_80, 10.0.0.1_80, 10.0.0.2_80, 10.0.0.3_80 and 2 more: of services \
              that nothing tells apart there, the oldest is used"
            ]
        );
        assert_eq!(told("c").len(), 2);
        assert_eq!(told("a"), [""; 0]);
        assert!(status.get().object(&source("EndpointSlice", "b")).is_none());

        conflicts.outbound.remove(&lost("b", "a"));
        conflicts.inbound.clear();
        telling.tell(&mesh, &conflicts);
        assert_eq!((told("b").len(), told("c").len()), (0, 1));
        telling.tell(&mesh, &Conflicts::default());
        assert_eq!(status.get().objects().count(), 0);
    }
}
