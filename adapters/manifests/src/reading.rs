//! From one text to objects of the mesh.

use pilothouse_core::model::NamespaceName;
use pilothouse_core::registry::{Object, ObjectKey, Origin, Problem, Value, is_fatal};
use pilothouse_core::rules::{self, RuleKind, RuleSpec, Unreadable};

use crate::kubernetes::{self, Names, Said};
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
        is_fatal(&self.problems)
    }
}

/// What one text says: a file, or a key's value.
#[derive(Debug, Default, PartialEq)]
pub struct Reading {
    /// The objects that could be read. Which of two of one name counts is for the store to say.
    pub objects: Vec<Object>,
    /// What is wrong with these and with the others.
    pub findings: Vec<Finding>,
    /// What is wrong with the objects that could be read, if that was asked for.
    pub checked: Vec<Finding>,
    /// Objects of kinds that nothing here reads.
    pub unknown: Vec<Unknown>,
    /// Objects of a platform's kinds that are well known and none of a mesh's business: nobody expects them to be read.
    pub passed_over: Vec<Unknown>,
}

/// An object of a kind that is not read, and so has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Its `apiVersion`.
    pub api_version: String,
    /// What it is called.
    pub key: ObjectKey,
    /// Where it stands.
    pub at: Origin,
}

/// Who checks the rules that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checks {
    /// The store that they are handed to.
    Later,
    /// The reading, which can show where a field stands.
    Here,
}

impl Reading {
    /// Reads the rules in `text`, the content of what is called `path`; a path that ends in `.json` is JSON.
    pub fn of(path: &str, text: &str) -> Self {
        Self::new(path, text, Format::of(path), Checks::Later, None)
    }

    /// The same with Kubernetes' own objects, in a cluster of these names: short names of hosts in rules are completed as there.
    pub fn of_cluster(path: &str, text: &str, names: &Names) -> Self {
        Self::new(path, text, Format::of(path), Checks::Later, Some(names))
    }

    /// The same, with the rules in it checked.
    pub fn checked(path: &str, text: &str, format: Format, names: Option<&Names>) -> Self {
        Self::new(path, text, format, Checks::Here, names)
    }

    fn new(path: &str, text: &str, format: Format, checks: Checks, names: Option<&Names>) -> Self {
        let source = Source {
            path,
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
        };
        let mut places = Places::of(source);
        let mut reading = Self::default();
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
                    reading.take(&mut places, manifest, at, checks, names);
                }
            }
        }
        reading
    }

    fn take<'a>(
        &mut self,
        places: &mut Places<'a>,
        mut manifest: Manifest<'a>,
        at: Origin,
        checks: Checks,
        names: Option<&Names>,
    ) {
        match decode(&mut manifest, names) {
            Decoded::Unknown => {
                let known = kubernetes::is_of_no_concern(
                    &manifest.api_version,
                    manifest.meta.key.kind.as_str(),
                );
                let list = match names {
                    Some(_) if known => &mut self.passed_over,
                    _ => &mut self.unknown,
                };
                list.push(Unknown {
                    api_version: manifest.api_version,
                    key: manifest.meta.key,
                    at,
                });
            }
            Decoded::Nothing(warnings) if warnings.is_empty() => {}
            Decoded::Nothing(problems) | Decoded::Bad(problems) => {
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
                if checks == Checks::Here
                    && let Value::Rule(rule) = &*value
                {
                    let problems = rules::check(&manifest.meta, rule);
                    if !problems.is_empty() {
                        self.checked.push(Finding {
                            key: Some(manifest.meta.key.clone()),
                            at: at.clone(),
                            problems: places.explain(&manifest, problems),
                        });
                    }
                }
                self.objects.push(Object {
                    meta: manifest.meta,
                    origin: at,
                    value: *value,
                });
            }
        }
    }
}

/// What an object is to the mesh.
enum Decoded {
    Good(Box<Value>, Vec<Problem>),
    /// It says nothing as it stands.
    Nothing(Vec<Problem>),
    Bad(Vec<Problem>),
    Unknown,
}

