//! The figures, as a table for people and as JSON.

use std::fmt;

use serde::Serialize;

use crate::kind::Mode;

/// All figures of one run; what could not be seen is absent.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) mode: Mode,
    pub(crate) clients: usize,
    pub(crate) services: Option<usize>,
    pub(crate) endpoints: Option<usize>,
    pub(crate) ready_s: Option<f64>,
    pub(crate) idle_rss_mb: Option<f64>,
    pub(crate) rss_per_client_kb: Option<f64>,
    pub(crate) peak_rss_mb: Option<f64>,
    pub(crate) cold: Cold,
    pub(crate) changes: Option<Changes>,
    pub(crate) reconnect: Reconnect,
}

/// From the first connection until every client had everything.
#[derive(Debug, Serialize)]
pub(crate) struct Cold {
    pub(crate) complete_s: Spread,
    pub(crate) server_cpu_s: Option<f64>,
    pub(crate) generator_cpu_s: f64,
    pub(crate) bytes_per_client: u64,
    pub(crate) resources: u64,
    /// Type, and what one client holds of it: the least and the most.
    pub(crate) held: Vec<(String, usize, usize)>,
    pub(crate) broken: u64,
    pub(crate) last_break: Option<String>,
}

/// One endpoint edited, over all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Changes {
    pub(crate) rounds: usize,
    pub(crate) p50_ms: Spread,
    pub(crate) p99_ms: Spread,
    pub(crate) last_ms: Spread,
    pub(crate) server_cpu_ms: f64,
    pub(crate) resources_per_client: f64,
    pub(crate) bytes_per_client: f64,
}

/// Everybody comes back with what they hold.
#[derive(Debug, Serialize)]
pub(crate) struct Reconnect {
    pub(crate) complete_s: Spread,
    pub(crate) server_cpu_s: Option<f64>,
    pub(crate) resources: u64,
    pub(crate) removals: u64,
    pub(crate) bytes: u64,
    pub(crate) broken: u64,
}

/// How a number of values lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) last: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        // The smallest value that so many percent do not exceed.
        let at = |percent: usize| {
            values
                .get((values.len() * percent).div_ceil(100).saturating_sub(1))
                .copied()
                .unwrap_or_default()
        };
        Self {
            min: at(0),
            p50: at(50),
            p99: at(99),
            last: at(100),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = Rows(f);
        if let Some(ready) = self.ready_s {
            rows.row("server ready", &format!("{ready:.2} s"), "")?;
        }
        if let Some(idle) = self.idle_rss_mb {
            rows.row(
                "memory before the first client",
                &format!("{idle:.1} MB"),
                "<= 40 MB",
            )?;
        }
        let cold = &self.cold;
        rows.row(
            "all complete: p50 / last",
            &format!("{:.2} / {:.2} s", cold.complete_s.p50, cold.complete_s.last),
            "<= 8 s",
        )?;
        rows.row(
            "  server, generator CPU",
            &format!(
                "{}, {:.2} s",
                seconds(cold.server_cpu_s),
                cold.generator_cpu_s
            ),
            "server <= 5 s",
        )?;
        rows.row(
            "  received by a client",
            &format!(
                "{:.2} MB, {} resources",
                cold.bytes_per_client as f64 / 1e6,
                cold.resources / self.clients.max(1) as u64
            ),
            "",
        )?;
        for (kind, least, most) in &cold.held {
            let held = if least == most {
                format!("{most}")
            } else {
                format!("{least} to {most}")
            };
            rows.row(&format!("  holds: {kind}"), &held, "")?;
        }
        if cold.broken > 0 {
            rows.row(
                "  connections broken",
                &format!(
                    "{} (last: {})",
                    cold.broken,
                    cold.last_break.as_deref().unwrap_or("?")
                ),
                "0",
            )?;
        }
        if let Some(kb) = self.rss_per_client_kb {
            rows.row("memory per client", &format!("{kb:.1} kB"), "<= 70 kB")?;
        }
        if let Some(peak) = self.peak_rss_mb {
            rows.row("memory, peak", &format!("{peak:.0} MB"), "")?;
        }
        if let Some(changes) = &self.changes {
            rows.row(
                &format!("one endpoint changes, {} rounds", changes.rounds),
                "median (min .. max)",
                "",
            )?;
            for (name, spread, goal) in [
                ("p50", changes.p50_ms, ""),
                ("p99", changes.p99_ms, ""),
                ("last", changes.last_ms, "<= 80 ms"),
            ] {
                rows.row(
                    &format!("  to the {name} client's ACK"),
                    &format!(
                        "{:.1} ms ({:.1} .. {:.1})",
                        spread.p50, spread.min, spread.last
                    ),
                    goal,
                )?;
            }
            rows.row(
                "  server CPU",
                &format!("{:.1} ms", changes.server_cpu_ms),
                "<= 70 ms",
            )?;
            rows.row(
                "  received by a client",
                &format!(
                    "{:.2} resources, {:.0} bytes",
                    changes.resources_per_client, changes.bytes_per_client
                ),
                "1 resource",
            )?;
        }
        let back = &self.reconnect;
        rows.row(
            "all reconnect: p50 / last",
            &format!("{:.2} / {:.2} s", back.complete_s.p50, back.complete_s.last),
            "<= 3 s",
        )?;
        rows.row("  server CPU", &seconds(back.server_cpu_s), "")?;
        rows.row(
            "  received by all",
            &format!(
                "{} resources, {} removals, {:.2} MB",
                back.resources,
                back.removals,
                back.bytes as f64 / 1e6
            ),
            // State of the world has no way to say what is held.
            if self.mode == Mode::Delta {
                "0 resources"
            } else {
                ""
            },
        )?;
        if back.broken > 0 {
            rows.row("  connections broken", &back.broken.to_string(), "0")?;
        }
        Ok(())
    }
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "? s".to_owned(), |value| format!("{value:.2} s"))
}

struct Rows<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Rows<'_, '_> {
    fn row(&mut self, what: &str, value: &str, goal: &str) -> fmt::Result {
        let line = format!("{what:<34} {value:<36} {goal}");
        writeln!(self.0, "{}", line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let check = |values: &[f64], expected: [f64; 4]| {
            let Spread {
                min,
                p50,
                p99,
                last,
            } = Spread::of(values.iter().copied());
            assert_eq!([min, p50, p99, last], expected);
        };
        check(&[], [0.0; 4]);
        check(&[3.0], [3.0; 4]);
        check(&[4.0, 1.0, 3.0, 2.0], [1.0, 2.0, 4.0, 4.0]);
        check(
            &(1..=200).map(f64::from).collect::<Vec<_>>(),
            [1.0, 100.0, 198.0, 200.0],
        );
    }
}
