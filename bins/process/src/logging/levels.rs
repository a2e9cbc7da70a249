//! Which scope logs how much: `default:debug,ads:info`, as `--log_output_level` has it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// A part of the process whose level can be set by itself.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Scope {
    /// Its name.
    pub name: &'static str,
    /// What logs under it.
    pub about: &'static str,
    /// The `tracing` targets that belong to it; longer ones win over shorter ones of other scopes.
    #[serde(skip)]
    targets: &'static [&'static str],
}

/// Every scope, the one for all the rest first.
pub const SCOPES: &[Scope] = &[
    Scope {
        name: DEFAULT,
        about: "start, stop and everything without a scope of its own",
        targets: &["pilothouse", "pilot_discovery", "pilot_agent"],
    },
    Scope {
        name: "ads",
        about: "streams of proxies: connections, requests, responses, rejections",
        targets: &["ads", "pilothouse_xds::server", "pilothouse_xds::protocol"],
    },
    Scope {
        name: "push",
        about: "what is computed for proxies, when and why",
        targets: &[
            "push",
            "pilothouse_xds::hub",
            "pilothouse_xds::publisher",
            "pilothouse_xds::snapshot",
            "pilothouse_xds::fanout",
            "pilothouse_xds::translate",
            "pilothouse_xds::inputs",
        ],
    },
    Scope {
        name: "model",
        about: "rules and mesh config: rejections, conflicts",
        targets: &[
            "model",
            "pilothouse_core::rules",
            "pilothouse_core::mesh",
            "pilothouse_core::status",
            "pilot_discovery::mesh_config",
        ],
    },
    Scope {
        name: "store",
        about: "what registries wrote: sets, merges, held losses",
        targets: &["store", "pilothouse_core::store"],
    },
    Scope {
        name: "registry",
        about: "the runs of registries",
        targets: &[
            "registry",
            "readiness",
            "pilothouse_core::supervisor",
            "pilothouse_core::readiness",
        ],
    },
    Scope {
        name: "kube",
        about: "the registry Kubernetes: watches, what is written to clusters",
        targets: &["kube", "pilothouse_kubernetes"],
    },
    Scope {
        name: "status",
        about: "what is written to the status of rules, and which replica writes it",
        targets: &["status"],
    },
    Scope {
        name: "consul",
        about: "the registry Consul",
        targets: &["consul", "pilothouse_consul"],
    },
    Scope {
        name: "static",
        about: "the directory of YAML: files read, changed, refused",
        targets: &["static", "pilothouse_static"],
    },
    Scope {
        name: "http",
        about: "requests on the HTTP listeners",
        targets: &["http", "pilot_discovery::http", "pilot_discovery::debug"],
    },
    Scope {
        name: "xdsproxy",
        about: "the agent's relay between Envoy and discovery",
        targets: &["xdsproxy", "pilot_agent::relay"],
    },
    Scope {
        name: "sds",
        about: "the agent's certificates for Envoy",
        targets: &["sds", "pilot_agent::sds", "pilot_agent::certificates"],
    },
    Scope {
        name: "dns",
        about: "names that the agent answers",
        targets: &["dns", "pilot_agent::dns"],
    },
    Scope {
        name: LIBRARIES,
        about: "libraries that are not this project's",
        targets: &[],
    },
];

const DEFAULT: &str = "default";
const LIBRARIES: &str = "libs";

/// Scopes that Istio has and nothing here logs under. They are accepted, so that a level list written for it starts.
const ISTIO_SCOPES: &[&str] = &[
    "adsc",
    "authn",
    "authorization",
    "ca",
    "cache",
    "controllers",
    "debug",
    "delta",
    "grpcgen",
    "ingress",
    "klog",
    "krt",
    "mcp",
    "monitor",
    "pkica",
    "proxyconfig",
    "rbac",
    "retry",
    "rootcertrotator",
    "secretcontroller",
    "security",
    "serviceentry",
    "spiffe",
    "telemetry",
    "tpath",
    "trustBundle",
    "validation",
    "validationController",
    "validationServer",
    "wasm",
    "wle",
];

