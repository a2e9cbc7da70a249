//! The rules behind the steps of a walk, and those for the same host that have no part in it.

use std::collections::BTreeSet;

use pilothouse_core::model::Host;
use pilothouse_core::registry::{Object, ObjectKey, Value};
use pilothouse_core::rules::resolve::VirtualService;
use pilothouse_core::rules::{Resolved, RuleSpec};
use pilothouse_core::status::Lost;
use pilothouse_xds::evaluate::{Rule, Walk};
use pilothouse_xds::names::parse_outbound_cluster;
use serde::Serialize;

use super::source::{Found, Offline};

/// A rule that has a part in what happens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Used {
    /// In what: `route`, `cluster` …
    pub(super) step: &'static str,
    /// `VirtualService shop/reviews`
    pub(super) object: String,
    /// The field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<String>,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
}

/// A rule for the same host that has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Other {
    pub(super) object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
    /// Why it has none.
    pub(super) why: String,
}

/// Both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) used: Vec<Used>,
    pub(super) others: Vec<Other>,
}

impl Rules {
    /// The rules of a walk of a request for `host`.
    pub(super) fn of(found: &Found, walk: &Walk, host: &str) -> Self {
        let files = found.files.as_ref();
        let mut rules = Self::default();
        let steps = [
            (
                "listener",
                walk.listener.as_ref().and_then(|s| s.rule.as_ref()),
            ),
            ("chain", walk.chain.as_ref().and_then(|s| s.rule.as_ref())),
            ("route", walk.http.as_ref().and_then(|s| s.rule.as_ref())),
            (
                "cluster",
                walk.cluster.as_ref().and_then(|s| s.rule.as_ref()),
            ),
        ];
        for (step, rule) in steps {
            let Some(rule) = rule else { continue };
            rules.used.push(used(step, rule, files));
        }
        if let Some(running) = &found.running {
            for used in &mut rules.used {
                used.at = running.at(&used.object);
            }
            rules.others = running.others(&rules.used);
        }
        if let Some(files) = files {
            let hosts = hosts(walk, host);
            rules.others = others(files, &hosts, &rules.used);
        }
        rules
    }

    /// The rule of a step.
    pub(super) fn step(&self, step: &str) -> Option<&Used> {
        self.used.iter().find(|used| used.step == step)
    }
}

fn used(step: &'static str, rule: &Rule, files: Option<&Offline>) -> Used {
    let name = parsed(&rule.config);
    let object = match &name {
        Some((kind, namespace, name)) => format!("{kind} {namespace}/{name}"),
        None => rule.config.clone(),
    };
    let at = files
        .zip(name)
        .and_then(|(files, (kind, namespace, name))| {
            let is_it = |object: &&Object| {
                let key = &object.meta.key;
                key.kind.as_str() == kind
                    && key.namespace.as_str() == namespace
                    && &*key.name == name
            };
            let mut objects = files.files.iter().flat_map(|file| &file.objects);
            objects.find(is_it).map(|object| object.origin.to_string())
        });
    Used {
        step,
        object,
        field: rule.field.clone(),
        at,
    }
}

/// Kind, namespace and name of `/apis/GROUP/VERSION/namespaces/NS/destination-rule/NAME`.
fn parsed(config: &str) -> Option<(String, &str, &str)> {
    let mut parts = config.rsplit('/');
    let (name, kind, namespace) = (parts.next()?, parts.next()?, parts.next()?);
    let kind = kind
        .split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_uppercase().chain(letters).collect()
            })
        })
        .collect();
    Some((kind, namespace, name))
}

/// The names by which rules may speak of what was asked for.
fn hosts(walk: &Walk, asked: &str) -> BTreeSet<Host> {
    let virtual_host = walk.http.as_ref().and_then(|http| {
        let name = http.virtual_host.as_ref()?;
        Some(
            name.rsplit_once(':')
                .map_or(name.as_str(), |(host, _)| host),
        )
    });
    let clusters = walk
        .candidates
        .iter()
        .filter_map(|candidate| parse_outbound_cluster(&candidate.cluster))
        .map(|(_, _, host)| host);
    [Some(asked), virtual_host]
        .into_iter()
        .flatten()
        .filter_map(|text| Host::new(text).ok())
        .chain(clusters)
        .collect()
}

