//! What the proxies of one replica say of objects, for the replica that writes status.
//!
//! Each replica knows only its own proxies. What they refuse adds up, and so does what they do not get because of other objects.
//! What has no effect for them has none at all only if it has none for those of every other replica.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::registry::{Kind, ObjectKey, Problem, RegistryId};
use pilothouse_core::status::{Contest, Lost, Status};
use serde::{Deserialize, Serialize};

use super::conditions::lost;

/// Of so many objects each replica speaks.
const OBJECTS: usize = 1000;
/// The most bytes of a text: a server takes objects of a megabyte.
const TEXT: usize = 500_000;
/// The most characters of what a proxy said.
const LONGEST: usize = 300;

/// What proxies say of each object.
pub(super) type Verdicts = BTreeMap<ObjectKey, Verdict>;

/// What proxies say of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Verdict {
    /// By type of resource.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, Refused>,
    /// What of it some of them do not get, because of which other objects.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub lost: BTreeSet<String>,
    /// What of it changes nothing for any of them: by its path, as each replica counts its own proxies.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ineffective: BTreeMap<String, String>,
}

/// Resources of one type that proxies refuse.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Refused {
    /// How many.
    pub proxies: u64,
    /// What one of them said.
    pub message: String,
}

/// As replicas publish it.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    kind: String,
    namespace: String,
    name: String,
    #[serde(flatten)]
    verdict: Verdict,
}

/// What the proxies of this replica say of the objects of `registry`.
pub(super) fn of(status: &Status, registry: &RegistryId) -> Verdicts {
    let own = status
        .objects()
        .filter(|(source, _)| source.registry == *registry);
    let is_seen = |lost: &&Lost| is_of_proxies(lost);
    let told = |problem: &Problem| (problem.path.clone(), problem.to_string());
    let verdict = |(source, status): (&pilothouse_core::mesh::Source, &Arc<_>)| {
        let status: &pilothouse_core::status::ObjectStatus = status;
        let refused = status.refused.iter().map(|(type_url, refused)| {
            let refused = Refused {
                proxies: refused.proxies.len() as u64,
                message: refused.message.chars().take(LONGEST).collect(),
            };
            (type_url.to_string(), refused)
        });
        let verdict = Verdict {
            refused: refused.collect(),
            lost: status.lost.iter().filter(is_seen).map(lost).collect(),
            ineffective: status.ineffective.iter().map(told).collect(),
        };
        (verdict != Verdict::default()).then(|| (source.object.clone(), verdict))
    };
    own.filter_map(verdict).take(OBJECTS).collect()
}

/// Whether it shows at proxies alone that this was lost.
pub(super) fn is_of_proxies(lost: &Lost) -> bool {
    matches!(lost.over, Contest::Connections(_) | Contest::Server(_))
}

/// As text for other replicas; what is too long for one ends early.
pub(super) fn write(verdicts: &Verdicts) -> String {
    let lines = verdicts.iter().map(|(key, verdict)| Line {
        kind: key.kind.as_str().to_owned(),
        namespace: key.namespace.as_str().to_owned(),
        name: key.name.to_string(),
        verdict: verdict.clone(),
    });
    let mut text = String::new();
    for line in lines {
        // Texts and numbers can be written.
        let line = serde_json::to_string(&line).unwrap_or_default();
        if text.len() + line.len() > TEXT {
            break;
        }
        text.push(if text.is_empty() { '[' } else { ',' });
        text.push_str(&line);
    }
    text.push_str(if text.is_empty() { "[]" } else { "]" });
    text
}

/// From another replica's text; one that cannot be read says nothing.
pub(super) fn read(text: &str) -> Verdicts {
    let lines: Vec<Line> = serde_json::from_str(text).unwrap_or_default();
    let entry = |line: Line| {
        let key = ObjectKey::new(
            Kind::new(line.kind),
            line.namespace.as_str().into(),
            line.name,
        );
        (key, line.verdict)
    };
    lines.into_iter().take(OBJECTS).map(entry).collect()
}

