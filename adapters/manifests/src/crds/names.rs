//! What `kubectl` calls the kinds, and what it prints of their objects.

use serde_json::{Value, json};

/// What a kind is called.
pub(super) struct Naming {
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) singular: &'static str,
    pub(super) short: &'static [&'static str],
    /// What it is, in a sentence.
    pub(super) about: &'static str,
    /// What is printed of each object besides its name: the column's head and where its content stands.
    columns: &'static [(&'static str, &'static str)],
}

const AGE: (&str, &str) = ("Age", ".metadata.creationTimestamp");

const ALL: &[Naming] = &[
    Naming {
        kind: "AuthorizationPolicy",
        plural: "authorizationpolicies",
        singular: "authorizationpolicy",
        short: &["ap"],
        about: "Who may ask for what.",
        columns: &[("Action", ".spec.action"), AGE],
    },
    Naming {
        kind: "DestinationRule",
        plural: "destinationrules",
        singular: "destinationrule",
        short: &["dr"],
        about: "What clients do once they have chosen a service: how endpoints are chosen and connections to them are made.",
        columns: &[("Host", ".spec.host"), AGE],
    },
    Naming {
        kind: "EnvoyFilter",
        plural: "envoyfilters",
        singular: "envoyfilter",
        short: &[],
        about: "Changes of what Envoy gets, in Envoy's own words.",
        columns: &[AGE],
    },
    Naming {
        kind: "Gateway",
        plural: "gateways",
        singular: "gateway",
        short: &["gw"],
        about: "What a router listens on, and for whom.",
        columns: &[AGE],
    },
    Naming {
        kind: "PeerAuthentication",
        plural: "peerauthentications",
        singular: "peerauthentication",
        short: &["pa"],
        about: "What workloads demand of their clients' connections.",
        columns: &[("Mode", ".spec.mtls.mode"), AGE],
    },
    Naming {
        kind: "ProxyConfig",
        plural: "proxyconfigs",
        singular: "proxyconfig",
        short: &[],
        about: "How proxies are started.",
        columns: &[AGE],
    },
    Naming {
        kind: "RequestAuthentication",
        plural: "requestauthentications",
        singular: "requestauthentication",
        short: &["ra"],
        about: "Which tokens requests may bear.",
        columns: &[AGE],
    },
    Naming {
        kind: "ServiceEntry",
        plural: "serviceentries",
        singular: "serviceentry",
        short: &["se"],
        about: "A service that no platform declares.",
        columns: &[
            ("Hosts", ".spec.hosts"),
            ("Location", ".spec.location"),
            ("Resolution", ".spec.resolution"),
            AGE,
        ],
    },
    Naming {
        kind: "Sidecar",
        plural: "sidecars",
        singular: "sidecar",
        short: &[],
        about: "What a sidecar's clients reach, and how it is reached itself.",
        columns: &[AGE],
    },
    Naming {
        kind: "Telemetry",
        plural: "telemetries",
        singular: "telemetry",
        short: &["telemetry"],
        about: "What proxies report.",
        columns: &[AGE],
    },
    Naming {
        kind: "TrafficExtension",
        plural: "trafficextensions",
        singular: "trafficextension",
        short: &[],
        about: "What runs inside a proxy: code of any kind.",
        columns: &[AGE],
    },
    Naming {
        kind: "VirtualService",
        plural: "virtualservices",
        singular: "virtualservice",
        short: &["vs"],
        about: "Which service clients choose, and what becomes of requests on the way.",
        columns: &[
            ("Gateways", ".spec.gateways"),
            ("Hosts", ".spec.hosts"),
            AGE,
        ],
    },
    Naming {
        kind: "WasmPlugin",
        plural: "wasmplugins",
        singular: "wasmplugin",
        short: &[],
        about: "What runs inside a proxy: a Wasm module.",
        columns: &[AGE],
    },
    Naming {
        kind: "WorkloadEntry",
        plural: "workloadentries",
        singular: "workloadentry",
        short: &["we"],
        about: "A workload that no platform declares.",
        columns: &[AGE, ("Address", ".spec.address")],
    },
    Naming {
        kind: "WorkloadGroup",
        plural: "workloadgroups",
        singular: "workloadgroup",
        short: &["wg"],
        about: "What workloads of a kind have in common, for those who register them.",
        columns: &[AGE],
    },
];

/// What the kind is called.
pub(super) fn of(kind: &str) -> Option<&'static Naming> {
    ALL.iter().find(|naming| naming.kind == kind)
}

/// The columns that are printed, in the form of a definition.
pub(super) fn columns(naming: &Naming) -> Vec<Value> {
    let column = |(name, path): &(&str, &str)| {
        let kind = if *name == AGE.0 { "date" } else { "string" };
        json!({"name": name, "jsonPath": path, "type": kind})
    };
    naming.columns.iter().map(column).collect()
}
