//! What holds for one proxy: mesh config, the root namespace's rule, its own namespace's, and the one that selects it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::metrics::{self, Counted};
use super::{Telemetry, TracingOf};
use crate::mesh::{Mesh, MeshConfig, Provider, ProviderKind, Sampling, TagValue};
use crate::model::{Labels, NamespaceName};
use crate::registry::ObjectKey;
use crate::rules::Resolved;

/// The part that a proxy has in traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TelemetrySide {
    /// Its workload asks, or it is a gateway.
    Client,
    /// Its workload is asked.
    Server,
}

/// What holds for one side of a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Who takes access logs, and of which requests and connections, in CEL.
    pub logs: Vec<(LogProvider, Option<Arc<str>>)>,
    /// Spans; `None`: there are none.
    pub spans: Option<Spans>,
    /// What is counted; `None`: nothing.
    pub metrics: Option<Counted>,
    /// The rules that say it, from the widest to the narrowest.
    pub rules: Vec<ObjectKey>,
}

/// Who takes access logs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogProvider {
    /// The file that mesh config names without naming a provider.
    MeshConfig,
    /// A provider.
    Named(Arc<Provider>),
}

/// Spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    /// Who takes them.
    pub provider: Arc<Provider>,
    /// How many requests are traced.
    pub sampling: Sampling,
    /// Tags of every span, sorted by name.
    pub tags: Vec<(Arc<str>, TagValue)>,
    /// How much of a path is kept where the provider does not say.
    pub max_path_tag_length: Option<u32>,
    /// Whether a request's identity says whether it is traced.
    pub by_request_id: bool,
    /// Whether there are tags about the workload.
    pub istio_tags: bool,
}

/// The rules for a proxy of this namespace with these labels, from the widest to the narrowest: at most one of the root
/// namespace, one of its own, and one that selects it. Of several in one place the oldest counts.
pub fn effective_rules<'a>(
    mesh: &'a Mesh,
    namespace: &NamespaceName,
    labels: &Labels,
) -> Vec<&'a Arc<Telemetry>> {
    let of = |namespace: &NamespaceName| {
        let all = mesh.rules_in("Telemetry", namespace).into_iter();
        let all = all.filter_map(|rule| match &rule.resolved {
            Some(Resolved::Telemetry(telemetry)) if !telemetry.is_attached => Some(telemetry),
            _ => None,
        });
        all.collect::<Vec<_>>()
    };
    let root = &mesh.config().root_namespace;
    let wide = |all: &[&'a Arc<Telemetry>]| all.iter().copied().find(|one| one.selector.is_none());
    let own = of(namespace);
    let selects = |one: &&'a Arc<Telemetry>| {
        let selector = one.selector.as_ref();
        selector.is_some_and(|selector| labels.selected_by(selector))
    };
    let narrow = own.iter().copied().find(selects);
    let root = (root != namespace).then(|| wide(&of(root))).flatten();
    root.into_iter().chain(wide(&own)).chain(narrow).collect()
}

/// What `rules`, from the widest to the narrowest, say of one side; `None` where neither they nor mesh config's providers say
/// anything, and what mesh config says of access logs without providers is all there is.
pub fn effective(
    config: &MeshConfig,
    rules: &[&Arc<Telemetry>],
    side: TelemetrySide,
) -> Option<Effective> {
    let defaults = &config.default_providers;
    let is_traced = !defaults.tracing.is_empty() || config.enable_tracing;
    let is_silent = rules.is_empty()
        && defaults.access_logging.is_empty()
        && defaults.metrics.is_empty()
        && !is_traced;
    if is_silent {
        return None;
    }
    let scrapers = config.providers.values();
    let scrapers = scrapers.filter(|provider| provider.kind == ProviderKind::Prometheus);
    let metrics = scrapers
        .filter_map(|provider| {
            let says = rules.iter().map(|rule| &*rule.metrics);
            metrics::counted(&provider.name, &defaults.metrics, says, side)
        })
        .next();
    Some(Effective {
        logs: logs(config, rules, side),
        spans: spans(config, rules, side),
        metrics,
        rules: rules.iter().map(|rule| rule.key.clone()).collect(),
    })
}

