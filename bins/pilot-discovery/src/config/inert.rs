//! Flags of Istio's pilot-discovery, of both its eras, that mean nothing here.

use pilothouse_process::inert::{
    Inert, LOG_CALLER, LOG_ROTATE, LOG_ROTATE_MAX_AGE, LOG_ROTATE_MAX_BACKUPS, LOG_ROTATE_MAX_SIZE,
    switch, value,
};

const CLUSTERS: &str = "further clusters are described by secrets with the label istio/multiCluster=true in --clusters-namespace";
const PLAINTEXT: &str = "proxies are served in plaintext on --grpc-addr";
const INJECTION: &str = "no injection or validation webhook is served";

/// Every such flag, in the order of the documentation.
pub const INERT: &[Inert] = &[
    value("cniNamespace", "no CNI plug-in is part of this project"),
    value(
        "resync",
        "API servers are watched: nothing is read again at intervals",
    ),
    value("clusterRegistriesConfigMap", CLUSTERS),
    value("clusterAliases", "a cluster has one name"),
    value(
        "consulserverInterval",
        "Consul is not asked at intervals: its queries wait for changes",
    ),
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
    LOG_ROTATE,
    LOG_ROTATE_MAX_AGE,
    LOG_ROTATE_MAX_SIZE,
    LOG_ROTATE_MAX_BACKUPS,
    LOG_CALLER,
];
