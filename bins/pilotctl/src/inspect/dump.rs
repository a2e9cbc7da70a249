//! What Envoy's `/config_dump` says, and discovery's page of the same form: sections with resources, and what is wrong with them.
//!
//! A dump may be hundreds of megabytes long. Sections that nobody asks for are passed over while it is read.

mod read;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::json::{list, text};

/// A part of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    /// What Envoy started with.
    Bootstrap,
    /// Clusters.
    Clusters,
    /// Listeners.
    Listeners,
    /// Route tables.
    Routes,
    /// Load assignments: only with `?include_eds`.
    Endpoints,
}

/// The sections of a dump that were asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Dump(BTreeMap<Section, Vec<Value>>);

/// A resource in a dump.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Held<'a> {
    /// As configured.
    pub(crate) resource: &'a Value,
    /// Where it stands.
    pub(crate) state: State,
}

/// Where a resource stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It came with the bootstrap, or inside another resource.
    Static,
    /// It came over xDS and is in use.
    Active,
    /// It waits for what it needs.
    Warming,
    /// It finishes what it has begun.
    Draining,
}

/// An update that Envoy did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    /// The resource.
    pub(super) name: String,
    /// Why.
    pub(super) why: String,
    /// When.
    pub(super) at: String,
}

impl Section {
    /// Those that a table of everything has.
    pub(crate) const RESOURCES: [Self; 4] = [
        Self::Clusters,
        Self::Listeners,
        Self::Routes,
        Self::Endpoints,
    ];

    /// What it is called in a sentence.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Clusters => "clusters",
            Self::Listeners => "listeners",
            Self::Routes => "routes",
            Self::Endpoints => "endpoints",
        }
    }

    /// The message of Envoy's admin API.
    fn message(self) -> &'static str {
        match self {
            Self::Bootstrap => "BootstrapConfigDump",
            Self::Clusters => "ClustersConfigDump",
            Self::Listeners => "ListenersConfigDump",
            Self::Routes => "RoutesConfigDump",
            Self::Endpoints => "EndpointsConfigDump",
        }
    }

    /// The lists of the message, the key of the resource in an entry, and where the entries stand.
    fn lists(self) -> &'static [(&'static str, &'static str, State)] {
        match self {
            Self::Bootstrap => &[],
            Self::Clusters => &[
                ("static_clusters", "cluster", State::Static),
                ("dynamic_active_clusters", "cluster", State::Active),
                ("dynamic_warming_clusters", "cluster", State::Warming),
            ],
            Self::Listeners => &[
                ("static_listeners", "listener", State::Static),
                ("dynamic_listeners", "listener", State::Active),
            ],
            Self::Routes => &[
                ("static_route_configs", "route_config", State::Static),
                ("dynamic_route_configs", "route_config", State::Active),
            ],
            Self::Endpoints => &[
                ("static_endpoint_configs", "endpoint_config", State::Static),
                ("dynamic_endpoint_configs", "endpoint_config", State::Active),
            ],
        }
    }
}

impl Dump {
    /// Reads the sections that are wanted. `from` says what the bytes are, for errors.
    pub(crate) fn read(bytes: &[u8], wanted: &[Section], from: &str) -> Result<Self> {
        let found = read::sections(bytes, wanted)
            .with_context(|| format!("{from} is no JSON: take a dump with {HOW}"))?;
        match found {
            Some(sections) => Ok(Self(sections)),
            None => {
                bail!("{from} is no dump of an Envoy: it has no \"configs\"; take one with {HOW}")
            }
        }
    }

    /// Whether it has the section at all.
    pub(super) fn has(&self, section: Section) -> bool {
        self.0.contains_key(&section)
    }

    /// The parts of a section: the same may stand in a dump more than once.
    pub(super) fn parts(&self, section: Section) -> &[Value] {
        self.0.get(&section).map(Vec::as_slice).unwrap_or_default()
    }

