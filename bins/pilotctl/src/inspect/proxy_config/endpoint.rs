//! `proxy-config endpoint`: a line for each endpoint of each cluster.

mod read;

use std::io::Write;

use anyhow::Result;
use clap::Args;

use super::super::Output;
use super::super::dump::Section;
use super::super::table::{Cell, Table, Tone};
use super::source::Origin;
use super::{Source, passes};
use read::Endpoint;
pub(super) use read::of_dump;

/// Show the endpoints of an Envoy, and whether it would use them.
///
/// A running Envoy says what it thinks of each. A dump says only the outcome: of an endpoint that is not healthy it does not
/// tell whether discovery, a health check or outlier detection has decided so.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  pilotctl proxy-config endpoint --cluster 'outbound|80||web.shop.svc.cluster.local'\n  pilotctl proxy-config endpoint --status UNHEALTHY\n  pilotctl proxy-config endpoint -f dump.json --port 8080 -o json"
)]
pub struct EndpointArgs {
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub source: Source,
    #[allow(missing_docs, reason = "flattened: documented on its type")]
    #[command(flatten)]
    pub filter: Filter,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Which endpoints.
#[derive(Debug, Clone, Default, Args)]
pub struct Filter {
    /// Only those of this address.
    #[arg(long)]
    pub address: Option<String>,
    /// Only those of this port.
    #[arg(long)]
    pub port: Option<u16>,
    /// Only those of this cluster, such as outbound|80||web.shop.svc.cluster.local.
    #[arg(long)]
    pub cluster: Option<String>,
    /// Only those of this status, such as HEALTHY.
    #[arg(long)]
    pub status: Option<String>,
}

pub(super) async fn run(args: &EndpointArgs, out: &mut dyn Write) -> Result<()> {
    let endpoints = match args.source.origin()? {
        Origin::Envoy(envoy) => read::of_page(&envoy.get_json(read::PAGE).await?),
        Origin::File(_) => of_dump(&args.source.dump(&[Section::Endpoints]).await?),
    };
    let endpoints = filtered(endpoints, &args.filter);
    if !args.output.data(&endpoints, out)? {
        print(&endpoints, out)?;
    }
    Ok(())
}

/// By address, port and cluster.
pub(super) fn filtered(endpoints: Vec<Endpoint>, filter: &Filter) -> Vec<Endpoint> {
    let mut endpoints: Vec<_> = endpoints
        .into_iter()
        .filter(|endpoint| filter.passes(endpoint))
        .collect();
    endpoints.sort();
    endpoints
}

/// The table.
pub(super) fn print(endpoints: &[Endpoint], out: &mut dyn Write) -> Result<()> {
    let mut table = Table::new(&["ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER"]);
    for endpoint in endpoints {
        let status = match endpoint.status.as_str() {
            "HEALTHY" => Tone::Good,
            "DEGRADED" | "DRAINING" => Tone::Waiting,
            _ => Tone::Bad,
        };
        let outlier = match endpoint.outlier_check.as_str() {
            "OK" => Tone::Good,
            "FAILED" => Tone::Bad,
            _ => Tone::Plain,
        };
        table.row([
            Cell::from(endpoint.endpoint.as_str()),
            Cell::new(&endpoint.status, status),
            Cell::new(&endpoint.outlier_check, outlier),
            Cell::from(endpoint.cluster.as_str()),
        ]);
    }
    table.write(out)?;
    Ok(())
}

impl Filter {
    fn passes(&self, endpoint: &Endpoint) -> bool {
        let status = |wanted: &String| wanted.eq_ignore_ascii_case(&endpoint.status);
        passes(self.address.as_ref(), endpoint.address.as_str())
            && passes(self.cluster.as_ref(), endpoint.cluster.as_str())
            && self.port.is_none_or(|port| endpoint.port == Some(port))
            && self.status.as_ref().is_none_or(status)
    }
}