/// The one place that knows kinds: each source of them is asked in turn.
fn decode(manifest: &mut Manifest<'_>, names: Option<&Names>) -> Decoded {
    let kind = manifest.meta.key.kind.clone();
    let kind = kind.as_str();
    if let Some(names) = names
        && let Some(kind) = kubernetes::Kind::of(&manifest.api_version, kind)
    {
        return of_platform(manifest, kind, names);
    }
    let known = rules::kind(&manifest.api_version, kind);
    if known.is_some_and(RuleKind::is_cluster_scoped) {
        manifest.meta.key = manifest.meta.key.in_namespace(NamespaceName::default());
    } else {
        let namespace = manifest.meta.key.namespace.as_str();
        manifest.meta.domain = names.map(|names| names.suffix(namespace));
    }
    let null = serde_json::Value::Null;
    let spec = manifest.fields.get("spec").unwrap_or(&null);
    match RuleSpec::parse(&manifest.api_version, kind, spec) {
        Ok((rule, warnings)) => Decoded::Good(Box::new(Value::Rule(rule)), warnings),
        Err(Unreadable::Spec(problems)) => Decoded::Bad(problems),
        Err(Unreadable::UnknownKind) => Decoded::Unknown,
    }
}

fn of_platform(manifest: &mut Manifest<'_>, kind: kubernetes::Kind, names: &Names) -> Decoded {
    let meta = &mut manifest.meta;
    if !kind.is_namespaced() {
        meta.key = meta.key.in_namespace(NamespaceName::default());
    }
    let said = kubernetes::read_fields(kind, meta, &manifest.fields, names);
    kind.trim(meta);
    match said {
        Ok(Said {
            value: Some(value),
            warnings,
        }) => Decoded::Good(Box::new(value), warnings),
        Ok(Said {
            value: None,
            warnings,
        }) => Decoded::Nothing(warnings),
        Err(problems) => Decoded::Bad(problems),
    }
}

