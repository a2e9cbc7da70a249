//! Access logs: in files, in Istio's formats unless somebody has one of their own, and by services that take them.

mod format;
mod service;
#[cfg(test)]
mod tests;

use envoy_types::pb::envoy::config::accesslog::v3::access_log_filter::FilterSpecifier;
use envoy_types::pb::envoy::config::accesslog::v3::{
    AccessLog as EnvoyAccessLog, AccessLogFilter, AndFilter, ExtensionFilter, ResponseFlagFilter,
    access_log, extension_filter,
};
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::{
    FileAccessLog, file_access_log,
};
use envoy_types::pb::envoy::extensions::access_loggers::filters::cel::v3::ExpressionFilter;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use pilothouse_core::mesh::FileLog;

use super::{Notes, metrics};
use crate::extensions::Extension;
use crate::inputs::reports::{Log, LogTo, Reports};
use crate::resource::Cause;

/// The logs of requests.
pub(super) fn request_logs(reports: &Reports, notes: &mut Notes) -> Vec<EnvoyAccessLog> {
    let mut all = logs(reports, is_for_requests, None, notes);
    all.extend(reports.metrics.as_ref().map(metrics::of_requests));
    all
}

/// The logs of connections.
pub(super) fn connection_logs(reports: &Reports, notes: &mut Notes) -> Vec<EnvoyAccessLog> {
    let mut all = logs(reports, is_for_connections, None, notes);
    all.extend(reports.metrics.as_ref().map(metrics::of_connections));
    all
}

/// The logs of a listener: connections that found no chain.
pub(super) fn listener_logs(reports: &Reports, notes: &mut Notes) -> Vec<EnvoyAccessLog> {
    let no_route = FilterSpecifier::ResponseFlagFilter(ResponseFlagFilter {
        flags: vec!["NR".into()],
    });
    logs(reports, is_for_connections, Some(&no_route), notes)
}

fn is_for_requests(to: &LogTo) -> bool {
    !matches!(to, LogTo::Grpc(log, _) if log.connections)
}

fn is_for_connections(to: &LogTo) -> bool {
    !matches!(to, LogTo::Grpc(log, _) if !log.connections)
}

fn logs(
    reports: &Reports,
    wanted: fn(&LogTo) -> bool,
    only: Option<&FilterSpecifier>,
    notes: &mut Notes,
) -> Vec<EnvoyAccessLog> {
    let rules = reports.rules.iter().cloned();
    notes.causes.extend(rules.map(Cause::Rule));
    let all = reports.logs.iter().filter(|log| wanted(&log.to));
    all.map(|log| entry(log, only, notes)).collect()
}

fn entry(log: &Log, only: Option<&FilterSpecifier>, notes: &mut Notes) -> EnvoyAccessLog {
    let (extension, config) = match &log.to {
        LogTo::File(file) => (Extension::FileAccessLog, file_log(file)),
        LogTo::Grpc(grpc, to) => service::grpc(grpc, to, notes),
        LogTo::Otel { log, to, older } => service::otel(log, to, *older, notes),
    };
    let filter = filter(only.cloned(), log.filter.as_deref());
    EnvoyAccessLog {
        name: extension.name().into(),
        filter: filter.map(filtered),
        config_type: Some(access_log::ConfigType::TypedConfig(config)),
    }
}

fn filter(only: Option<FilterSpecifier>, expression: Option<&str>) -> Option<FilterSpecifier> {
    let cel = expression.map(|expression| {
        let config = ExpressionFilter {
            expression: expression.into(),
            ..Default::default()
        };
        FilterSpecifier::ExtensionFilter(ExtensionFilter {
            name: Extension::CelLogFilter.name().into(),
            config_type: Some(extension_filter::ConfigType::TypedConfig(pack_any(config))),
        })
    });
    match (only, cel) {
        (Some(only), Some(cel)) => Some(FilterSpecifier::AndFilter(AndFilter {
            filters: vec![filtered(only), filtered(cel)],
        })),
        (only, cel) => only.or(cel),
    }
}

fn filtered(specifier: FilterSpecifier) -> AccessLogFilter {
    AccessLogFilter {
        filter_specifier: Some(specifier),
    }
}

fn file_log(log: &FileLog) -> Any {
    pack_any(FileAccessLog {
        path: log.path.to_string(),
        access_log_format: Some(file_access_log::AccessLogFormat::LogFormat(
            format::of_file(log),
        )),
    })
}
