//! Limits of what clients and routers do: where requests go, and how connections are made.

use super::Limit::{AtLeast, AtLeastItems, AtMostOne, Items, Length, Range, Required, Rule};
use super::{LABEL, On, PERCENT, PORT, SPEC, on};

const VIRTUAL_SERVICE: &str = "virtual_service::VirtualService";
const HTTP_ROUTE: &str = "virtual_service::http::HttpRoute";
const DESTINATION_RULE: &str = "destination_rule::DestinationRule";

pub(super) const ALL: &[On] = &[
    on("VirtualService", "", SPEC),
    on(
        VIRTUAL_SERVICE,
        "",
        &[Rule(
            "one of http, tls or tcp is required",
            "has(self.http) || has(self.tls) || has(self.tcp)",
        )],
    ),
    // More than fit into an object.
    on(VIRTUAL_SERVICE, "http", &[Items(0, 16384)]),
    on(
        HTTP_ROUTE,
        "",
        &[
            Rule(
                "exactly one of route, redirect, directResponse and delegate is required",
                "[has(self.route) && size(self.route) > 0, has(self.redirect), has(self.directResponse), has(self.delegate)].exists_one(is_set, is_set)",
            ),
            Rule(
                "fault and rewrite go with a route: redirect and directResponse answer at once",
                "!(has(self.redirect) || has(self.directResponse)) || !(has(self.fault) || has(self.rewrite))",
            ),
        ],
    ),
    on(HTTP_ROUTE, "mirrorPercent", PERCENT),
    on(
        "virtual_service::http::HttpDestination",
        "",
        &[Required(&["destination"])],
    ),
    on("virtual_service::Destination", "", &[Required(&["host"])]),
    on("virtual_service::Destination", "host", &[Length(1, 255)]),
    on(
        "virtual_service::matching::StringMatch",
        "",
        &[AtMostOne(&["exact", "prefix", "regex"])],
    ),
    on(
        "virtual_service::action::Delegate",
        "",
        &[Required(&["name"])],
    ),
    on(
        "virtual_service::action::Redirect",
        "",
        &[AtMostOne(&["port", "derivePort"])],
    ),
    on(
        "virtual_service::action::Redirect",
        "redirectCode",
        &[Rule(
            "redirectCode is one of 301, 302, 303, 307 and 308",
            "self in [0, 301, 302, 303, 307, 308]",
        )],
    ),
    on(
        "virtual_service::action::DirectResponse",
        "",
        &[Required(&["status"])],
    ),
    on(
        "virtual_service::action::DirectResponse",
        "status",
        &[Range(200, 599)],
    ),
    on(
        "virtual_service::action::ResponseBody",
        "",
        &[AtMostOne(&["string", "bytes"])],
    ),
    on("virtual_service::policy::Percent", "value", PERCENT),
    on("virtual_service::policy::Delay", "percent", PERCENT),
    on(
        "virtual_service::policy::Delay",
        "",
        &[AtMostOne(&["fixedDelay", "exponentialDelay"])],
    ),
    on("virtual_service::policy::Abort", "percent", PERCENT),
    on(
        "virtual_service::policy::Abort",
        "httpStatus",
        &[Range(200, 599)],
    ),
    on(
        "virtual_service::policy::Abort",
        "",
        &[AtMostOne(&["httpStatus", "grpcStatus", "http2Error"])],
    ),
    on(
        "virtual_service::policy::Mirror",
        "",
        &[Required(&["destination"])],
    ),
    on(
        "virtual_service::l4::TlsRoute",
        "",
        &[Required(&["match", "route"])],
    ),
    on("virtual_service::l4::TlsRoute", "match", &[AtLeastItems(1)]),
    on("virtual_service::l4::TlsRoute", "route", &[AtLeastItems(1)]),
    on(
        "virtual_service::l4::TlsMatch",
        "",
        &[Required(&["sniHosts"])],
    ),
    on(
        "virtual_service::l4::TlsMatch",
        "sniHosts",
        &[AtLeastItems(1)],
    ),
    on("virtual_service::l4::TcpRoute", "", &[Required(&["route"])]),
    on("virtual_service::l4::TcpRoute", "route", &[AtLeastItems(1)]),
    on(
        "virtual_service::l4::L4Destination",
        "",
        &[Required(&["destination"])],
    ),
    on("DestinationRule", "", SPEC),
    on(DESTINATION_RULE, "", &[Required(&["host"])]),
    on(DESTINATION_RULE, "host", &[Length(1, 255)]),
    on("destination_rule::Subset", "", &[Required(&["name"])]),
    on("destination_rule::Subset", "name", LABEL),
    on(
        "destination_rule::TrafficPolicy",
        "portLevelSettings",
        &[Items(0, 4096)],
    ),
    on("destination_rule::PortPolicy", "", &[Required(&["port"])]),
    on("destination_rule::PortSelector", "number", PORT),
    on(
        "destination_rule::load_balancer::LoadBalancer",
        "",
        &[AtMostOne(&["simple", "consistentHash"])],
    ),
    on(
        "destination_rule::load_balancer::ConsistentHash",
        "",
        &[
            AtMostOne(&[
                "httpHeaderName",
                "httpCookie",
                "useSourceIp",
                "httpQueryParameterName",
            ]),
            AtMostOne(&["ringHash", "maglev"]),
        ],
    ),
    on(
        "destination_rule::load_balancer::HttpCookie",
        "",
        &[Required(&["name"])],
    ),
    on(
        "destination_rule::load_balancer::Warmup",
        "",
        &[Required(&["duration"])],
    ),
    on(
        "destination_rule::load_balancer::Warmup",
        "minimumPercent",
        PERCENT,
    ),
    on(
        "destination_rule::load_balancer::Warmup",
        "aggression",
        &[AtLeast(1)],
    ),
    on(
        "destination_rule::load_balancer::Failover",
        "",
        &[Required(&["from", "to"])],
    ),
    on(
        "destination_rule::load_balancer::Distribute",
        "to{}",
        &[Range(1, 100)],
    ),
    on(
        "destination_rule::connection::Tunnel",
        "",
        &[Required(&["targetHost", "targetPort"])],
    ),
    on("destination_rule::connection::Tunnel", "targetPort", PORT),
    on(
        "destination_rule::connection::RetryBudget",
        "percent",
        PERCENT,
    ),
    on("Gateway", "", SPEC),
    on("gateway::Gateway", "", &[Required(&["servers"])]),
    on("gateway::Gateway", "servers", &[AtLeastItems(1)]),
    on("gateway::Server", "", &[Required(&["port", "hosts"])]),
    on(
        "gateway::Server",
        "port",
        &[Required(&["protocol", "name"])],
    ),
    on("gateway::Server", "hosts", &[AtLeastItems(1)]),
    on("gateway::ServerPort", "number", &[Range(0, 65535)]),
    on("gateway::tls::ServerTls", "credentialNames", &[Items(0, 2)]),
    on(
        "gateway::tls::ServerCertificate",
        "",
        &[Required(&["serverCertificate", "privateKey"])],
    ),
    on("Sidecar", "", SPEC),
    on(
        "sidecar::Sidecar",
        "",
        &[Rule(
            "one of egress, ingress, outboundTrafficPolicy or inboundConnectionPool is required",
            "has(self.egress) || has(self.ingress) || has(self.outboundTrafficPolicy) || has(self.inboundConnectionPool)",
        )],
    ),
    on("sidecar::IngressListener", "", &[Required(&["port"])]),
    on("sidecar::EgressListener", "", &[Required(&["hosts"])]),
    on("sidecar::EgressListener", "hosts", &[AtLeastItems(1)]),
    on(
        "sidecar::OutboundPolicy",
        "",
        &[Rule(
            "egressProxy requires mode ALLOW_ANY",
            "!has(self.egressProxy) || (has(self.mode) && self.mode != 'REGISTRY_ONLY')",
        )],
    ),
    on("sidecar::EgressProxy", "", &[Required(&["host", "port"])]),
    on(
        "envoy_filter::EnvoyFilter",
        "",
        &[Rule(
            "only one of targetRefs or workloadSelector can be set",
            "!has(self.workloadSelector) || !has(self.targetRefs) || size(self.targetRefs) == 0",
        )],
    ),
    on("envoy_filter::EnvoyFilter", "targetRefs", &[Items(0, 16)]),
    on(
        "envoy_filter::TargetRef",
        "",
        &[Required(&["kind", "name"])],
    ),
    on(
        "envoy_filter::matching::Match",
        "",
        &[AtMostOne(&["listener", "routeConfiguration", "cluster"])],
    ),
];
