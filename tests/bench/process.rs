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

/// How many connections over IPv4 a process has to this port of others.
pub(crate) fn connections_to(id: &str, port: u16) -> Result<usize> {
    let path = format!("/proc/{id}/fd");
    let open = std::fs::read_dir(&path).with_context(|| format!("listing {path}"))?;
    // A socket is a link to socket:[INODE].
    let inodes: std::collections::BTreeSet<String> = open
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|to| {
            let text = to.to_str()?.strip_prefix("socket:[")?;
            Some(text.strip_suffix(']')?.to_owned())
        })
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").context("reading /proc/net/tcp")?;
    let to_port = format!(":{port:04X}");
    // Number, own address, the other's, state, five more, inode.
    let is_one = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (Some(far), Some(state), Some(inode)) = (fields.get(2), fields.get(3), fields.get(9))
        else {
            return false;
        };
        far.ends_with(&to_port) && *state == "01" && inodes.contains(*inode)
    };
    Ok(table.lines().skip(1).filter(is_one).count())
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
