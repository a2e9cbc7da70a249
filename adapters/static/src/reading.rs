//! From the text of one file to objects of the mesh.

use std::collections::BTreeMap;

use pilothouse_core::registry::{Object, ObjectKey, Origin, Problem, Severity, Value};
use pilothouse_core::rules::{RuleSpec, Unreadable};

use crate::text::{self, Format, Manifest, Places, Source};

/// What an author should know about one object of a file, or about a place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The object, if it could be told which one it is.
    pub key: Option<ObjectKey>,
    /// Where it stands.
    pub at: Origin,
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
}

impl Finding {
    /// Whether the object is not used. Otherwise it is, and its author should look at it.
    pub fn rejects(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }
}

/// What one file says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// The objects that could be read; no two have the same key.
    pub(crate) objects: Vec<Object>,
    /// What is wrong with these and with the others.
    pub(crate) findings: Vec<Finding>,
    /// Objects of kinds that nothing here reads: version, kind, place.
    pub(crate) unknown: Vec<(String, String, Origin)>,
}

impl Reading {
    /// Reads `text`, the content of the file called `path`.
    pub(crate) fn of(path: &str, text: &str) -> Self {
        let json = path
            .rsplit_once('.')
            .is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("json"));
        let format = if json { Format::Json } else { Format::Yaml };
        let source = Source {
            path,
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
        };
        let mut places = Places::of(source);
        let mut reading = Self::default();
        let mut first: BTreeMap<ObjectKey, Origin> = BTreeMap::new();
        for part in text::read(&mut places, format) {
            match part {
                Err(fault) => {
                    let at = source.origin(fault.line);
                    reading.findings.push(Finding {
                        key: fault.key,
                        at,
                        problems: fault.problems,
                    });
                }
                Ok(manifest) => {
                    let at = source.origin(manifest.line);
                    match first.get(&manifest.meta.key) {
                        None => {
                            first.insert(manifest.meta.key.clone(), at.clone());
                            reading.take(&mut places, manifest, at);
                        }
                        Some(other) => {
                            let what = format!(
                                "{} is there twice in this file and the first, at {other}, is used",
                                manifest.meta.key
                            );
                            let problems =
                                vec![Problem::warning("", what).hint("remove or rename one")];
                            reading.findings.push(Finding {
                                key: Some(manifest.meta.key),
                                at,
                                problems,
                            });
                        }
                    }
                }
            }
        }
        reading
    }

    fn take<'a>(&mut self, places: &mut Places<'a>, manifest: Manifest<'a>, at: Origin) {
        match decode(&manifest) {
            Decoded::Unknown => {
                self.unknown
                    .push((manifest.api_version, manifest.meta.key.kind.to_string(), at));
            }
            Decoded::Bad(problems) => {
                let problems = places.explain(&manifest, problems);
                self.findings.push(Finding {
                    key: Some(manifest.meta.key),
                    at,
                    problems,
                });
            }
            Decoded::Good(value, warnings) => {
                if !warnings.is_empty() {
                    let problems = places.explain(&manifest, warnings);
                    self.findings.push(Finding {
                        key: Some(manifest.meta.key.clone()),
                        at: at.clone(),
                        problems,
                    });
                }
                self.objects.push(Object {
                    meta: manifest.meta,
                    origin: at,
                    value,
                });
            }
        }
    }
}

/// What an object is to the mesh.
enum Decoded {
    Good(Value, Vec<Problem>),
    Bad(Vec<Problem>),
    Unknown,
}

/// The one place that knows kinds: each source of them is asked in turn.
fn decode(manifest: &Manifest<'_>) -> Decoded {
    let null = serde_json::Value::Null;
    let spec = manifest.fields.get("spec").unwrap_or(&null);
    match RuleSpec::parse(&manifest.api_version, manifest.meta.key.kind.as_str(), spec) {
        Ok((rule, warnings)) => Decoded::Good(Value::Rule(rule), warnings),
        Err(Unreadable::Spec(problems)) => Decoded::Bad(problems),
        Err(Unreadable::UnknownKind) => Decoded::Unknown,
    }
}
