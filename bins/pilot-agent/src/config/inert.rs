//! Flags of Istio's pilot-agent, of both its eras, that mean nothing here.

use pilothouse_process::inert::{
    Inert, LOG_CALLER, LOG_ROTATE, LOG_ROTATE_MAX_AGE, LOG_ROTATE_MAX_BACKUPS, LOG_ROTATE_MAX_SIZE,
    switch, value,
};

const NO_HOT_RESTART: &str =
    "Envoy is not restarted beside its older self: what changes comes over xDS and SDS";
const TRACING: &str = "where spans go is not part of the bootstrap";
const TOKENS: &str = "no tokens are exchanged: certificates come from files";
const MIXER: &str = "there is no Mixer";
const NO_DEBUG: &str = "the agent has no debug listener; its pages are on --status-port";

/// Every such flag, in the order of the documentation.
pub const INERT: &[Inert] = &[
    value("parentShutdownDuration", NO_HOT_RESTART),
    switch("bootstrapv2", "the bootstrap is that of the current API"),
    value("discoveryRefreshDelay", "discovery pushes what changes"),
    value(
        "connectTimeout",
        "the agent reaches discovery with a time-out of its own",
    ),
    value("statsdUdpAddress", "metrics are read from --status-port"),
    value("zipkinAddress", TRACING),
    value("lightstepAddress", TRACING),
    value("lightstepAccessToken", TRACING),
    switch("lightstepSecure", TRACING),
    value("lightstepCacertPath", TRACING),
    value("datadogAgentAddress", TRACING),
    value(
        "envoyMetricsServiceAddress",
        "metrics are read from --status-port",
    ),
    value(
        "envoyAccessLogServiceAddress",
        "access logs are configured in the mesh config of discovery",
    ),
    value("mixerIdentity", MIXER),
    value(
        "pilotIdentity",
        "discovery is known by its name and its certificate's root",
    ),
    value(
        "trust-domain",
        "the trust domain is in the certificates and in the mesh config of discovery",
    ),
    value(
        "dnsRefreshRate",
        "DNS clusters are refreshed as the mesh config of discovery says",
    ),
    value(
        "applicationPorts",
        "readiness is Envoy's own and that of the probes of the application",
    ),
    value("stsPort", TOKENS),
    value("tokenManagerPlugin", TOKENS),
    switch("sdsEnabled", "SDS is always served"),
    value("sdsUdsPath", "SDS is served on a socket in --config-path"),
    switch(
        "controlPlaneBootstrap",
        "the bootstrap is made by the agent or from --template-file",
    ),
    switch("profiling", "no profiles are served"),
    value("ctrlz_port", NO_DEBUG),
    value("ctrlz_address", NO_DEBUG),
    LOG_ROTATE,
    LOG_ROTATE_MAX_AGE,
    LOG_ROTATE_MAX_SIZE,
    LOG_ROTATE_MAX_BACKUPS,
    LOG_CALLER,
];
