//! Rules: the one object of each name, and what it declares.

mod destinations;
mod ingresses;
mod telemetry;
mod virtuals;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::Join;
use super::services::Part;
use super::workloads::Claim;
use crate::mesh::{Rule, Source};
use crate::model::{AutomaticAddress, Host, ServiceKey, ServiceSource};
use crate::registry::{Meta, Object, ObjectKey, RegistryId, Value};
use crate::rules::{self, Resolved, RuleSpec, resolve};
use crate::status::{Contest, Lost, NotSupported};
use crate::store::few::Few;

/// Who states each rule, and what the one in force declares.
#[derive(Debug, Default)]
pub(super) struct Table {
    stated: HashMap<ObjectKey, Few<RegistryId, Arc<Object>>, RandomState>,
    declared: HashMap<ObjectKey, Declared, RandomState>,
    told: destinations::Told,
    ingresses: ingresses::Due,
    unheard: virtuals::Unheard,
    routing: virtuals::Due,
    telemetry: telemetry::Told,
}

#[derive(Debug)]
struct Declared {
    by: Source,
    services: Vec<ServiceKey>,
    workload: Option<super::WorkloadId>,
}

impl Join {
    pub(super) fn put_rule(&mut self, source: Source, object: Arc<Object>) {
        let Source {
            registry,
            object: key,
        } = source;
        self.rules
            .stated
            .entry(key.clone())
            .or_default()
            .insert(registry, object);
        self.due.rules.insert(key);
    }

    pub(super) fn take_rule(&mut self, source: &Source) {
        if let Some(all) = self.rules.stated.get_mut(&source.object) {
            all.remove(&source.registry);
        }
        self.status.not_lost(source, &Contest::Name);
        self.status.not_supported(source, None);
        self.due.rules.insert(source.object.clone());
    }

    pub(super) fn settle_rule(&mut self, key: &ObjectKey) {
        self.work.rules += 1;
        let stated = self.rules.stated.get(key).into_iter().flat_map(Few::iter);
        let winner = stated.min_by_key(|(registry, object)| (object.meta.created, *registry));
        let winner = winner.map(|(registry, object)| (registry.clone(), Arc::clone(object)));
        self.report_rule_conflicts(key, winner.as_ref().map(|(registry, _)| registry));
        let kept = winner
            .as_ref()
            .and_then(|(_, object)| object.meta.kept_addresses.clone());
        if winner.is_none() {
            self.rules.stated.remove(key);
        }

        let rule = winner.and_then(|(registry, object)| match &object.value {
            Value::Rule(spec) => Some(Rule {
                source: Source {
                    registry,
                    object: key.clone(),
                },
                // The platform's count changes without meaning, and addresses count where they are given: neither is part of the mesh.
                meta: Meta {
                    generation: 0,
                    kept_addresses: None,
                    ..object.meta.clone()
                },
                resolved: Resolved::of(&object.meta, spec),
                spec: spec.clone(),
            }),
            _ => None,
        });
        let earlier = self.rules.declared.remove(key);
        let declared = rule
            .as_ref()
            .map(|rule| self.declare(rule, kept.as_deref()));
        if let Some(earlier) = earlier {
            self.withdraw(&earlier, declared.as_ref());
        }
        if let Some(declared) = declared {
            self.rules.declared.insert(key.clone(), declared);
        }

        if self.mesh.rule(key).map(|before| &**before) != rule.as_ref() {
            let before = self.mesh.rule(key).cloned();
            self.mesh.set_rule(key, rule.map(Arc::new));
            self.touched.rules.insert(key.clone());
            let after = self.mesh.rule(key).cloned();
            for rule in before.iter().chain(&after) {
                self.report_destination_conflicts(rule);
            }
            self.note_routing(before.as_deref(), after.as_deref());
            self.note_ingress(key);
        }
    }

    fn declare(
        &mut self,
        rule: &Rule,
        kept: Option<&BTreeMap<Host, AutomaticAddress>>,
    ) -> Declared {
        let by = rule.source.clone();
        let mut declared = Declared {
            by: by.clone(),
            services: Vec::new(),
            workload: None,
        };
        let cluster = by.registry.cluster.clone();
        let trust_domain = Arc::clone(&self.mesh.config().trust_domain);
        if let RuleSpec::ServiceEntry(entry) = &rule.spec {
            for (mut service, endpoints) in
                resolve::services(&rule.meta, entry, &cluster, &trust_domain)
            {
                let key = service.key.clone();
                service.automatic = kept.and_then(|kept| kept.get(&key.host)).copied();
                self.put_part(by.clone(), key.clone(), Part::Rule(endpoints));
                self.declare_service(by.clone(), Arc::new(service));
                declared.services.push(key);
            }
        }
        if let RuleSpec::WorkloadEntry(entry) = &rule.spec {
            let workload = resolve::workload(&rule.meta, entry, &cluster, &trust_domain);
            let claim = Claim {
                by: ServiceSource::Rule,
                created: rule.meta.created,
                workload: Arc::new(workload),
            };
            declared.workload = Some(self.declare_workload(by, claim));
        }
        declared
    }

    /// Takes back what a rule declared and does not any more.
    fn withdraw(&mut self, earlier: &Declared, kept: Option<&Declared>) {
        let kept = kept.filter(|kept| kept.by == earlier.by);
        for key in &earlier.services {
            if kept.is_none_or(|kept| !kept.services.contains(key)) {
                self.take_part(&earlier.by, key);
                self.undeclare_service(&earlier.by, key);
            }
        }
        if let Some(id) = &earlier.workload
            && kept.is_none_or(|kept| kept.workload.as_ref() != Some(id))
        {
            self.undeclare_workload(&earlier.by, id);
        }
    }

    fn report_rule_conflicts(&self, key: &ObjectKey, winner: Option<&RegistryId>) {
        let Some(winner) = winner else { return };
        let source = |registry: &RegistryId| Source {
            registry: registry.clone(),
            object: key.clone(),
        };
        for registry in self.rules.stated.get(key).into_iter().flat_map(Few::keys) {
            let not_supported = rules::kind_of(key.kind.as_str())
                .and_then(NotSupported::of)
                .filter(|_| registry == winner);
            self.status.not_supported(&source(registry), not_supported);
            if registry == winner {
                self.status.not_lost(&source(registry), &Contest::Name);
            } else {
                self.status
                    .lost(&source(registry), Lost::name(&source(winner)));
            }
        }
    }
}