const LEVELS: &[(&str, LevelFilter)] = &[
    ("none", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
];

/// A level for every scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels(BTreeMap<&'static str, LevelFilter>);

impl Levels {
    /// Everything at `level`, other people's libraries at no more than warnings.
    pub fn all(level: LevelFilter) -> Self {
        let mut levels: BTreeMap<_, _> = SCOPES.iter().map(|scope| (scope.name, level)).collect();
        levels.insert(LIBRARIES, level.min(LevelFilter::WARN));
        Self(levels)
    }

    /// Reads `scope:level,...` on top of these levels. A level without scope is the default scope's; scopes that the
    /// list does not name follow the default scope where it is named.
    ///
    /// # Errors
    /// A scope or level is unknown; the message names those that are known.
    pub fn with(&self, list: &str) -> Result<Self, String> {
        let mut named = BTreeMap::new();
        let mut default = None;
        for entry in list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            let (scope, level) = entry.split_once(':').unwrap_or((DEFAULT, entry));
            let level = level_named(level)?;
            if scope == "all" {
                named.extend(SCOPES.iter().map(|scope| (scope.name, level)));
                default = Some(level);
            } else if scope == DEFAULT {
                default = Some(level);
            } else if let Some(scope) = SCOPES.iter().find(|known| known.name == scope) {
                named.insert(scope.name, level);
            } else if !ISTIO_SCOPES.contains(&scope) {
                let known: Vec<_> = SCOPES.iter().map(|scope| scope.name).collect();
                return Err(format!(
                    "unknown scope {scope:?}; the scopes are {} and all",
                    known.join(", ")
                ));
            }
        }
        let mut levels = match default {
            Some(level) => Self::all(level),
            None => self.clone(),
        };
        levels.0.extend(named);
        Ok(levels)
    }

    /// The same as a filter of `tracing`.
    pub fn filter(&self) -> Targets {
        let mut filter = Targets::new();
        for scope in SCOPES {
            let level = self.of(scope.name);
            filter = filter.with_targets(scope.targets.iter().map(|target| (*target, level)));
        }
        filter.with_default(self.of(LIBRARIES))
    }

    /// The level of every scope by name.
    pub fn names(&self) -> BTreeMap<&'static str, &'static str> {
        self.0
            .iter()
            .map(|(scope, level)| (*scope, level_name(*level)))
            .collect()
    }

    fn of(&self, scope: &str) -> LevelFilter {
        self.0.get(scope).copied().unwrap_or(LevelFilter::INFO)
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (scope, level)) in self.names().into_iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{scope}:{level}")?;
        }
        Ok(())
    }
}

/// The scope that a `tracing` target belongs to.
pub(super) fn scope_of(target: &str) -> &'static str {
    SCOPES
        .iter()
        .flat_map(|scope| scope.targets.iter().map(move |prefix| (prefix, scope.name)))
        .filter(|(prefix, _)| target.starts_with(**prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or(LIBRARIES, |(_, name)| name)
}

fn level_named(name: &str) -> Result<LevelFilter, String> {
    // Nothing here is fatal without ending the process, so that level is the one above errors.
    let wanted = if name == "fatal" { "none" } else { name };
    LEVELS
        .iter()
        .find(|(known, _)| *known == wanted)
        .map(|(_, level)| *level)
        .ok_or_else(|| {
            let known: Vec<_> = LEVELS.iter().map(|(name, _)| *name).collect();
            format!(
                "unknown level {name:?}; the levels are {}",
                known.join(", ")
            )
        })
}

fn level_name(level: LevelFilter) -> &'static str {
    LEVELS
        .iter()
        .find(|(_, known)| *known == level)
        .map_or("debug", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn parse(list: &str) -> Result<Levels, String> {
        Levels::all(LevelFilter::INFO).with(list)
    }

    #[test]
    fn lists() {
        let names = |list: &str| parse(list).map(|levels| levels.names());
        let of = |list: &str, scope: &str| names(list).map(|names| names.get(scope).copied());
        assert_eq!(of("default:debug,ads:info", "ads"), Ok(Some("info")));
        assert_eq!(of("default:debug,ads:info", "default"), Ok(Some("debug")));
        assert_eq!(of("default:debug,ads:info", "store"), Ok(Some("debug")));
        assert_eq!(of("ads:info,default:debug", "ads"), Ok(Some("info")));
        assert_eq!(of("debug", "store"), Ok(Some("debug")));
        assert_eq!(of("debug", "libs"), Ok(Some("warn")));
        assert_eq!(of("all:debug", "libs"), Ok(Some("debug")));
        assert_eq!(of("ads:none", "store"), Ok(Some("info")));
        assert_eq!(of("default:fatal", "ads"), Ok(Some("none")));
        assert_eq!(names("rbac:debug,klog:debug"), names(""));
    }

    #[test]
    fn unknown_names_are_answered_with_the_known_ones() {
        assert_eq!(
            parse("adz:info"),
            Err("unknown scope \"adz\"; the scopes are default, ads, push, model, store, registry, kube, status, consul, static, http, xdsproxy, sds, dns, libs and all".into())
        );
        assert_eq!(
            parse("ads:verbose"),
            Err("unknown level \"verbose\"; the levels are none, error, warn, info, debug".into())
        );
    }

    #[test]
    fn the_filter_goes_by_the_longest_target() {
        let levels = match parse("default:info,ads:debug,static:none") {
            Ok(levels) => levels.filter(),
            Err(problem) => panic!("{problem}"),
        };
        for (target, level, expected) in [
            ("pilothouse_xds::server::accept", Level::DEBUG, true),
            ("ads", Level::DEBUG, true),
            ("pilothouse_xds::encode", Level::DEBUG, false),
            ("pilothouse_core::store", Level::INFO, true),
            ("pilothouse_static::watch", Level::ERROR, false),
            ("h2::proto", Level::INFO, false),
            ("h2::proto", Level::WARN, true),
        ] {
            assert_eq!(
                levels.would_enable(target, &level),
                expected,
                "{target} at {level}"
            );
        }
    }

    #[test]
    fn every_target_finds_its_scope() {
        for (target, scope) in [
            ("pilothouse_xds::server::body", "ads"),
            ("pilothouse_xds::encode", "default"),
            ("pilot_discovery::app", "default"),
            ("pilot_agent::envoy", "default"),
            ("pilot_agent::dns::forward", "dns"),
            ("pilothouse_core::store::guard", "store"),
            ("hyper::proto", "libs"),
        ] {
            assert_eq!(scope_of(target), scope, "{target}");
        }
    }
}