/// What is wrong with a text that is one value and not made of objects, as far as `check` can tell; `None`: nothing.
pub fn check_value(
    path: &str,
    text: &str,
    check: impl FnOnce(&serde_json::Value) -> Vec<Problem>,
) -> Option<Finding> {
    let source = Source {
        path,
        text: text.strip_prefix('\u{feff}').unwrap_or(text),
    };
    let (line, problems) = match text::value(source, check) {
        Ok(problems) => (1, problems),
        Err(fault) => (fault.line, fault.problems),
    };
    (!problems.is_empty()).then(|| Finding {
        key: None,
        at: source.origin(line),
        problems,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: NAME}\nspec: {hosts: [NAME.example.com], ports: [{number: 80, name: http}]}\n";

    fn good(name: &str) -> String {
        GOOD.replace("NAME", name)
    }

    fn objects(reading: &Reading) -> Vec<String> {
        reading
            .objects
            .iter()
            .map(|object| format!("{} {}", object.origin, object.meta.key))
            .collect()
    }

    fn findings(reading: &Reading) -> Vec<String> {
        let key = |finding: &Finding| {
            finding
                .key
                .as_ref()
                .map_or("?".to_owned(), ToString::to_string)
        };
        let text = |finding: &Finding| {
            finding
                .problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        };
        reading
            .findings
            .iter()
            .map(|finding| format!("{} {} {}", finding.at, key(finding), text(finding)))
            .collect()
    }

    #[test]
    fn every_version_and_namespace_is_read() {
        for version in ["v1", "v1beta1", "v1alpha3"] {
            let text = good("web")
                .replace("io/v1", &format!("io/{version}"))
                .replace("{name: web}", "{name: web, namespace: shop}");
            let reading = Reading::of("a.yaml", &text);
            assert_eq!(
                (objects(&reading), findings(&reading)),
                (vec!["a.yaml:1 ServiceEntry shop/web".to_owned()], vec![])
            );
        }
        assert_eq!(
            objects(&Reading::of("a.yaml", &good("web"))),
            ["a.yaml:1 ServiceEntry default/web"]
        );
    }

    #[test]
    fn metadata_is_read() {
        let meta = "{name: web, labels: {app: web}, annotations: {note: 'yes'}, generation: 3, creationTimestamp: 2026-01-31T12:00:00Z}";
        let reading = Reading::of("a.yaml", &good("web").replace("{name: web}", meta));
        let meta = &reading.objects[0].meta;
        assert_eq!(meta.labels.iter().collect::<Vec<_>>(), [("app", "web")]);
        assert_eq!(
            meta.annotations.iter().collect::<Vec<_>>(),
            [("note", "yes")]
        );
        assert_eq!(meta.generation, 3);
        assert_eq!(
            meta.created.map(|time| time.to_string()).as_deref(),
            Some("2026-01-31T12:00:00Z")
        );
    }

    #[test]
    fn lists_are_read_with_the_place_of_each_item() {
        let item = |name: &str| format!("- {}", good(name).trim_end().replace('\n', "\n  "));
        let list = format!(
            "apiVersion: v1\nkind: List\nitems:\n{}\n{}\n",
            item("a"),
            item("b")
        );
        assert_eq!(
            objects(&Reading::of("l.yaml", &list)),
            [
                "l.yaml:4 ServiceEntry default/a",
                "l.yaml:8 ServiceEntry default/b"
            ]
        );

        let typed = "apiVersion: networking.istio.io/v1\nkind: ServiceEntryList\nitems:\n- metadata: {name: a}\n  spec: {hosts: [a.example.com], ports: [{number: 80, name: http}]}\n";
        assert_eq!(
            objects(&Reading::of("l.yaml", typed)),
            ["l.yaml:4 ServiceEntry default/a"]
        );
        assert_eq!(
            Reading::of("l.yaml", "apiVersion: v1\nkind: List\nitems: []\n"),
            Reading::default()
        );
    }

    #[test]
    fn json_is_read_value_by_value() {
        let json = |name: &str| {
            format!(
                "{{\n\t\"apiVersion\": \"networking.istio.io/v1\", \"kind\": \"ServiceEntry\",\n\t\"metadata\": {{\"name\": \"{name}\"}},\n\t\"spec\": {{\"hosts\": [\"{name}.example.com\"], \"ports\": [{{\"number\": 80, \"name\": \"http\"}}]}}\n}}\n"
            )
        };
        let reading = Reading::of("a.json", &format!("\u{feff}{}\n{}{{", json("a"), json("b")));
        assert_eq!(
            objects(&reading),
            [
                "a.json:1 ServiceEntry default/a",
                "a.json:7 ServiceEntry default/b"
            ]
        );
        assert_eq!(
            findings(&reading),
            [
                "a.json:12 ? not valid JSON: EOF while parsing an object\n  --> a.json:12:1\n11 | }\n12 | {\n   | ^"
            ]
        );
    }

    #[test]
    fn a_broken_document_costs_only_itself() {
        let broken = "kind: ServiceEntry\nmetadata:\n  name: c\nspec:\n  hosts: [c.example.com\n  ports: []\n";
        let text = [&good("a"), &good("b"), broken, &good("d"), &good("e")]
            .map(|text| -> &str { text })
            .join("---\n");
        let reading = Reading::of("a.yaml", &text);
        let names: Vec<_> = reading
            .objects
            .iter()
            .map(|object| &*object.meta.key.name)
            .collect();
        assert_eq!(names, ["a", "b", "d", "e"]);
        let found = findings(&reading);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("a.yaml:16 ServiceEntry default/c not valid YAML: "),
            "{}",
            found[0]
        );
        assert!(found[0].contains("\n  --> a.yaml:16:"), "{}", found[0]);
    }

    #[test]
    fn a_wrong_field_is_shown_where_it_stands() {
        let text = "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: web\nspec:\n  hosts: [web.example.com]\n  ports:\n  - number: eighty\n    name: http\n";
        let found = findings(&Reading::of("shop/a.yaml", text));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("shop/a.yaml:2 ServiceEntry default/web spec.ports[0].number: "),
            "{}",
            found[0]
        );
        assert!(
            found[0].contains(
                "\n  --> shop/a.yaml:9:13\n8 |   ports:\n9 |   - number: eighty\n  |             ^"
            ),
            "{}",
            found[0]
        );
    }

    #[test]
    fn what_is_no_object_says_what_is_missing() {
        let check = |text: &str, expected: &[&str]| {
            let found = findings(&Reading::of("a.yaml", text));
            let first_lines: Vec<_> = found
                .iter()
                .map(|finding| finding.lines().next().unwrap_or_default())
                .collect();
            assert_eq!(first_lines, expected, "{text}");
        };
        check(
            "just text",
            &["a.yaml:1 ? expected an object, found a text"],
        );
        check(
            "replicas: 3\nmetadata: {name: x}",
            &["a.yaml:1 ? apiVersion: is missing"],
        );
        check(
            "apiVersion: v1\nkind: ServiceEntry\nmetadata: {}",
            &["a.yaml:1 ? metadata.name: is missing"],
        );
        check(
            "apiVersion: v1\nkind: ServiceEntry",
            &["a.yaml:1 ? metadata.name: is missing"],
        );
        check(
            "apiVersion: v1\nkind: ServiceEntry\nmetadata: {name: 7}",
            &["a.yaml:1 ? metadata.name: expected text, found the number `7`"],
        );
        check(
            "apiVersion: v1\nkind: ServiceEntry\nmetadata: {name: a, labels: {v: 1}}",
            &[
                "a.yaml:1 ServiceEntry default/a metadata.labels[v]: expected text, found the number `1`",
            ],
        );
        check(
            "apiVersion: v1\nkind: ServiceEntry\nmetadata: {name: a, creationTimestamp: soon}",
            &["a.yaml:1 ServiceEntry default/a metadata.creationTimestamp: `soon` is not a time"],
        );
        check(
            "a: 1\na: 2\n",
            &["a.yaml:2 ? not valid YAML: duplicate mapping key `a` is not allowed here"],
        );
    }

    fn cluster(text: &str) -> Reading {
        Reading::of_cluster("a.yaml", text, &Names::new("mesh.example"))
    }

    #[test]
    fn objects_of_a_cluster_are_read_where_they_are_asked_for() {
        let text = [
            &good("web"),
            "apiVersion: v1\nkind: Node\nmetadata: {name: n1, annotations: {a: b}}\n",
            "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n",
            "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: own}\nspec: {controller: a.b/c}\n",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: done}\nstatus: {phase: Failed}\n",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\n",
            "apiVersion: acme.example/v1\nkind: Widget\nmetadata: {name: it}\n",
            "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {type: Magic}\n",
        ]
        .join("---\n");
        let reading = cluster(&text);
        let found: Vec<_> = reading
            .objects
            .iter()
            .map(|object| {
                let domain = object.meta.domain.as_deref().unwrap_or_default();
                let notes = object.meta.annotations.iter().count();
                format!("{} {domain} {notes}", object.meta.key)
            })
            .collect();
        let expected = [
            "ServiceEntry default/web default.svc.mesh.example 0",
            "Node n1  0",
            "Service shop/web  0",
            "IngressClass own  0",
        ];
        assert_eq!(found, expected);
        let kinds = |all: &[Unknown]| {
            let kinds = all.iter().map(|one| one.key.kind.to_string());
            kinds.collect::<Vec<_>>()
        };
        assert_eq!(kinds(&reading.unknown), ["Widget"]);
        assert_eq!(kinds(&reading.passed_over), ["Secret"]);
        assert_eq!(
            findings(&reading),
            [
                "a.yaml:32 Service default/bad spec.type: \"Magic\" is no type of a service\n  --> a.yaml:35:14\n34 | metadata: {name: bad}\n35 | spec: {type: Magic}\n   |              ^ (known are ClusterIP, NodePort, LoadBalancer and ExternalName)"
            ]
        );

        let rules = Reading::of("a.yaml", &text);
        assert_eq!(
            kinds(&rules.unknown),
            ["Node", "Service", "Pod", "Secret", "Widget", "Service"]
        );
        assert_eq!((rules.passed_over.len(), rules.findings.len()), (0, 0));
        assert!(
            rules
                .objects
                .iter()
                .all(|object| object.meta.domain.is_none())
        );
    }

    #[test]
    fn unknown_kinds_are_told_apart() {
        let reading = Reading::of(
            "a.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\nkind: [",
        );
        let unknown: Vec<_> = reading
            .unknown
            .iter()
            .map(
                |Unknown {
                     api_version,
                     key,
                     at,
                 }| format!("{at} {api_version} {key}"),
            )
            .collect();
        assert_eq!(unknown, ["a.yaml:1 v1 Pod default/a"]);
        assert_eq!(reading.findings.len(), 1);
    }
}
