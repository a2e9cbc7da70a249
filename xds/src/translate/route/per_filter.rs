//! What rules say to filters: faults and CORS.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::extensions::filters::common::fault::v3::{FaultDelay, fault_delay};
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::CorsPolicy;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::{
    FaultAbort, HttpFault, fault_abort,
};
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use pilothouse_core::rules::resolve::{Abort, Cors, Fault, HttpRoute};

use super::super::common::{boolean, duration};
use super::forward::percent;
use super::matching;
use crate::extensions::{Extension, Missing};

/// What a rule says to the filters that a proxy has.
pub(super) fn configs(rule: &HttpRoute, without: Missing) -> HashMap<String, Any> {
    let fault = rule.fault.as_deref();
    let fault = fault.map(|rule| (Extension::Fault, pack_any(fault_of(rule))));
    let cors = rule.cors.as_deref();
    let cors = cors.map(|rule| (Extension::Cors, pack_any(cors_of(rule))));
    fault
        .into_iter()
        .chain(cors)
        .filter(|(extension, _)| !without.has(*extension))
        .map(|(extension, config)| (extension.name().to_owned(), config))
        .collect()
}

/// What goes wrong on purpose.
pub(in crate::translate) fn fault_of(fault: &Fault) -> HttpFault {
    HttpFault {
        delay: fault.delay.map(|delay| FaultDelay {
            percentage: Some(percent(delay.percent)),
            fault_delay_secifier: duration(delay.fixed)
                .map(fault_delay::FaultDelaySecifier::FixedDelay),
        }),
        abort: fault.abort.map(|(abort, of)| FaultAbort {
            percentage: Some(percent(of)),
            error_type: Some(match abort {
                Abort::Http(status) => fault_abort::ErrorType::HttpStatus(status.into()),
                Abort::Grpc(status) => fault_abort::ErrorType::GrpcStatus(status),
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn cors_of(cors: &Cors) -> CorsPolicy {
    let everything = FractionalPercent {
        numerator: 100,
        ..Default::default()
    };
    CorsPolicy {
        allow_origin_string_match: cors.allow_origins.iter().map(matching::string).collect(),
        allow_methods: cors.allow_methods.join(","),
        allow_headers: cors.allow_headers.join(","),
        expose_headers: cors.expose_headers.join(","),
        max_age: cors
            .max_age
            .map_or_else(String::new, |age| age.as_secs().to_string()),
        allow_credentials: cors.allow_credentials.and_then(boolean),
        filter_enabled: Some(RuntimeFractionalPercent {
            default_value: Some(everything),
            ..Default::default()
        }),
        forward_not_matching_preflights: cors.forward_unmatched_preflights.and_then(boolean),
        ..Default::default()
    }
}
