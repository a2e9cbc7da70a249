//! What is to be said about files: each problem with its place, its object, its field and advice.

use std::collections::BTreeMap;

use pilothouse_core::analysis::Code;
use pilothouse_core::mesh::Source;
use pilothouse_core::registry::{ObjectKey, Origin, Problem, Severity};
use pilothouse_core::rules;
use pilothouse_core::status::{Contest, Lost, NotSupported, Status};
use pilothouse_manifests::kubernetes;
use pilothouse_static::{File, Finding, Unknown};
use serde::Serialize;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Message {
    /// The file, and in it the line and column, as far as they are known.
    pub(super) file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) column: Option<u32>,
    pub(super) severity: Severity,
    /// The object, where it is known which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) object: Option<Named>,
    /// The field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) field: String,
    pub(super) what: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) hint: String,
    /// What pipelines know it by.
    #[serde(skip)]
    pub(super) code: Option<Code>,
    /// The lines around the place.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) snippet: String,
}

/// What an object is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Named {
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Messages {
    all: Vec<Message>,
}

impl Messages {
    /// All, by file and place.
    pub(super) fn sorted(mut self) -> Vec<Message> {
        self.all.sort();
        self.all.dedup();
        self.all
    }

    pub(super) fn add(&mut self, message: Message) {
        self.all.push(message);
    }

    pub(super) fn add_finding(&mut self, finding: &Finding) {
        let messages = finding
            .problems
            .iter()
            .map(|problem| Message::new(&finding.at, finding.key.as_ref(), problem));
        self.all.extend(messages);
    }

    /// What the store says of objects: what is not carried out, and who has lost to whom.
    pub(super) fn add_told(&mut self, files: &[File], status: &Status) {
        let mut places: BTreeMap<&ObjectKey, Vec<&Origin>> = BTreeMap::new();
        for object in files.iter().flat_map(|file| &file.objects) {
            let all = places.entry(&object.meta.key).or_default();
            all.push(&object.origin);
        }
        for (source, status) in status.objects() {
            // Of several copies, the one that lost against none of the others is in force.
            let lost_copies: Vec<_> = status.lost.iter().filter_map(|l| l.at.as_ref()).collect();
            let all = places.get(&source.object).map(Vec::as_slice);
            let in_force = all
                .unwrap_or_default()
                .iter()
                .find(|place| !lost_copies.contains(place));
            if let (Some(what), Some(at)) = (&status.not_supported, in_force) {
                self.all.push(Message::not_supported(at, source, what));
            }
            if let Some(at) = in_force {
                let all = status.references.iter().chain(&status.ineffective);
                let all = all.map(|problem| {
                    let message = Message::new(at, Some(&source.object), problem);
                    message.coded(Code::ReferencedResourceNotFound)
                });
                self.all.extend(all);
            }
            for lost in &status.lost {
                if let Some(at) = lost.at.as_ref().or(in_force.copied()) {
                    self.all.push(Message::lost(at, source, lost));
                }
            }
        }
    }
}

impl Message {
    pub(super) fn new(at: &Origin, key: Option<&ObjectKey>, problem: &Problem) -> Self {
        // Reading shows the place of a field and the lines around it below what it says.
        let (what, place, snippet) = match problem.what.split_once("\n  --> ") {
            Some((what, shown)) => {
                let (place, snippet) = shown.split_once('\n').unwrap_or((shown, ""));
                (what, place, snippet)
            }
            None => (problem.what.as_str(), at.as_str(), ""),
        };
        let (file, line, column) = parts(place);
        Self {
            file: file.to_owned(),
            line,
            column,
            severity: problem.severity,
            object: key.map(Named::of),
            field: problem.path.clone(),
            what: what.to_owned(),
            hint: problem.hint.clone(),
            code: Some(Code::of_problem(key.map(|key| &key.kind), problem)),
            snippet: snippet.to_owned(),
        }
    }

    /// It is not read, so it does nothing.
    pub(super) fn unknown_kind(unknown: &Unknown) -> Self {
        let Unknown {
            api_version,
            key,
            at,
        } = unknown;
        let what = format!(
            "{} of {api_version} is not read: the object has no effect",
            key.kind
        );
        let problem = Problem::warning("kind", what).hint(known_kinds(key));
        Self::new(at, Some(key), &problem)
    }

    fn not_supported(at: &Origin, source: &Source, what: &NotSupported) -> Self {
        let problem = Problem::warning("kind", what.why.to_string());
        let problem = if what.unprotected {
            problem.hint("discovery does not become ready while it is there, unless it is given --allow-unenforced-security")
        } else {
            problem
        };
        Self::new(at, Some(&source.object), &problem).coded(Code::NotSupported)
    }

