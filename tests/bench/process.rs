//! What /proc says of a process.

use anyhow::{Context, Result, ensure};

/// Linux counts processor time in hundredths of a second wherever /proc shows it.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of processor time that a process has used in user and kernel mode; `self` is this one.
pub(crate) fn cpu_seconds(id: &str) -> Result<f64> {
    let path = format!("/proc/{id}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    // The name in parentheses may have spaces; the fields after it start with the third.
    let fields: Vec<_> = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |number: usize| {
        fields
            .get(number - 3)
            .and_then(|field| field.parse::<f64>().ok())
            .with_context(|| format!("field {number} of {path}"))
    };
    Ok((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
}

/// Kilobytes of a line of /proc/ID/status, such as `VmRSS` or `VmHWM`.
pub(crate) fn memory_kb(id: &str, line: &str) -> Result<u64> {
    let path = format!("/proc/{id}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let value = text.lines().find_map(|text| {
        text.strip_prefix(line)?
            .strip_prefix(':')?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    });
    value.with_context(|| format!("{path} has no {line}"))
}

/// Fails if this process, and those that it starts, may not open as many connections.
pub(crate) fn check_open_files(clients: usize) -> Result<()> {
    let text = std::fs::read_to_string("/proc/self/limits").context("reading /proc/self/limits")?;
    let soft = text
        .lines()
        .find_map(|line| {
            line.strip_prefix("Max open files")?
                .split_whitespace()
                .next()
        })
        .context("/proc/self/limits has no open files")?;
    let needed = clients + 100;
    let enough = soft == "unlimited" || soft.parse::<usize>().is_ok_and(|soft| soft >= needed);
    ensure!(
        enough,
        "{clients} clients need {needed} open files, the limit is {soft}: raise it (ulimit -n {needed}) or simulate fewer"
    );
    Ok(())
}
