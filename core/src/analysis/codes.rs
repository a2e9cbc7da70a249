//! The codes of findings: what pipelines and runbooks know them by.

use serde::Serialize;

use crate::registry::{Kind, Problem, Severity};
use crate::status::{Contest, Lost};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something does probably not do what its author means.
    Warning,
    /// Something is worth knowing.
    Info,
}

/// What a finding is. Codes that begin with `IST` are Istio's, with its levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each has its text in the table below")]
pub enum Code {
    ReferencedResourceNotFound,
    SchemaValidationError,
    ConflictingMeshGatewayVirtualServiceHosts,
    ConflictingSidecarWorkloadSelectors,
    MultipleSidecarsWithoutWorkloadSelectors,
    VirtualServiceDestinationPortSelectorRequired,
    PortNameIsNotUnderNamingConvention,
    NoMatchingWorkloadsFound,
    NoServerCertificateVerificationDestinationLevel,
    NoServerCertificateVerificationPortLevel,
    VirtualServiceUnreachableRule,
    VirtualServiceIneffectiveMatch,
    VirtualServiceHostNotFoundInGateway,
    SchemaWarning,
    ServiceEntryAddressesRequired,
    GatewayDuplicateCertificate,
    ConflictingGateways,
    JwtClaimBasedRoutingWithoutRequestAuthN,
    EnvoyFilterUsesRelativeOperation,
    EnvoyFilterUsesReplaceOperationIncorrectly,
    EnvoyFilterUsesAddOperationIncorrectly,
    EnvoyFilterUsesRemoveOperationIncorrectly,
    EnvoyFilterUsesRelativeOperationWithProxyVersion,
    InvalidTelemetryProvider,
    ConflictingTelemetryWorkloadSelectors,
    MultipleTelemetriesWithoutWorkloadSelectors,
    GatewayPortNotDefinedOnService,
    IneffectiveSelector,
    DestinationRuleSubsetNotSelectPods,
    UnknownDestinationRuleHost,
    ConflictingServiceEntryProtocol,
    ConflictLost,
    NotSupported,
    VirtualServiceWouldMerge,
    IngressNotServed,
}

impl Code {
    /// All of them, by number.
    pub const ALL: &[Self] = &[
        Self::ReferencedResourceNotFound,
        Self::SchemaValidationError,
        Self::ConflictingMeshGatewayVirtualServiceHosts,
        Self::ConflictingSidecarWorkloadSelectors,
        Self::MultipleSidecarsWithoutWorkloadSelectors,
        Self::VirtualServiceDestinationPortSelectorRequired,
        Self::PortNameIsNotUnderNamingConvention,
        Self::NoMatchingWorkloadsFound,
        Self::NoServerCertificateVerificationDestinationLevel,
        Self::NoServerCertificateVerificationPortLevel,
        Self::VirtualServiceUnreachableRule,
        Self::VirtualServiceIneffectiveMatch,
        Self::VirtualServiceHostNotFoundInGateway,
        Self::SchemaWarning,
        Self::ServiceEntryAddressesRequired,
        Self::GatewayDuplicateCertificate,
        Self::ConflictingGateways,
        Self::JwtClaimBasedRoutingWithoutRequestAuthN,
        Self::EnvoyFilterUsesRelativeOperation,
        Self::EnvoyFilterUsesReplaceOperationIncorrectly,
        Self::EnvoyFilterUsesAddOperationIncorrectly,
        Self::EnvoyFilterUsesRemoveOperationIncorrectly,
        Self::EnvoyFilterUsesRelativeOperationWithProxyVersion,
        Self::InvalidTelemetryProvider,
        Self::ConflictingTelemetryWorkloadSelectors,
        Self::MultipleTelemetriesWithoutWorkloadSelectors,
        Self::GatewayPortNotDefinedOnService,
        Self::IneffectiveSelector,
        Self::DestinationRuleSubsetNotSelectPods,
        Self::UnknownDestinationRuleHost,
        Self::ConflictingServiceEntryProtocol,
        Self::ConflictLost,
        Self::NotSupported,
        Self::VirtualServiceWouldMerge,
        Self::IngressNotServed,
    ];