    fn coded(self, code: Code) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    fn lost(at: &Origin, source: &Source, lost: &Lost) -> Self {
        let code = Code::of_contest(&source.object.kind, lost);
        let Lost { over, to, why, .. } = lost;
        let problem = match over {
            Contest::Copy(_) | Contest::Twice(_) => {
                Problem::warning("metadata.name", format!("is declared twice: {why}"))
                    .hint("remove one of them, or give it another name")
            }
            Contest::Name => Problem::error("metadata.name", why.to_string()),
            Contest::Service(service) => Problem::error(
                "spec.hosts",
                format!("{} is declared by {}: {why}", service.host, to.object),
            )
            .hint("let both declare the same ports and resolution, or remove one"),
            Contest::Destination(_, subset) => {
                let place = subset
                    .as_ref()
                    .map_or("spec.trafficPolicy", |_| "spec.subsets");
                Problem::warning(place, why.to_string()).hint("let one object say all of it")
            }
            Contest::Routing(_) => Problem::warning("spec.hosts", why.to_string()).hint(
                "let one object say all of it, or start discovery with --virtual-service-merge=namespace",
            ),
            Contest::Workload(_, workload) => Problem::error(
                "",
                format!("{} is declared by {}: {why}", workload.name, to.object),
            )
            .hint("remove one of them"),
            Contest::Connections(service) => Problem::warning(
                "",
                format!("some connections do not lead to {}: {why}", service.host),
            )
            .hint("give it an address or ports of its own"),
            Contest::Server(part) => Problem::warning(part.to_string(), why.to_string())
                .hint("give it a port or hosts of its own"),
            Contest::Workloads(labels) => {
                let place = labels.as_ref().map_or("spec", |_| "spec.selector");
                Problem::warning(place, why.to_string())
                    .hint("let one object say all of it, or select other workloads")
            }
        };
        Self::new(at, Some(&source.object), &problem).coded(code)
    }
}

/// What can be written instead: the kind that is meant if there is one that differs only in spelling or group, else all.
fn known_kinds(written: &ObjectKey) -> String {
    let meant = rules::kinds()
        .iter()
        .find(|kind| kind.name.eq_ignore_ascii_case(written.kind.as_str()));
    if let Some(kind) = meant {
        let version = kind.versions.first().copied().unwrap_or_default();
        return format!("did you mean {} of {}/{version}?", kind.name, kind.group);
    }
    let meant = kubernetes::Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str().eq_ignore_ascii_case(written.kind.as_str()));
    if let Some(kind) = meant {
        return format!("did you mean {} of {}?", kind.as_str(), kind.api_version());
    }
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for kind in kubernetes::Kind::ALL {
        let group = kind.api_version().split('/').next().unwrap_or_default();
        groups.entry(group).or_default().push(kind.as_str());
    }
    for kind in rules::kinds() {
        groups.entry(kind.group).or_default().push(kind.name);
    }
    let groups: Vec<_> = groups
        .iter()
        .map(|(group, kinds)| format!("{} of {group}", kinds.join(", ")))
        .collect();
    format!("what is read: {}", groups.join("; "))
}

impl Named {
    pub(super) fn of(key: &ObjectKey) -> Self {
        Self {
            kind: key.kind.to_string(),
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
        }
    }
}

/// The file, line and column of `mesh/a.yaml:3:7`, `mesh/a.yaml:3` or `mesh/a.yaml`.
fn parts(place: &str) -> (&str, Option<u32>, Option<u32>) {
    let number = |text: &str| -> Option<(usize, u32)> {
        let (rest, number) = text.rsplit_once(':')?;
        Some((rest.len(), number.parse().ok()?))
    };
    let Some((end, last)) = number(place) else {
        return (place, None, None);
    };
    let (rest, _) = place.split_at(end);
    match number(rest) {
        Some((end, line)) => (rest.split_at(end).0, Some(line), Some(last)),
        None => (rest, Some(last), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_apart() {
        for (text, expected) in [
            ("a.yaml:3:7", ("a.yaml", Some(3), Some(7))),
            ("a.yaml:3", ("a.yaml", Some(3), None)),
            ("a.yaml", ("a.yaml", None, None)),
            ("c:/a.yaml", ("c:/a.yaml", None, None)),
        ] {
            assert_eq!(parts(text), expected);
        }
    }

    #[test]
    fn a_snippet_is_told_apart_from_what_is_wrong() {
        let problem = Problem::error("spec.x", "is wrong\n  --> a.yaml:3:7\n3 | x: y\n  |    ^");
        let message = Message::new(&Origin::new("a.yaml:1"), None, &problem);
        assert_eq!(
            (
                message.line,
                message.column,
                &*message.what,
                &*message.snippet
            ),
            (Some(3), Some(7), "is wrong", "3 | x: y\n  |    ^")
        );
    }
}