/// What the proxies of all replicas say.
pub(super) fn sum<'a>(own: Verdicts, others: impl IntoIterator<Item = &'a Verdicts>) -> Verdicts {
    let mut all = own;
    for other in others {
        for (key, verdict) in &mut all {
            let known = other.get(key).map(|verdict| &verdict.ineffective);
            let everywhere = |path: &String| known.is_some_and(|known| known.contains_key(path));
            verdict.ineffective.retain(|path, _| everywhere(path));
        }
        for (key, verdict) in other {
            let sum = all.entry(key.clone()).or_default();
            sum.lost.extend(verdict.lost.iter().cloned());
            for (type_url, refused) in &verdict.refused {
                let together = sum.refused.entry(type_url.clone()).or_default();
                together.proxies += refused.proxies;
                // Whoever sums, of several messages the same one is told.
                if together.message.is_empty() || refused.message < together.message {
                    together.message.clone_from(&refused.message);
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_core::mesh::Source;
    use pilothouse_core::registry::Meta;
    use pilothouse_core::status::StatusHandle;

    fn key(name: &str) -> ObjectKey {
        Meta::new("EnvoyFilter", "shop", name).key
    }

    /// In the words of the first replica, where something has no effect.
    fn verdict(proxies: u64, message: &str, ineffective: &[&str]) -> Verdict {
        let refused = Refused {
            proxies,
            message: message.into(),
        };
        let refused = (proxies > 0).then(|| ("type/Cluster".to_owned(), refused));
        Verdict {
            refused: refused.into_iter().collect(),
            lost: [message.to_owned()].into(),
            ineffective: ineffective
                .iter()
                .map(|path| ((*path).to_owned(), format!("{message}: {path}")))
                .collect(),
        }
    }

    #[test]
    fn refusals_add_up_and_what_has_effect_somewhere_has_effect() {
        let own: Verdicts = [(key("a"), verdict(2, "z", &["x", "y"]))].into();
        let others = [
            [
                (key("a"), verdict(1, "m", &["y"])),
                (key("b"), verdict(1, "n", &["y"])),
            ]
            .into(),
            [(key("a"), verdict(0, "", &["y"]))].into(),
        ];
        let text = |one: &str| one.to_owned();
        let a = Verdict {
            lost: ["", "m", "z"].map(text).into(),
            ineffective: [(text("y"), text("z: y"))].into(),
            ..verdict(3, "m", &[])
        };
        let expected: Verdicts = [(key("a"), a), (key("b"), verdict(1, "n", &[]))].into();
        assert_eq!(sum(own, &others), expected);
    }

    #[test]
    fn what_is_published_is_read_again() {
        let all: Verdicts = [
            (key("a"), verdict(2, "z", &["x"])),
            (key("b"), verdict(0, "", &["y"])),
        ]
        .into();
        assert_eq!(read(&write(&all)), all);
        assert_eq!(write(&Verdicts::new()), "[]");
        let many = |n: usize| {
            (
                key(&format!("{n:04}")),
                verdict(1, &"x".repeat(LONGEST), &["y"]),
            )
        };
        let many: Verdicts = (0..OBJECTS).map(many).collect();
        let text = write(&many);
        assert!(
            (TEXT - 2000..=TEXT + 1).contains(&text.len()),
            "{}",
            text.len()
        );
        assert!(read(&text).len() > 300);
        assert_eq!(read("[{]"), Verdicts::new());
        assert_eq!(read(r#"[{"kind": 7}]"#), Verdicts::new());
    }

    #[test]
    fn only_objects_of_the_own_registry_are_spoken_of() {
        let status = StatusHandle::new();
        let source = |provider: &str| Source {
            registry: RegistryId::new(provider, "east"),
            object: key("a"),
        };
        for provider in ["Kubernetes", "Static"] {
            status.nacked(&source(provider), "p1", "type/Cluster", "bad");
            status.nacked(&source(provider), "p2", "type/Cluster", "bad");
        }
        let bad = Verdict {
            lost: BTreeSet::new(),
            ..verdict(2, "bad", &[])
        };
        let expected: Verdicts = [(key("a"), bad)].into();
        assert_eq!(
            of(&status.get(), &RegistryId::new("Kubernetes", "east")),
            expected
        );
    }
}