    /// The resources of a section.
    pub(crate) fn held(&self, section: Section) -> Vec<Held<'_>> {
        let mut held = Vec::new();
        self.entries(section, |key, state, entry| match section {
            // A listener has its states side by side.
            Section::Listeners if state == State::Active => {
                for (slot, state) in [
                    ("active_state", State::Active),
                    ("warming_state", State::Warming),
                    ("draining_state", State::Draining),
                ] {
                    held.push((&entry[slot][key], state));
                }
            }
            _ => held.push((&entry[key], state)),
        });
        held.into_iter()
            .filter(|(resource, _)| resource.is_object())
            .map(|(resource, state)| Held { resource, state })
            .collect()
    }

    /// The updates of a section that Envoy did not take.
    pub(super) fn failed(&self, section: Section) -> Vec<Failed> {
        let mut failed = Vec::new();
        self.entries(section, |key, _, entry| {
            let error = &entry["error_state"];
            if error.is_object() {
                let names = [
                    &entry["name"],
                    &entry[key]["name"],
                    &error["failed_configuration"]["name"],
                ];
                let name = names.into_iter().map(text).find(|name| !name.is_empty());
                failed.push(Failed {
                    name: name.unwrap_or("?").to_owned(),
                    why: text(&error["details"]).to_owned(),
                    at: text(&error["last_update_attempt"]).to_owned(),
                });
            }
        });
        failed
    }

    fn entries<'a>(
        &'a self,
        section: Section,
        mut each: impl FnMut(&'static str, State, &'a Value),
    ) {
        for part in self.parts(section) {
            for (field, key, state) in section.lists() {
                for entry in list(&part[field]) {
                    each(key, *state, entry);
                }
            }
        }
    }
}

/// How to take a dump.
pub(super) const HOW: &str = "curl 'http://127.0.0.1:15000/config_dump?include_eds'";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dump(value: &Value, wanted: &[Section]) -> Dump {
        Dump::read(value.to_string().as_bytes(), wanted, "it").unwrap()
    }

    fn any(name: &str) -> String {
        format!("type.googleapis.com/envoy.admin.v3.{name}")
    }

    #[test]
    fn only_what_is_wanted_is_kept() {
        let value = json!({ "configs": [
            { "@type": any("ClustersConfigDump"), "static_clusters": [{ "cluster": { "name": "a" } }] },
            { "@type": any("SomethingNewDump"), "x": [1, { "y": null }] },
            { "@type": any("ListenersConfigDump"), "version_info": "1" },
            7,
        ], "more": true });
        let read = dump(&value, &[Section::Clusters, Section::Routes]);
        assert_eq!(read.held(Section::Clusters).len(), 1);
        assert!(!read.has(Section::Listeners) && !read.has(Section::Routes));
        assert!(dump(&value, &[Section::Listeners]).has(Section::Listeners));
    }

    /// Envoy writes the type first; somebody who sorted or edited the file may not have.
    #[test]
    fn the_type_may_come_late() {
        let text = format!(
            r#"{{"configs":[{{"dynamic_active_clusters":[{{"cluster":{{"name":"a"}}}}],"@type":"{}"}}]}}"#,
            any("ClustersConfigDump")
        );
        let read = Dump::read(text.as_bytes(), &[Section::Clusters], "it").unwrap();
        assert_eq!(
            read.held(Section::Clusters)[0].resource,
            &json!({ "name": "a" })
        );
    }

    #[test]
    fn states_of_listeners() {
        let listener = |name: &str| json!({ "listener": { "name": name } });
        let value = json!({ "configs": [{ "@type": any("ListenersConfigDump"),
            "static_listeners": [{ "listener": { "name": "s" } }],
            "dynamic_listeners": [
                { "name": "a", "active_state": listener("a"), "warming_state": listener("a") },
                { "name": "d", "draining_state": listener("d") },
                { "name": "e", "error_state": { "details": "is bad", "last_update_attempt": "then", "failed_configuration": { "@type": "x" } } },
                { "name": "odd", "active_state": 7 },
            ],
        }] });
        let read = dump(&value, &[Section::Listeners]);
        let held: Vec<_> = read
            .held(Section::Listeners)
            .iter()
            .map(|held| (text(&held.resource["name"]), held.state))
            .collect();
        assert_eq!(
            held,
            [
                ("s", State::Static),
                ("a", State::Active),
                ("a", State::Warming),
                ("d", State::Draining)
            ]
        );
        assert_eq!(
            read.failed(Section::Listeners),
            [Failed {
                name: "e".to_owned(),
                why: "is bad".to_owned(),
                at: "then".to_owned()
            }]
        );
    }

    #[test]
    fn what_is_no_dump_is_said_to_be_none() {
        let error = |bytes: &[u8]| {
            format!(
                "{:#}",
                Dump::read(bytes, &[Section::Clusters], "a.json").unwrap_err()
            )
        };
        for other in ["{}", "[]", "7", r#"{"cluster_statuses":[]}"#] {
            let text = error(other.as_bytes());
            assert!(
                text.starts_with("a.json is no dump of an Envoy") && text.contains("config_dump"),
                "{text}"
            );
        }
        for other in ["", "configs: []", r#"{"configs":["#] {
            let text = error(other.as_bytes());
            assert!(text.starts_with("a.json is no JSON"), "{text}");
        }
    }
}
