//! The fault filter.

use envoy_types::pb::envoy::extensions::filters::common::fault::v3::fault_delay::FaultDelaySecifier;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::HttpFault;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::fault_abort::ErrorType;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;

use super::headers::Headers;
use super::http::{Asked, duration};
use super::matcher;
use super::walk::{Fault, FlagCode, Outcome};

/// The faults that could be injected, and the answer if one of them is one.
pub(super) fn inject(
    config: &HttpFault,
    asked: &Asked,
    random: u64,
) -> (Vec<Fault>, Option<Outcome>) {
    let unwanted = config
        .headers
        .iter()
        .any(|header| matcher::header(header, asked.header(&header.name).as_deref()).is_some());
    if unwanted {
        return (Vec::new(), None);
    }
    let mut faults = Vec::new();
    let fault = |what: String, share: Option<&FractionalPercent>| {
        let share = share.copied().unwrap_or_default();
        Fault {
            what,
            percent: matcher::percent(&share),
            applies: matcher::drawn(&share, random),
        }
    };
    if let Some(delay) = &config.delay
        && let Some(FaultDelaySecifier::FixedDelay(how_long)) = &delay.fault_delay_secifier
    {
        let what = format!("delay {}", duration(how_long));
        faults.push(fault(what, delay.percentage.as_ref()));
    }
    let mut outcome = None;
    if let Some(abort) = &config.abort {
        let (what, status, grpc) = match abort.error_type {
            Some(ErrorType::HttpStatus(status)) => (format!("abort {status}"), status, None),
            Some(ErrorType::GrpcStatus(status)) => (
                format!("abort with gRPC status {status}"),
                200,
                Some(status),
            ),
            Some(ErrorType::HeaderAbort(_)) | None => return (faults, None),
        };
        let fault = fault(what, abort.percentage.as_ref());
        if fault.applies {
            let mut headers = Headers::default();
            if let Some(grpc) = grpc {
                headers.add("grpc-status", grpc.to_string());
            }
            outcome = Some(Outcome::Answered {
                status: u16::try_from(status).unwrap_or(500),
                flag: FlagCode::FI,
                why: "a fault is injected".into(),
                headers,
                body: match (
                    grpc.is_some() || asked.is_grpc(),
                    abort.response_body.as_str(),
                ) {
                    (true, _) => String::new(),
                    (false, "") => "fault filter abort".into(),
                    (false, body) => body.to_owned(),
                },
            });
        }
        faults.push(fault);
    }
    (faults, outcome)
}