/// Who would take logs if no rule said anything.
fn default_logs(config: &MeshConfig) -> Vec<LogProvider> {
    let named = named(config, &config.default_providers.access_logging);
    match config.default_providers.access_logging.is_empty() {
        true if config.access_log.is_some() => vec![LogProvider::MeshConfig],
        _ => named,
    }
}

fn named(config: &MeshConfig, names: &[Arc<str>]) -> Vec<LogProvider> {
    let all = names.iter().filter_map(|name| config.providers.get(name));
    all.cloned().map(LogProvider::Named).collect()
}

/// Each rule's entries in turn: those that name no provider are about the ones before them. The narrowest rule that names
/// providers for this side decides which of them take anything.
fn logs(
    config: &MeshConfig,
    rules: &[&Arc<Telemetry>],
    side: TelemetrySide,
) -> Vec<(LogProvider, Option<Arc<str>>)> {
    let defaults = default_logs(config);
    let with_logs = || rules.iter().filter(|rule| !rule.logs.is_empty());
    let mut in_scope: BTreeSet<LogProvider> = defaults.iter().cloned().collect();
    for rule in with_logs() {
        let mine = rule.logs.iter().filter(|logs| logs.of.has(side));
        let names: Vec<_> = mine.flat_map(|logs| logs.providers.clone()).collect();
        if !names.is_empty() {
            in_scope = named(config, &names).into_iter().collect();
        }
    }
    let unsaid = defaults.iter().cloned().map(|provider| (provider, None));
    let mut taking: BTreeMap<_, _> = match with_logs().next() {
        None => unsaid.collect(),
        Some(_) => Default::default(),
    };
    let mut inherited = defaults;
    for entry in with_logs().flat_map(|rule| &rule.logs) {
        if !entry.providers.is_empty() {
            inherited = named(config, &entry.providers);
        }
        if !entry.of.has(side) {
            continue;
        }
        for provider in inherited.iter().filter(|one| in_scope.contains(*one)) {
            if entry.disabled {
                taking.remove(provider);
            } else {
                taking.insert(provider.clone(), entry.filter.clone());
            }
        }
    }
    taking.into_iter().collect()
}

fn spans(config: &MeshConfig, rules: &[&Arc<Telemetry>], side: TelemetrySide) -> Option<Spans> {
    let says: Vec<&TracingOf> = rules
        .iter()
        .flat_map(|rule| &rule.tracing)
        .filter(|one| one.of.has(side))
        .collect();
    let defaults = &config.default_config.tracing;
    let last = |read: fn(&TracingOf) -> Option<bool>| says.iter().rev().find_map(|one| read(one));
    if last(|one| one.disabled).unwrap_or_default() {
        return None;
    }
    let by_name = |name: &Arc<str>| config.providers.get(name).cloned();
    let chosen = says.iter().rev().find_map(|one| one.provider.as_ref());
    let provider = match chosen.or(config.default_providers.tracing.first()) {
        Some(name) => by_name(name)?,
        None if config.enable_tracing => Arc::new(Provider {
            name: "".into(),
            kind: ProviderKind::Zipkin(defaults.zipkin.clone()?),
        }),
        None => return None,
    };
    let sampling = says.iter().rev().find_map(|one| one.sampling);
    let tags = says.iter().rev().find_map(|one| one.tags.as_ref());
    Some(Spans {
        provider,
        sampling: sampling.or(defaults.sampling).unwrap_or(Sampling::DEFAULT),
        tags: tags.unwrap_or(&defaults.tags).clone(),
        max_path_tag_length: defaults.max_path_tag_length,
        by_request_id: last(|one| one.by_request_id).unwrap_or(true),
        istio_tags: last(|one| one.istio_tags).unwrap_or(true),
    })
}