fn others(files: &Offline, hosts: &BTreeSet<Host>, used: &[Used]) -> Vec<Other> {
    let causes = files.causes();
    let winners = winners(files, hosts, &causes);
    let mut others: Vec<Other> = Vec::new();
    for object in files.files.iter().flat_map(|file| &file.objects) {
        let Value::Rule(spec) = &object.value else {
            continue;
        };
        let key = &object.meta.key;
        let name = format!("{} {}/{}", key.kind, key.namespace, key.name);
        let resolved = Resolved::of(&object.meta, spec);
        let speaks = match &resolved {
            Some(Resolved::Virtual(rule)) => speaks_of(&rule.hosts, hosts),
            Some(Resolved::Destination(rule)) => speaks_of(std::slice::from_ref(&rule.host), hosts),
            Some(Resolved::Ingress(ingress)) => {
                let mut routes = ingress.routes.iter();
                routes.any(|rule| speaks_of(&rule.hosts, hosts))
            }
            _ => matches!(spec, RuleSpec::EnvoyFilter(_)) && causes.contains(key),
        };
        let lost = lost(files, key, &causes);
        if !speaks || (used.iter().any(|used| used.object == name) && lost.is_empty()) {
            continue;
        }
        let why = if !lost.is_empty() {
            lost.join("; ")
        } else if causes.contains(key) {
            "it has a part in the configuration, and says nothing of this request".to_owned()
        } else {
            absent(files, resolved.as_ref(), &winners)
        };
        others.push(Other {
            object: name,
            at: Some(object.origin.to_string()),
            why,
        });
    }
    others.sort();
    others
}

/// The `VirtualService`s for these hosts that have a part in the configuration.
fn winners(
    files: &Offline,
    hosts: &BTreeSet<Host>,
    causes: &BTreeSet<ObjectKey>,
) -> Vec<VirtualService> {
    let objects = files.files.iter().flat_map(|file| &file.objects);
    objects
        .filter(|object| causes.contains(&object.meta.key))
        .filter_map(|object| match &object.value {
            Value::Rule(spec) => Resolved::of(&object.meta, spec),
            _ => None,
        })
        .filter_map(|resolved| match resolved {
            Resolved::Virtual(rule) if speaks_of(&rule.hosts, hosts) => {
                Some(VirtualService::clone(&rule))
            }
            _ => None,
        })
        .collect()
}

/// Why a rule that speaks of the host has no part in the configuration of this proxy.
fn absent(files: &Offline, resolved: Option<&Resolved>, winners: &[VirtualService]) -> String {
    let hidden = resolved
        .and_then(Resolved::export_to)
        .is_some_and(|export| !export.includes(&files.namespace));
    if hidden {
        return format!("it is not exported to namespace {}", files.namespace);
    }
    if let Some(Resolved::Ingress(_)) = resolved {
        return "it is in force on the routers that serve its class only".to_owned();
    }
    let Some(Resolved::Virtual(rule)) = resolved else {
        return "another rule goes first for this host, or the proxy does not use the host"
            .to_owned();
    };
    if !rule.is_for_mesh() {
        return "it is in force on gateways only".to_owned();
    }
    match winners.first() {
        None => "the proxy does not use the host".to_owned(),
        Some(winner) => {
            let name = format!(
                "VirtualService {}/{}",
                winner.key.namespace, winner.key.name
            );
            let why = match rule.hosts == winner.hosts && winner.age() < rule.age() {
                true => "it is older",
                false => "its host is more specific, or it is older",
            };
            format!("{name} goes first: {why}")
        }
    }
}

/// What it has lost to rules that have a part in this proxy's configuration: others do not concern it.
fn lost(files: &Offline, key: &ObjectKey, causes: &BTreeSet<ObjectKey>) -> Vec<String> {
    let of_it = files
        .status
        .objects()
        .filter(|(source, _)| source.object == *key);
    let lost: BTreeSet<&Lost> = of_it.flat_map(|(_, status)| &status.lost).collect();
    lost.into_iter()
        .filter(|lost| causes.contains(&lost.to.object))
        .map(|lost| {
            let winner = &lost.to.object;
            let winner = format!("{} {}/{}", winner.kind, winner.namespace, winner.name);
            if lost.why.contains(&winner) {
                format!("it lost: {}", lost.why)
            } else {
                format!("it lost to {winner}: {}", lost.why)
            }
        })
        .collect()
}

fn speaks_of(said: &[Host], hosts: &BTreeSet<Host>) -> bool {
    said.iter()
        .any(|said| hosts.iter().any(|host| said == host || said.covers(host)))
}
