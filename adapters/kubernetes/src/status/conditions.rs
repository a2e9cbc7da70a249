//! What is to be said about an object, as conditions of its status.
//!
//! `Accepted` is always there. The others say that something is wrong with an object that is in force, and are there only
//! while it is. `docs/kubernetes-status.md` explains them to those who read them.

use jiff::Timestamp;
use pilothouse_core::mesh::Source;
use pilothouse_core::registry::{Problem, Severity};
use pilothouse_core::status::{Contest, Lost, ObjectStatus};
use serde_json::{Value, json};

use super::verdicts::{Verdict, is_of_proxies};

/// What our types begin with: no other controller's do.
pub(super) const PREFIX: &str = "pilothouse.dev/";
/// The most characters of a message.
const LONGEST: usize = 2000;

/// A condition as it stands in a status.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Condition {
    /// Without the prefix.
    pub name: String,
    /// Such as `True`.
    pub status: String,
    pub reason: String,
    pub message: String,
    pub generation: i64,
    /// Since when it has its status.
    pub since: String,
}

/// A condition as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub name: &'static str,
    pub status: bool,
    pub reason: &'static str,
    pub message: String,
}

impl Condition {
    /// `None`: it is not ours.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        Some(Self {
            name: text("type").strip_prefix(PREFIX)?.to_owned(),
            status: text("status"),
            reason: text("reason"),
            message: text("message"),
            generation: value["observedGeneration"].as_i64().unwrap_or_default(),
            since: text("lastTransitionTime"),
        })
    }

    pub(super) fn write(&self) -> Value {
        json!({
            "type": format!("{PREFIX}{}", self.name),
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "observedGeneration": self.generation,
            "lastTransitionTime": self.since,
        })
    }
}

impl Said {
    /// As a condition of the object's change of this count, with the time of the present one if it has the same status.
    fn stamped(&self, generation: i64, present: &[Condition], now: Timestamp) -> Condition {
        let status = if self.status { "True" } else { "False" };
        let known = present
            .iter()
            .find(|known| known.name == self.name && known.status == status);
        Condition {
            name: self.name.to_owned(),
            status: status.to_owned(),
            reason: self.reason.to_owned(),
            message: self.message.clone(),
            generation,
            since: known.map_or_else(|| format!("{now:.0}"), |known| known.since.clone()),
        }
    }
}

/// The conditions to write, by type; `None`: those that are there say all of it.
pub(super) fn news(
    said: &[Said],
    generation: i64,
    present: &[Condition],
    now: Timestamp,
) -> Option<Vec<Condition>> {
    let mut wanted: Vec<_> = said
        .iter()
        .map(|said| said.stamped(generation, present, now))
        .collect();
    wanted.sort();
    (wanted != present).then_some(wanted)
}

/// Everything to be said about an object of which the core says `status`, and proxies `verdict`.
pub(super) fn said(status: &ObjectStatus, verdict: &Verdict) -> Vec<Said> {
    let mut all = vec![accepted(status)];
    let in_part = status.lost.iter().filter(|lost| is_in_part(lost)).map(lost);
    let in_part = in_part.chain(verdict.lost.iter().cloned());
    all.extend(problem("Conflicted", "LostInPart", in_part));
    let refused = verdict.refused.iter();
    let refused = refused.map(|(type_url, refused)| {
        let what = type_url.rsplit('.').next().unwrap_or(type_url);
        let (count, message) = (refused.proxies, &refused.message);
        let proxies = if count == 1 { "proxy" } else { "proxies" };
        format!("{count} {proxies}, {what}: {message}")
    });
    all.extend(problem("Refused", "RefusedByProxies", refused));
    let (references, ineffective) = (&status.references, &verdict.ineffective);
    let reason = if !references.is_empty() {
        "RefersInVain"
    } else if !ineffective.is_empty() {
        "Ineffective"
    } else {
        "Doubtful"
    };
    let warnings = references.iter().map(Problem::to_string);
    let warnings = warnings
        .chain(ineffective.values().cloned())
        .chain(status.warnings.iter().map(Problem::to_string));
    all.extend(problem("Warned", reason, warnings));
    all
}

fn accepted(status: &ObjectStatus) -> Said {
    let reason = status.reason();
    let message = match reason {
        "Invalid" => invalid(status),
        "NotSupported" => status
            .not_supported
            .as_ref()
            .map_or_else(String::new, |what| what.why.to_string()),
        "Conflicted" => together(status.lost.iter().filter(|lost| is_whole(lost)).map(lost)),
        _ => "in force".to_owned(),
    };
    Said {
        name: "Accepted",
        status: status.is_accepted(),
        reason,
        message: short(message),
    }
}

fn invalid(status: &ObjectStatus) -> String {
    let mut earlier = false;
    let mut problems = Vec::new();
    for rejected in status.rejected.values() {
        earlier |= rejected.earlier_in_force;
        let errors = rejected.problems.iter();
        problems.extend(errors.filter(|problem| problem.severity == Severity::Error));
    }
    let instead = if earlier {
        "an earlier version stays in force"
    } else {
        "it has no effect"
    };
    // What is done instead comes first, as the list may be cut.
    format!(
        "{instead}: {}",
        together(problems.iter().map(ToString::to_string))
    )
}

/// A condition that is there only if there is a reason to.
fn problem(
    name: &'static str,
    reason: &'static str,
    all: impl Iterator<Item = String>,
) -> Option<Said> {
    let message = short(together(all));
    (!message.is_empty()).then_some(Said {
        name,
        status: true,
        reason,
        message,
    })
}

fn is_whole(lost: &Lost) -> bool {
    lost.over.is_for_the_whole()
}

/// A copy of the object in another set is no loss of the object, and verdicts tell what shows at proxies.
fn is_in_part(lost: &Lost) -> bool {
    let is_copy = matches!(lost.over, Contest::Copy(_) | Contest::Twice(_));
    !is_whole(lost) && !is_copy && !is_of_proxies(lost)
}

/// What was lost to whom, and why.
pub(super) fn lost(lost: &Lost) -> String {
    let Source { registry, object } = &lost.to;
    let over = over(&lost.over);
    let why = &lost.why;
    format!("{over}lost to {object} of {registry}: {why}")
}

fn over(contest: &Contest) -> String {
    match contest {
        Contest::Service(key) => format!("service {key}: "),
        Contest::Connections(key) => format!("connections to {key}: "),
        Contest::Destination(host, None) => format!("host {host}: "),
        Contest::Destination(host, Some(subset)) => format!("host {host}, subset {subset}: "),
        Contest::Routing(host) => format!("routes for {host}: "),
        Contest::Server(part) => format!("{part}: "),
        Contest::Workloads(Some(labels)) => {
            let labels: Vec<_> = labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            format!("workloads with {}: ", labels.join(","))
        }
        Contest::Copy(_)
        | Contest::Twice(_)
        | Contest::Name
        | Contest::Workload(..)
        | Contest::Workloads(None) => String::new(),
    }
}

fn together(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join("; ")
}

/// At most so long as a status may be expected to hold.
fn short(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push_str(" ...");
    }
    text
}

#[cfg(test)]
mod tests;
