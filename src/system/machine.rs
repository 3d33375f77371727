//! The machine that the process runs on: host, processor, GPUs, driver, loaded libraries and trusted certificates.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::cpu_limits::CpuLimits;
use super::{env, user_path};

/// Returns the name of this machine; `this machine` if it is unknown.
pub fn host() -> String {
    let text = |path| fs::read_to_string(path).ok();
    let name = text("/proc/sys/kernel/hostname").or_else(|| text("/etc/hostname")).unwrap_or_default();
    if name.trim().is_empty() { "this machine".to_owned() } else { name.trim().to_owned() }
}

/// Returns a line of text that only the process with this id has, also among those of other hosts and containers and
/// those before a restart: host, boot, namespace of process ids, id and start time. Returns `None` if there is no such
/// process, or the system has no `/proc`.
pub(super) fn process_mark(id: u32) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name of the program, in parentheses, may have any characters. The start time is the 20th field after it.
    let start = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    Some(format!("{} {} {} {id} {start}", host(), boot.trim(), namespace.display()))
}

/// Returns whether the process with a [mark](process_mark) has ended; `None` if this process cannot tell, because that
/// one is or was on another host or in another container.
pub(super) fn has_ended(mark: &str) -> Option<bool> {
    let place = |mark: &str| Some(mark.rsplitn(3, ' ').nth(2)?.to_owned());
    let id: u32 = mark.rsplit(' ').nth(1)?.parse().ok()?;
    // The mount option `hidepid` hides the processes of other users, the first one among them.
    let sees_others = fs::read("/proc/1/stat").is_ok();
    let is_here = place(mark)? == place(&process_mark(std::process::id())?)?;
    (is_here && sees_others).then(|| process_mark(id).as_deref() != Some(mark))
}

/// Returns the name of the processor with its architecture.
pub fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    format!("{} ({})", name.unwrap_or("unknown"), std::env::consts::ARCH)
}

/// Returns the number of processors that this process may use, at least 1: those of the machine, or fewer where the
/// CPU affinity of the process, a CPU limit of its cgroup, or `SLURM_CPUS_PER_TASK` allows fewer.
pub fn cores() -> usize {
    CpuLimits::of_process().cores()
}

/// Returns the limit by which [`cores`] is less than the number of processors of the machine, as text, such as
/// `SLURM_CPUS_PER_TASK is 4`; `None` if all processors may be used.
pub fn cores_limit() -> Option<String> {
    CpuLimits::of_process().binding()
}

/// Returns the names of the processor's vector instruction sets, for display. Which of them the code uses is decided in
/// `compute::simd`.
pub fn vector_instructions() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let sets = [
        ("AVX2", std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")),
        ("AVX-512", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(target_arch = "aarch64")]
    let sets = [("NEON", true)];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let sets: [(&str, bool); 0] = [];
    sets.into_iter().filter_map(|(name, is_supported)| is_supported.then_some(name)).collect()
}

/// Returns the paths of the libraries that this process has loaded; none if the system has no `/proc`.
pub fn libraries() -> BTreeSet<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let paths = maps.lines().filter_map(|line| line.find('/').map(|start| &line[start..]));
    paths.filter(|path| path.contains(".so")).map(PathBuf::from).collect()
}

/// Returns whether the driver of NVIDIA GPUs is installed (`dxg` in the Linux subsystem of Windows).
pub fn has_nvidia_driver() -> bool {
    ["/dev/nvidiactl", "/dev/dxg"].into_iter().any(|path| Path::new(path).exists())
}

/// Returns the file of the certificates that this machine trusts: `SSL_CERT_FILE`, else the first of the usual files of
/// Linux distributions and macOS that exists.
pub fn certificate_file() -> Option<PathBuf> {
    let usual = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    let given = user_path::env_folder_or_literal(env::CERTIFICATES);
    given.or_else(|| usual.into_iter().map(PathBuf::from).find(|path| path.exists()))
}

/// Returns the names of the GPUs that the NVIDIA driver lists.
pub fn gpus() -> Vec<String> {
    let folders = fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().flatten();
    let texts = folders.filter_map(|gpu| fs::read_to_string(gpu.path().join("information")).ok());
    let model = |text: String| text.lines().find_map(|line| Some(line.strip_prefix("Model:")?.trim().to_owned()));
    texts.filter_map(model).collect()
}
