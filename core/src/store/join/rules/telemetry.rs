//! Kinds of which one rule counts for a workload: who goes first where several are for the same; and `Telemetry`s whose providers
//! are not there.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Join;
use crate::mesh::{Mesh, MeshConfig, ProviderKind, Rule, Source};
use crate::model::{Labels, NamespaceName};
use crate::registry::{ObjectKey, Problem};
use crate::rules::resolve::Telemetry;
use crate::rules::{Resolved, RuleSpec};
use crate::status::{Contest, Lost};

/// The kinds of which one rule counts for a workload.
const KINDS: [&str; 3] = ["ProxyConfig", "Sidecar", "Telemetry"];

/// Who has been told what.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Who lost, by kind and namespace.
    lost: BTreeMap<(&'static str, NamespaceName), BTreeSet<(Source, Contest)>>,
    /// In which namespaces of each kind several rules are for some workloads only.
    several: BTreeSet<(&'static str, NamespaceName)>,
    /// Which rules have providers that are not there.
    lacking: BTreeSet<Source>,
}

impl Join {
    /// Tells authors what of their rules does not count, after everything else has been computed.
    pub(in crate::store::join) fn report_per_workload(&mut self) {
        for kind in KINDS {
            let touched = self.touched.rules.iter();
            let touched = touched.filter(|key| key.kind.as_str() == kind);
            let mut namespaces: BTreeSet<_> = touched.map(|key| key.namespace.clone()).collect();
            if !self.rules.telemetry.several.is_empty() {
                let workloads = self.touched.workloads.iter();
                let moved = workloads.map(|(_, key)| (kind, key.namespace.clone()));
                let known = moved.filter(|of| self.rules.telemetry.several.contains(of));
                namespaces.extend(known.map(|(_, namespace)| namespace));
            }
            for namespace in namespaces {
                self.report_overlaps(kind, &namespace);
            }
        }
        self.report_providers();
    }

    fn report_overlaps(&mut self, kind: &'static str, namespace: &NamespaceName) {
        let rules: Vec<_> = self
            .mesh
            .rules_in(kind, namespace)
            .into_iter()
            .filter_map(|rule| Some((rule, selector(rule)?)))
            .collect();
        let narrow = rules.iter().filter(|(_, of)| of.is_some()).count();
        let mut told = BTreeSet::new();
        for (at, (rule, of)) in rules.iter().enumerate() {
            let earlier = rules.iter().take(at);
            let mut rivals = earlier.filter(|(_, other)| self.overlap(namespace, of, other));
            let Some((winner, _)) = rivals.next() else {
                continue;
            };
            let first = &winner.source.object;
            let why = match of {
                None => format!(
                    "{first} is for all workloads of the namespace, too: of several, the oldest counts"
                ),
                Some(_) => format!(
                    "{first} selects some of its workloads, too: for those the oldest counts"
                ),
            };
            let over = Contest::Workloads(of.clone());
            let lost = Lost {
                over: over.clone(),
                to: winner.source.clone(),
                at: None,
                why: why.into(),
            };
            self.status.lost(&rule.source, lost);
            told.insert((rule.source.clone(), over));
        }
        let at = (kind, namespace.clone());
        if narrow > 1 {
            self.rules.telemetry.several.insert(at.clone());
        } else {
            self.rules.telemetry.several.remove(&at);
        }
        let before = self.rules.telemetry.lost.remove(&at).unwrap_or_default();
        for (source, over) in before.difference(&told) {
            self.status.not_lost(source, over);
        }
        if !told.is_empty() {
            self.rules.telemetry.lost.insert(at, told);
        }
    }

    /// Whether two rules of a namespace are for the same: both for all workloads, or for one that both select.
    fn overlap(
        &self,
        namespace: &NamespaceName,
        one: &Option<Labels>,
        other: &Option<Labels>,
    ) -> bool {
        let (one, other) = match (one, other) {
            (None, None) => return true,
            (Some(one), Some(other)) => (one, other),
            _ => return false,
        };
        let is_within = one.selected_by(other) || other.selected_by(one);
        let mut workloads = self.mesh.workloads();
        is_within
            || workloads.any(|workload| {
                workload.key.namespace == *namespace
                    && workload.labels.selected_by(one)
                    && workload.labels.selected_by(other)
            })
    }

    fn report_providers(&mut self) {
        let config = self.mesh.config();
        let touched = &self.touched;
        let is_due = touched.config
            || touched
                .rules
                .iter()
                .any(|key| key.kind.as_str() == "Telemetry")
            || touched
                .services
                .iter()
                .any(|key| config.takes_reports(&key.host));
        if !is_due {
            return;
        }
        let mut lacking = BTreeSet::new();
        for rule in self.mesh.rules() {
            let Some(Resolved::Telemetry(telemetry)) = &rule.resolved else {
                continue;
            };
            let problems = problems(&self.mesh, telemetry);
            if !problems.is_empty() {
                lacking.insert(rule.source.clone());
            }
            self.status.ineffective(&rule.source, problems);
        }
        let before = std::mem::replace(&mut self.rules.telemetry.lacking, lacking);
        for source in before.difference(&self.rules.telemetry.lacking) {
            self.status.ineffective(source, BTreeSet::new());
        }
    }
}

/// The workloads that a rule is for, `None` for all; nothing where it is for something else.
fn selector(rule: &Rule) -> Option<Option<Labels>> {
    match (&rule.spec, &rule.resolved) {
        (_, Some(Resolved::Sidecar(of))) => Some(of.selector.clone()),
        (_, Some(Resolved::Telemetry(of))) => (!of.is_attached).then(|| of.selector.clone()),
        (RuleSpec::ProxyConfig(of), _) => {
            let labels = of.selector.as_ref().map(|of| of.match_labels.clone());
            Some(labels.filter(|labels| !labels.is_empty()))
        }
        _ => None,
    }
}

/// What of a rule has no effect because of the providers that it names.
fn problems(mesh: &Mesh, rule: &Telemetry) -> BTreeSet<Problem> {
    let mut found = BTreeSet::new();
    let mut look = |at: String, name: &str, wants: fn(&ProviderKind) -> bool, what: &str| {
        found.extend(problem(mesh, &rule.key, at, name, wants, what));
    };
    for (index, logs) in rule.logs.iter().enumerate() {
        for (nth, name) in logs.providers.iter().enumerate() {
            let at = format!("spec.accessLogging[{index}].providers[{nth}].name");
            look(at, name, ProviderKind::takes_logs, "access logs");
        }
    }
    for (index, tracing) in rule.tracing.iter().enumerate() {
        if let Some(name) = &tracing.provider {
            let at = format!("spec.tracing[{index}].providers[0].name");
            look(at, name, ProviderKind::takes_spans, "spans");
        }
    }
    for (index, metrics) in rule.metrics.iter().enumerate() {
        for (nth, name) in metrics.providers.iter().enumerate() {
            let at = format!("spec.metrics[{index}].providers[{nth}].name");
            let wants = |kind: &ProviderKind| *kind == ProviderKind::Prometheus;
            look(at, name, wants, "metrics");
        }
    }
    found
}

fn problem(
    mesh: &Mesh,
    rule: &ObjectKey,
    at: String,
    name: &str,
    wants: fn(&ProviderKind) -> bool,
    what: &str,
) -> Option<Problem> {
    let config: &MeshConfig = mesh.config();
    let Some(provider) = config.providers.get(name) else {
        return Some(
            Problem::warning(at, format!("{name:?} is not a provider of mesh config"))
                .hint("one of extensionProviders, by its name"),
        );
    };
    if let ProviderKind::Inert(kind) = provider.kind {
        let why = format!(
            "{name} is a provider of {kind}, which is known to Istio and has no effect here"
        );
        return Some(Problem::warning(at, why));
    }
    if !wants(&provider.kind) {
        return Some(Problem::warning(at, format!("{name} takes no {what}")));
    }
    let to = provider.kind.collector()?;
    let service = mesh.visible(&rule.namespace, &to.host);
    let is_meant = |namespace: &NamespaceName| {
        to.namespace
            .as_ref()
            .is_none_or(|wanted| wanted == namespace)
    };
    let service = service.filter(|service| is_meant(&service.key.namespace));
    let has_port =
        |number| service.is_some_and(|of| of.ports.iter().any(|port| port.port == number));
    if !has_port(to.port) {
        let why = format!(
            "nothing is sent to {name}: clients in {} see no service {} with port {}",
            rule.namespace, to.host, to.port
        );
        return Some(
            Problem::warning(at, why)
                .hint("the provider's service is declared by a Service or ServiceEntry"),
        );
    }
    None
}
