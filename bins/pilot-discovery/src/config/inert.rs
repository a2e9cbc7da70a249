//! Flags of Istio's pilot-discovery, of both its eras, that mean nothing here. Each is accepted, so that a manifest
//! written for the original starts, and answered with one warning that says why it has no effect.

use clap::{Arg, ArgAction, ArgMatches};

/// A flag that is accepted and ignored.
#[derive(Debug)]
pub struct Inert {
    /// Its name, without dashes.
    pub name: &'static str,
    /// Its one-letter form.
    pub short: Option<char>,
    /// Whether a value follows.
    takes: Takes,
    /// Why it has no effect.
    pub why: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Value,
    Switch,
}

const KUBERNETES: &str = "no Kubernetes registry is part of this binary";
const CONSUL: &str = "no Consul registry is part of this binary";
const PLAINTEXT: &str = "proxies are served in plaintext on --grpc-addr";
const INJECTION: &str = "no injection or validation webhook is served";
const ROTATION: &str = "log files are not rotated by the process: use the platform's log rotation";

/// Every such flag, in the order of the documentation.
pub const INERT: &[Inert] = &[
    value("kubeconfig", KUBERNETES),
    short('n', value("namespace", KUBERNETES)),
    short('a', value("appNamespace", KUBERNETES)),
    value("cniNamespace", KUBERNETES),
    value("resync", KUBERNETES),
    value("clusterRegistriesConfigMap", KUBERNETES),
    value("clusterRegistriesNamespace", KUBERNETES),
    value("clusterAliases", KUBERNETES),
    value("kubernetesApiQPS", KUBERNETES),
    value("kubernetesApiBurst", KUBERNETES),
    value("consulserverURL", CONSUL),
    value("consulserverInterval", CONSUL),
    value(
        "cfConfig",
        "Cloud Foundry is not among the platforms this project knows",
    ),
    value("secureGrpcAddr", PLAINTEXT),
    value("secureGRPCAddr", PLAINTEXT),
    value("caCertFile", PLAINTEXT),
    value("tlsCertFile", PLAINTEXT),
    value("tlsKeyFile", PLAINTEXT),
    value("tls-cipher-suites", PLAINTEXT),
    value("tls-min-version", PLAINTEXT),
    value("httpsAddr", INJECTION),
    value("webhookEndpoint", INJECTION),
    value(
        "networksConfig",
        "mesh networks are not read from a file of their own",
    ),
    value(
        "plugins",
        "every part of a proxy's configuration is generated; none is a plug-in",
    ),
    switch(
        "profile",
        "no profiles are served; the debug listener has no pprof pages",
    ),
    switch(
        "discovery_cache",
        "what is shared between proxies is always computed once",
    ),
    value("log_rotate", ROTATION),
    value("log_rotate_max_age", ROTATION),
    value("log_rotate_max_size", ROTATION),
    value("log_rotate_max_backups", ROTATION),
    value(
        "log_caller",
        "log lines carry their scope; no caller is recorded",
    ),
];

/// These flags for the parser: hidden, and only looked at by [`warnings`].
pub(super) fn arguments() -> impl Iterator<Item = Arg> {
    INERT.iter().map(|flag| {
        let arg = Arg::new(flag.name)
            .long(flag.name)
            .hide(true)
            .action(ArgAction::Append);
        let arg = match flag.short {
            Some(letter) => arg.short(letter),
            None => arg,
        };
        match flag.takes {
            Takes::Value => arg.num_args(1).allow_hyphen_values(true),
            Takes::Switch => arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true"),
        }
    })
}

/// One warning for each flag of the table that was given.
pub(super) fn warnings(matches: &ArgMatches) -> Vec<String> {
    INERT
        .iter()
        .filter(|flag| super::given(matches, flag.name))
        .map(|flag| format!("--{} has no effect: {}", flag.name, flag.why))
        .collect()
}

const fn value(name: &'static str, why: &'static str) -> Inert {
    Inert {
        name,
        short: None,
        takes: Takes::Value,
        why,
    }
}

const fn switch(name: &'static str, why: &'static str) -> Inert {
    Inert {
        name,
        short: None,
        takes: Takes::Switch,
        why,
    }
}

const fn short(letter: char, flag: Inert) -> Inert {
    Inert {
        short: Some(letter),
        ..flag
    }
}
