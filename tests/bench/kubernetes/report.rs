//! The figures, as a table for people and as JSON.

use std::fmt;

use serde::Serialize;

use crate::report::Spread;

/// All figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(super) services: usize,
    pub(super) endpoints: usize,
    pub(super) pods: bool,
    pub(super) clients: usize,
    /// From discovery's start until it is ready.
    pub(super) ready_s: f64,
    /// Resident memory without proxies, and the most until then.
    pub(super) idle_rss_mb: f64,
    pub(super) idle_peak_rss_mb: f64,
    pub(super) rss_per_client_kb: f64,
    pub(super) peak_rss_mb: f64,
    pub(super) complete_s: Spread,
    /// One change after the other, and the same while ten others come each second.
    pub(super) quiet: Changes,
    pub(super) busy: Changes,
}

/// One endpoint slice written, over all rounds.
#[derive(Debug, Serialize)]
pub(super) struct Changes {
    pub(super) rounds: usize,
    /// From the request that writes to the API server's answer.
    pub(super) answered_ms: Spread,
    /// From the request that writes to the last acknowledgement.
    pub(super) last_ms: Spread,
    /// Processor time of discovery for each change, those beside included.
    pub(super) server_cpu_ms: f64,
}

impl Report {
    /// What the last of so many proxies is to have got within.
    fn goal(&self) -> &'static str {
        match self.clients {
            0..=100 => "<= 60 ms",
            _ => "<= 120 ms",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.pods { "pods" } else { "slices alone" };
        writeln!(
            f,
            "{} proxies, {} services x {} endpoints in Kubernetes: {kind}",
            self.clients, self.services, self.endpoints
        )?;
        let mut row =
            |name: &str, value: String, goal: &str| writeln!(f, "{name:<38}{value:<34}{goal}");
        row("ready after", format!("{:.2} s", self.ready_s), "<= 2 s")?;
        row(
            "memory before the first proxy",
            format!(
                "{:.1} MB, at most {:.1} MB",
                self.idle_rss_mb, self.idle_peak_rss_mb
            ),
            "<= 60 MB",
        )?;
        row(
            "memory per proxy",
            format!("{:.1} kB", self.rss_per_client_kb),
            "",
        )?;
        row("memory, peak", format!("{:.0} MB", self.peak_rss_mb), "")?;
        row(
            "all complete: p50 / last",
            format!("{:.2} / {:.2} s", self.complete_s.p50, self.complete_s.last),
            "",
        )?;
        for (title, changes) in [
            ("one slice is written", &self.quiet),
            ("the same beside ten others a second", &self.busy),
        ] {
            row(
                title,
                format!("{} rounds: median (min .. max)", changes.rounds),
                "",
            )?;
            row(
                "  to the API server's answer",
                median(changes.answered_ms),
                "",
            )?;
            row(
                "  to the last proxy's ACK",
                median(changes.last_ms),
                self.goal(),
            )?;
            row(
                "  server CPU per change",
                format!("{:.1} ms", changes.server_cpu_ms),
                "",
            )?;
        }
        Ok(())
    }
}

fn median(spread: Spread) -> String {
    format!(
        "{:.1} ms ({:.1} .. {:.1})",
        spread.p50, spread.min, spread.last
    )
}
