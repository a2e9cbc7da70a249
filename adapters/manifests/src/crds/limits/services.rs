//! Limits of services and workloads that no platform declares, and of how proxies are started.

use super::Limit::{
    AtLeastItems, Entries, ExactlyOne, Items, Keyed, Length, Range, Required, Rule,
};
use super::{LABEL, On, PORT, SPEC, on};

const SERVICE_ENTRY: &str = "service_entry::ServiceEntry";
const PORTS: &str = "service_entry::ServicePort";
const WORKLOAD: &str = "workload_entry::WorkloadEntry";

/// A workload that is dialled has to be found.
const DIALLED: &[super::Limit] = &[Rule(
    "address is required",
    "has(self.address) || has(self.network)",
)];
/// Labels by which workloads are selected.
const SELECTED: &[super::Limit] = &[
    Length(0, 63),
    Rule(
        "wildcard is not supported in selector",
        "!self.contains('*')",
    ),
];
/// Seconds and counts of probes.
const COUNT: &[super::Limit] = &[Range(0, 2_147_483_647)];

pub(super) const ALL: &[On] = &[
    on("ServiceEntry", "", SPEC),
    on(
        SERVICE_ENTRY,
        "",
        &[
            Required(&["hosts"]),
            Rule(
                "only one of workloadSelector or endpoints can be set",
                "!has(self.workloadSelector) || !has(self.endpoints) || size(self.endpoints) == 0",
            ),
            Rule(
                "CIDR addresses are allowed only for NONE/STATIC resolution types",
                "!has(self.addresses) || !has(self.resolution) || self.resolution in ['NONE', 'STATIC'] || !self.addresses.exists(a, a.contains('/'))",
            ),
            Rule(
                "NONE mode cannot set endpoints",
                "(has(self.resolution) && self.resolution != 'NONE') || !has(self.endpoints) || size(self.endpoints) == 0",
            ),
            Rule(
                "DNS_ROUND_ROBIN mode cannot have multiple endpoints",
                "!has(self.resolution) || self.resolution != 'DNS_ROUND_ROBIN' || !has(self.endpoints) || size(self.endpoints) <= 1",
            ),
            Rule(
                "DYNAMIC_DNS mode is for hosts with a wildcard, such as *.example.com",
                "!has(self.resolution) || self.resolution != 'DYNAMIC_DNS' || self.hosts.all(h, h.startsWith('*.'))",
            ),
            Rule(
                "DYNAMIC_DNS mode cannot set addresses, endpoints or workloadSelector",
                "!has(self.resolution) || self.resolution != 'DYNAMIC_DNS' || !((has(self.addresses) && size(self.addresses) > 0) || (has(self.endpoints) && size(self.endpoints) > 0) || has(self.workloadSelector))",
            ),
        ],
    ),
    on(SERVICE_ENTRY, "hosts", &[Items(1, 256)]),
    on(
        SERVICE_ENTRY,
        "hosts[]",
        &[
            Length(1, 255),
            Rule("hostname cannot be wildcard", "self != '*'"),
        ],
    ),
    on(SERVICE_ENTRY, "addresses", &[Items(0, 256)]),
    on(SERVICE_ENTRY, "addresses[]", &[Length(1, 64)]),
    on(SERVICE_ENTRY, "ports", &[Items(0, 256), Keyed("number")]),
    on(SERVICE_ENTRY, "endpoints", &[Items(0, 4096)]),
    on(SERVICE_ENTRY, "endpoints[]", DIALLED),
    on(PORTS, "", &[Required(&["number", "name"])]),
    on(PORTS, "number", PORT),
    on(PORTS, "name", LABEL),
    on(PORTS, "protocol", &[Length(0, 256)]),
    on(PORTS, "targetPort", &[Range(0, 65535)]),
    on("service_entry::WorkloadSelector", "labels", &[Entries(256)]),
    on("service_entry::WorkloadSelector", "labels{}", SELECTED),
    on(
        "destination_rule::MatchLabels",
        "matchLabels",
        &[Entries(4096)],
    ),
    on("destination_rule::MatchLabels", "matchLabels{}", SELECTED),
    on("WorkloadEntry", "", SPEC),
    on("WorkloadEntry", "spec", DIALLED),
    on(
        WORKLOAD,
        "",
        &[Rule(
            "UDS may not include ports",
            "!has(self.address) || !self.address.startsWith('unix://') || !has(self.ports) || size(self.ports) == 0",
        )],
    ),
    on(
        WORKLOAD,
        "address",
        &[
            Length(0, 256),
            Rule(
                "UDS must be the absolute path of a socket",
                "!self.startsWith('unix://') || (self.startsWith('unix:///') && !self.endsWith('/'))",
            ),
        ],
    ),
    on(
        WORKLOAD,
        "ports",
        &[
            Entries(128),
            Rule(
                "port name must be valid",
                "self.all(name, size(name) < 64 && name.matches('^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$'))",
            ),
        ],
    ),
    on(WORKLOAD, "ports{}", PORT),
    on(WORKLOAD, "labels", &[Entries(256)]),
    on(WORKLOAD, "network", &[Length(0, 2048)]),
    on(WORKLOAD, "locality", &[Length(0, 2048)]),
    on(WORKLOAD, "serviceAccount", &[Length(0, 253)]),
    on("WorkloadGroup", "", SPEC),
    on(
        "workload_group::WorkloadGroup",
        "",
        &[Required(&["template"])],
    ),
    on(
        "workload_group::probe::Probe",
        "",
        &[ExactlyOne(&["httpGet", "tcpSocket", "exec", "grpc"])],
    ),
    on("workload_group::probe::Probe", "initialDelaySeconds", COUNT),
    on("workload_group::probe::Probe", "timeoutSeconds", COUNT),
    on("workload_group::probe::Probe", "periodSeconds", COUNT),
    on("workload_group::probe::Probe", "successThreshold", COUNT),
    on("workload_group::probe::Probe", "failureThreshold", COUNT),
    on(
        "workload_group::probe::HttpProbe",
        "",
        &[Required(&["port"])],
    ),
    on("workload_group::probe::HttpProbe", "port", PORT),
    on(
        "workload_group::probe::HttpHeader",
        "",
        &[Required(&["name"])],
    ),
    on(
        "workload_group::probe::HttpHeader",
        "name",
        &[Length(1, 4096)],
    ),
    on(
        "workload_group::probe::TcpProbe",
        "",
        &[Required(&["port"])],
    ),
    on("workload_group::probe::TcpProbe", "port", PORT),
    on(
        "workload_group::probe::ExecProbe",
        "",
        &[Required(&["command"])],
    ),
    on(
        "workload_group::probe::ExecProbe",
        "command",
        &[AtLeastItems(1)],
    ),
    on(
        "workload_group::probe::GrpcProbe",
        "",
        &[Required(&["port"])],
    ),
    on("workload_group::probe::GrpcProbe", "port", PORT),
];
