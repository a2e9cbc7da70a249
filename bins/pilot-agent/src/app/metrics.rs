//! What the agent counts, for its page of metrics.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::dns::{self, Dns};
use crate::relay::{self, Relay};

/// Counters of the jobs that run.
pub(super) fn metrics(relay: Option<&Relay>, dns: Option<&Dns>) -> impl Collector + use<> {
    Counts {
        relay: relay.map(Relay::counters),
        dns: dns.map(Dns::counters),
    }
}

#[derive(Debug)]
struct Counts {
    relay: Option<Arc<relay::Counters>>,
    dns: Option<Arc<dns::Counters>>,
}

impl Collector for Counts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut counter = |name: &str, help: &str, value: u64| {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
        };
        if let Some(dns) = &self.dns {
            counter("dns_requests", "DNS queries taken", dns.requests())?;
            counter(
                "dns_upstream_requests",
                "DNS queries forwarded",
                dns.upstream_requests(),
            )?;
            counter(
                "dns_failures",
                "DNS queries answered by SERVFAIL",
                dns.failures(),
            )?;
        }
        if let Some(relay) = &self.relay {
            for (name, help, value) in [
                (
                    "xds_proxy_connections",
                    "connections made to discovery",
                    relay.connections(),
                ),
                (
                    "xds_proxy_connection_failures",
                    "attempts to connect to discovery that failed",
                    relay.failures(),
                ),
                (
                    "xds_proxy_streams",
                    "streams of Envoy carried to discovery",
                    relay.streams(),
                ),
                (
                    "xds_proxy_request_bytes",
                    "bytes from Envoy to discovery",
                    relay.request_bytes(),
                ),
                (
                    "xds_proxy_response_bytes",
                    "bytes from discovery to Envoy",
                    relay.response_bytes(),
                ),
                (
                    "xds_proxy_name_tables",
                    "name tables taken from discovery",
                    relay.name_tables(),
                ),
                (
                    "xds_proxy_name_tables_refused",
                    "name tables refused",
                    relay.refused_name_tables(),
                ),
            ] {
                counter(name, help, value)?;
            }
            let open = ConstGauge::new(i64::try_from(relay.open_streams()).unwrap_or(i64::MAX));
            open.encode(encoder.encode_descriptor(
                "xds_proxy_open_streams",
                "streams of Envoy that are open",
                None,
                open.metric_type(),
            )?)?;
        }
        Ok(())
    }
}
