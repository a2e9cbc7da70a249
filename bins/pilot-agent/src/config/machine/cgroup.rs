//! The limit of CPU that a cgroup sets, of either version.

use std::fs;
use std::path::{Path, PathBuf};

/// The limit of the cgroup that this process is in, in cores, rounded up. Files are looked for below `root`. A limit of an
/// outer cgroup holds as well: the smallest counts.
pub(super) fn cpu_limit(root: &Path) -> Option<u32> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    text.lines()
        .filter_map(|line| {
            // `0::/PATH` in version 2, `N:cpu,cpuacct:/PATH` in version 1.
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let base = root.join("sys/fs/cgroup");
            if controllers.is_empty() {
                smallest(&base, path, v2)
            } else if controllers.split(',').any(|name| name == "cpu") {
                let joint = smallest(&base.join(controllers), path, v1);
                joint.or_else(|| smallest(&base.join("cpu"), path, v1))
            } else {
                None
            }
        })
        .min()
}

/// Of the cgroup `path` and all around it. Within a container the path may be that of the host and not be there at all;
/// the container's own cgroup is the mounted one then.
fn smallest(mounted: &Path, path: &str, limit: fn(&Path) -> Option<u32>) -> Option<u32> {
    let own = mounted.join(path.trim_start_matches('/'));
    own.ancestors()
        .take_while(|dir| dir.starts_with(mounted))
        .filter_map(limit)
        .min()
}

/// `QUOTA PERIOD`, or `max PERIOD`.
fn v2(dir: &Path) -> Option<u32> {
    let text = fs::read_to_string(dir.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    cores(quota.parse().ok()?, period.parse().ok()?)
}

/// A quota of -1 is no limit.
fn v1(dir: &Path) -> Option<u32> {
    let number = |name: &str| -> Option<u64> {
        let path: PathBuf = dir.join(name);
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    cores(number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
}

fn cores(quota: u64, period: u64) -> Option<u32> {
    let cores = (period != 0).then(|| quota.div_ceil(period))?;
    u32::try_from(cores.max(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit where these files are.
    fn check(files: &[(&str, &str)], expected: Option<u32>) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(cpu_limit(root.path()), expected, "{files:?}");
    }

    #[test]
    fn version_2() {
        let own = ("proc/self/cgroup", "0::/a/b\n");
        check(&[own], None);
        check(&[own, ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n")], None);
        for (quota, cores) in [("150000", 2), ("100000", 1), ("1000", 1), ("400001", 5)] {
            let text = format!("{quota} 100000\n");
            check(&[own, ("sys/fs/cgroup/a/b/cpu.max", &text)], Some(cores));
            check(&[own, ("sys/fs/cgroup/cpu.max", &text)], Some(cores));
        }
        check(
            &[
                own,
                ("sys/fs/cgroup/a/cpu.max", "200000 100000\n"),
                ("sys/fs/cgroup/a/b/cpu.max", "900000 100000\n"),
            ],
            Some(2),
        );
    }

    #[test]
    fn version_1() {
        let own = ("proc/self/cgroup", "5:memory:/a\n4:cpu,cpuacct:/a\n");
        let period = ("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
        let quota = "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us";
        check(&[own, period, (quota, "-1\n")], None);
        check(&[own, period, (quota, "250000\n")], Some(3));
        check(
            &[
                own,
                ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
                ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"),
            ],
            Some(1),
        );
    }
}