    /// The code, such as `IST0101`.
    pub const fn id(self) -> &'static str {
        self.row().0
    }

    /// The name, such as `ReferencedResourceNotFound`.
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// How bad it is.
    pub const fn level(self) -> Level {
        self.row().2
    }

    /// What it says, in a line.
    pub const fn about(self) -> &'static str {
        self.row().3
    }

    /// What a problem of one object is: Istio has codes of their own for some of what is found on reading.
    pub fn of_problem(kind: Option<&Kind>, problem: &Problem) -> Self {
        if problem.severity == Severity::Error {
            return Self::SchemaValidationError;
        }
        let what = problem.what.as_str();
        let is_operation = problem.path.ends_with("].patch.operation");
        match kind.map_or("", Kind::as_str) {
            "VirtualService" if what.starts_with("is never reached") => {
                Self::VirtualServiceUnreachableRule
            }
            "VirtualService" if what.starts_with("has no effect: [") => {
                Self::VirtualServiceIneffectiveMatch
            }
            "ServiceEntry" if what.starts_with("the service has no address of its own") => {
                Self::ServiceEntryAddressesRequired
            }
            "EnvoyFilter" if is_operation && what.starts_with("REPLACE ") => {
                Self::EnvoyFilterUsesReplaceOperationIncorrectly
            }
            "EnvoyFilter" if is_operation && what.starts_with("ADD ") => {
                Self::EnvoyFilterUsesAddOperationIncorrectly
            }
            "EnvoyFilter" if is_operation && what.starts_with("REMOVE ") => {
                Self::EnvoyFilterUsesRemoveOperationIncorrectly
            }
            _ => Self::SchemaWarning,
        }
    }

    /// What a contest that an object of this kind has lost is.
    pub fn of_contest(kind: &Kind, lost: &Lost) -> Self {
        match (&lost.over, kind.as_str()) {
            (Contest::Routing(_), _) => Self::ConflictingMeshGatewayVirtualServiceHosts,
            (Contest::Server(_), _) => Self::ConflictingGateways,
            (Contest::Workloads(Some(_)), "Sidecar") => Self::ConflictingSidecarWorkloadSelectors,
            (Contest::Workloads(None), "Sidecar") => Self::MultipleSidecarsWithoutWorkloadSelectors,
            (Contest::Workloads(Some(_)), "Telemetry") => {
                Self::ConflictingTelemetryWorkloadSelectors
            }
            (Contest::Workloads(None), "Telemetry") => {
                Self::MultipleTelemetriesWithoutWorkloadSelectors
            }
            _ => Self::ConflictLost,
        }
    }

    #[rustfmt::skip]
    const fn row(self) -> (&'static str, &'static str, Level, &'static str) {
        use Level::{Error, Info, Warning};
        match self {
            Self::ReferencedResourceNotFound => ("IST0101", "ReferencedResourceNotFound", Error, "a rule names a host, subset, gateway or selector that nothing has"),
            Self::SchemaValidationError => ("IST0106", "SchemaValidationError", Error, "an object is wrong and is not used"),
            Self::ConflictingMeshGatewayVirtualServiceHosts => ("IST0109", "ConflictingMeshGatewayVirtualServiceHosts", Error, "several VirtualServices route one host on sidecars: the oldest counts"),
            Self::ConflictingSidecarWorkloadSelectors => ("IST0110", "ConflictingSidecarWorkloadSelectors", Error, "several Sidecars select one workload"),
            Self::MultipleSidecarsWithoutWorkloadSelectors => ("IST0111", "MultipleSidecarsWithoutWorkloadSelectors", Error, "several Sidecars of a namespace select all of it"),
            Self::VirtualServiceDestinationPortSelectorRequired => ("IST0112", "VirtualServiceDestinationPortSelectorRequired", Error, "a destination has several ports and none is named"),
            Self::PortNameIsNotUnderNamingConvention => ("IST0118", "PortNameIsNotUnderNamingConvention", Info, "a port's name says no protocol: proxies find out"),
            Self::NoMatchingWorkloadsFound => ("IST0127", "NoMatchingWorkloadsFound", Warning, "a selector selects no workload"),
            Self::NoServerCertificateVerificationDestinationLevel => ("IST0128", "NoServerCertificateVerificationDestinationLevel", Warning, "TLS begins and the server's certificate is hardly looked at"),
            Self::NoServerCertificateVerificationPortLevel => ("IST0129", "NoServerCertificateVerificationPortLevel", Warning, "the same, for a port"),
            Self::VirtualServiceUnreachableRule => ("IST0130", "VirtualServiceUnreachableRule", Warning, "a route is never reached"),
            Self::VirtualServiceIneffectiveMatch => ("IST0131", "VirtualServiceIneffectiveMatch", Info, "a match says what an earlier one says"),
            Self::VirtualServiceHostNotFoundInGateway => ("IST0132", "VirtualServiceHostNotFoundInGateway", Warning, "a gateway is not for the host of a VirtualService that names it"),
            Self::SchemaWarning => ("IST0133", "SchemaWarning", Warning, "an object is used, and its author should look at it"),
            Self::ServiceEntryAddressesRequired => ("IST0134", "ServiceEntryAddressesRequired", Warning, "a TCP port has no address of its own"),
            Self::GatewayDuplicateCertificate => ("IST0138", "GatewayDuplicateCertificate", Warning, "several gateways have one certificate: browsers reuse connections between their hosts"),
            Self::ConflictingGateways => ("IST0145", "ConflictingGateways", Error, "several gateways claim one port and host of the same routers"),
            Self::JwtClaimBasedRoutingWithoutRequestAuthN => ("IST0149", "JwtClaimBasedRoutingWithoutRequestAuthN", Error, "routes look at a token's claims and nothing checks tokens"),
            Self::EnvoyFilterUsesRelativeOperation => ("IST0151", "EnvoyFilterUsesRelativeOperation", Warning, "a patch depends on the order of others"),
            Self::EnvoyFilterUsesReplaceOperationIncorrectly => ("IST0152", "EnvoyFilterUsesReplaceOperationIncorrectly", Error, "REPLACE goes with filters only"),
            Self::EnvoyFilterUsesAddOperationIncorrectly => ("IST0153", "EnvoyFilterUsesAddOperationIncorrectly", Error, "ADD does not go with what is patched"),
            Self::EnvoyFilterUsesRemoveOperationIncorrectly => ("IST0154", "EnvoyFilterUsesRemoveOperationIncorrectly", Error, "REMOVE does not go with what is patched"),
            Self::EnvoyFilterUsesRelativeOperationWithProxyVersion => ("IST0155", "EnvoyFilterUsesRelativeOperationWithProxyVersion", Warning, "a patch depends on the order of others, for some versions of proxies"),
            Self::InvalidTelemetryProvider => ("IST0157", "InvalidTelemetryProvider", Warning, "a Telemetry names a provider that mesh config lacks, or none where there is no default"),
            Self::ConflictingTelemetryWorkloadSelectors => ("IST0159", "ConflictingTelemetryWorkloadSelectors", Error, "several Telemetries select one workload"),
            Self::MultipleTelemetriesWithoutWorkloadSelectors => ("IST0160", "MultipleTelemetriesWithoutWorkloadSelectors", Error, "several Telemetries of a namespace select all of it"),
            Self::GatewayPortNotDefinedOnService => ("IST0162", "GatewayPortNotDefinedOnService", Warning, "a gateway's port is no port of its routers' services"),
            Self::IneffectiveSelector => ("IST0166", "IneffectiveSelector", Warning, "a policy selects what a Kubernetes Gateway runs, instead of being attached to it"),
            Self::DestinationRuleSubsetNotSelectPods => ("IST0173", "DestinationRuleSubsetNotSelectPods", Error, "a subset has no endpoint"),
            Self::UnknownDestinationRuleHost => ("IST0174", "UnknownDestinationRuleHost", Warning, "a DestinationRule is for a host that nothing has"),
            Self::ConflictingServiceEntryProtocol => ("IST0177", "ConflictingServiceEntryProtocol", Warning, "ServiceEntries of one host say different protocols for a port"),
            Self::ConflictLost => ("PLT0101", "ConflictLost", Warning, "what an object declares is declared by another that goes first"),
            Self::NotSupported => ("PLT0102", "NotSupported", Warning, "a kind is read and not carried out"),
            Self::VirtualServiceWouldMerge => ("PLT0103", "VirtualServiceWouldMerge", Info, "routes that --virtual-service-merge=namespace would bring into force"),
            Self::IngressNotServed => ("PLT0104", "IngressNotServed", Info, "an Ingress says nothing of who serves it, or names a class that is not there"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_listed_once_by_number() {
        let ids: Vec<_> = Code::ALL.iter().map(|code| code.id()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    }
}
