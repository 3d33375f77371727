//! The limits on the number of processors that a process may use: affinity, the cgroups of Linux, and Slurm.

use std::fs;
use std::path::{Path, PathBuf};

use super::env;

/// The folder that the cgroups of Linux are mounted at.
const CGROUPS: &str = "/sys/fs/cgroup";

/// The limits on the number of processors. Limits that are not set, or that cannot be read, are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct CpuLimits {
    /// Processors of the machine.
    online: Option<usize>,
    /// Processors that the affinity of the process allows.
    affinity: Option<usize>,
    /// Processors whose time the CPU limits of the cgroups allow; may be a fraction.
    cgroup: Option<f64>,
    /// Processors of each task of a Slurm job.
    slurm: Option<usize>,
}

impl CpuLimits {
    /// Returns the limits of this process.
    pub(super) fn of_process() -> Self {
        let affinity = fs::read_to_string("/proc/self/status").ok().and_then(|status| allowed_processors(&status));
        Self {
            online: fs::read_to_string("/sys/devices/system/cpu/online").ok().and_then(|list| count_of_list(&list)),
            // Without `/proc`, the standard library knows it from the system.
            affinity: affinity.or_else(|| std::thread::available_parallelism().ok().map(std::num::NonZero::get)),
            cgroup: fs::read_to_string("/proc/self/cgroup")
                .ok()
                .and_then(|text| cgroup_limit(&text, Path::new(CGROUPS))),
            slurm: env::value(env::SLURM_CPUS_PER_TASK).and_then(|value| value.to_str()?.trim().parse().ok()),
        }
    }

    /// Returns the lowest limit in whole processors, at least 1. A fraction of a processor is rounded down.
    pub(super) fn cores(self) -> usize {
        let limits = [self.online, self.affinity, self.cgroup.map(|limit| limit as usize), self.slurm];
        limits.into_iter().flatten().min().unwrap_or(1).max(1)
    }

    /// Returns the limit that gives [`cores`](Self::cores) as text; `None` if no limit is below the number of
    /// processors of the machine.
    pub(super) fn binding(self) -> Option<String> {
        let cores = self.cores();
        let is_binding = |limit: Option<usize>| limit.is_some_and(|limit| limit.max(1) == cores);
        if self.online.is_none_or(|online| online <= cores) {
            return None;
        }
        match self {
            Self { slurm: Some(slurm), .. } if is_binding(self.slurm) => {
                Some(format!("SLURM_CPUS_PER_TASK is {slurm}"))
            }
            Self { cgroup: Some(limit), .. } if is_binding(Some(limit as usize)) => {
                Some(format!("the CPU limit of the cgroup is {}", (100.0 * limit).round() / 100.0))
            }
            _ => Some(format!("the CPU affinity of the process allows {cores}")),
        }
    }
}

/// Returns the number of processors in the line `Cpus_allowed_list` of `/proc/self/status`.
fn allowed_processors(status: &str) -> Option<usize> {
    count_of_list(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

/// Returns the number of processors in a list of the kernel, such as `0-3,8`; `None` if it is not one.
fn count_of_list(list: &str) -> Option<usize> {
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(last.trim().parse::<usize>().ok()?.checked_sub(first.trim().parse().ok()?)? + 1)
    };
    list.split(',').map(count).sum()
}

/// Returns the lowest CPU limit of the cgroups in `text`, the contents of `/proc/self/cgroup`, and of the groups above
/// them. `root`: the folder that cgroups are mounted at. Reads `cpu.max` of version 2, and `cpu.cfs_quota_us` and
/// `cpu.cfs_period_us` of version 1.
fn cgroup_limit(text: &str, root: &Path) -> Option<f64> {
    let mut lowest: Option<f64> = None;
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let mount = match controllers {
            "" => root.to_owned(),
            _ if controllers.split(',').any(|name| name == "cpu") => v1_mount(root, controllers),
            _ => continue,
        };
        // In a container the path is that outside of it, and only its first ancestor may exist: the mount itself.
        let inner = Path::new(path.trim_start_matches('/'));
        let limits = inner.ancestors().filter_map(|group| limit_of_group(&mount.join(group)));
        lowest = limits.fold(lowest, |lowest, limit| Some(lowest.map_or(limit, |lowest| lowest.min(limit))));
    }
    lowest
}

/// Returns the folder of the version 1 hierarchy with these controllers, such as `cpu,cpuacct`.
fn v1_mount(root: &Path, controllers: &str) -> PathBuf {
    let together = root.join(controllers);
    if together.is_dir() { together } else { root.join("cpu") }
}

/// Returns the CPU limit of the cgroup in `folder`, in processors; `None` if it has none.
fn limit_of_group(folder: &Path) -> Option<f64> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let (quota, period) = if let Some(text) = read("cpu.max") {
        let (quota, period) = text.trim().split_once(' ')?;
        (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?)
    } else {
        let quota = read("cpu.cfs_quota_us")?.trim().parse::<f64>().ok()?;
        (quota, read("cpu.cfs_period_us")?.trim().parse::<f64>().ok()?)
    };
    // Version 1 has the quota -1 for no limit, version 2 the word `max`.
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_limit_is_named() {
        let limits = CpuLimits { online: Some(16), affinity: Some(8), cgroup: Some(4.5), slurm: Some(2) };
        assert_eq!((limits.cores(), limits.binding().as_deref()), (2, Some("SLURM_CPUS_PER_TASK is 2")));
        let limits = CpuLimits { slurm: Some(32), ..limits };
        assert_eq!((limits.cores(), limits.binding().as_deref()), (4, Some("the CPU limit of the cgroup is 4.5")));
        let limits = CpuLimits { cgroup: None, ..limits };
        assert_eq!(
            (limits.cores(), limits.binding().as_deref()),
            (8, Some("the CPU affinity of the process allows 8"))
        );
        let limits = CpuLimits { affinity: Some(16), ..limits };
        assert_eq!((limits.cores(), limits.binding()), (16, None), "Slurm allows more than the machine has");
        assert_eq!(CpuLimits { cgroup: Some(0.25), ..limits }.cores(), 1);
        assert_eq!((CpuLimits::default().cores(), CpuLimits::default().binding()), (1, None));
    }

    #[test]
    fn lists_of_processors_are_counted() {
        assert_eq!(["0-3,8\n", "5", "0-1"].map(count_of_list), [Some(5), Some(1), Some(2)]);
        assert_eq!(["", "a-b", "3-1"].map(count_of_list), [None; 3]);
        assert_eq!(allowed_processors("Name:\tlth\nCpus_allowed_list:\t0,2\n"), Some(2));
    }

    #[test]
    fn cgroup_limits_of_both_versions_are_read() {
        let root = tempfile::tempdir().unwrap();
        let put =
            |path: &str, text: &str| crate::system::files::write(&root.path().join(path), text.as_bytes()).unwrap();
        put("job/task/cpu.max", "max 100000\n");
        put("job/cpu.max", "150000 100000\n");
        assert_eq!(cgroup_limit("0::/job/task\n", root.path()), Some(1.5), "the limit of the group above");
        assert_eq!(cgroup_limit("0::/elsewhere\n", root.path()), None);
        put("cpu,cpuacct/slurm/cpu.cfs_quota_us", "200000\n");
        put("cpu,cpuacct/slurm/cpu.cfs_period_us", "100000\n");
        put("cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
        put("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
        let version_1 = "5:memory:/slurm\n4:cpu,cpuacct:/slurm\n";
        assert_eq!(cgroup_limit(version_1, root.path()), Some(2.0));
    }
}
