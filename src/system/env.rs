//! Every environment variable this program reads, and what it asks of the machine. `lth data fetch` also heeds what
//! every web client does: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, which its library reads itself.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where the runs are kept, if `--runs` does not say.
pub const RUNS: &str = "LTH_RUNS_DIR";
/// Where the data sets are kept, if neither `--data-dir` nor `data.dir` says.
pub const DATA: &str = "LTH_DATA_DIR";
/// The certificates that servers are verified with, as OpenSSL and curl know it.
pub(super) const CERTIFICATES: &str = "SSL_CERT_FILE";
/// The home folder of the user.
const HOME: &str = "HOME";
/// The GPUs that CUDA may use, as every program that uses it knows it.
const VISIBLE_GPUS: &str = "CUDA_VISIBLE_DEVICES";
/// Any value but the empty one turns colours off (<https://no-color.org>).
pub const NO_COLOR: &str = "NO_COLOR";

/// The value of variable `name`; the empty value counts as not set.
#[expect(clippy::disallowed_methods, reason = "this is the place the ban points to")]
pub fn value(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The home folder of the user, by HOME.
pub fn home() -> Option<PathBuf> {
    value(HOME).map(PathBuf::from)
}

/// Whether colours are unwanted.
pub fn no_color() -> bool {
    value(NO_COLOR).is_some()
}

/// The signals that this process was started to ignore, signal n in bit n − 1; none where the system does not say.
pub fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default()
}

/// Whether the terminal says of itself that it knows no escapes (`TERM=dumb`, as in an editor's shell).
#[expect(clippy::disallowed_methods, reason = "this is the place the ban points to")]
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The command line of this process, as a shell understands it.
pub fn command() -> String {
    words().iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Like [`command`], for a process that reads its experiment from standard input (`-`): with `config` in its place.
pub fn command_with(config: &Path) -> String {
    let mut words = words();
    let takes_value = |word: &str| ["--runs", "--set", "--data-dir"].contains(&word);
    let is_stdin = |at: &usize| words[*at] == "-" && !takes_value(&words[at.saturating_sub(1)]);
    if let Some(at) = (1..words.len()).find(is_stdin) {
        words[at] = config.display().to_string();
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn words() -> Vec<String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// A word as a shell takes it for one: in single quotes where it needs them.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    let fine = !word.is_empty() && word.chars().all(is_plain);
    if fine { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// This machine's name.
pub fn host() -> String {
    let text = |path| std::fs::read_to_string(path).ok();
    let name = text("/proc/sys/kernel/hostname").or_else(|| text("/etc/hostname")).unwrap_or_default();
    if name.trim().is_empty() { "this machine".to_owned() } else { name.trim().to_owned() }
}

/// The processor's name.
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    format!("{} ({})", name.unwrap_or("unknown"), std::env::consts::ARCH)
}

/// What of the processor's vector instructions the trainers can use.
pub fn vector_instructions() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let known = [
        ("AVX2", std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")),
        ("AVX-512", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(target_arch = "aarch64")]
    let known = [("NEON", true)];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let known: [(&str, bool); 0] = [];
    known.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect()
}

/// The libraries that this process has loaded, by path; none where the system does not tell.
pub fn libraries() -> BTreeSet<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    paths.filter(|path| path.contains(".so")).map(PathBuf::from).collect()
}

/// Whether the driver of NVIDIA's GPUs is there (under Windows' Linux it is `dxg`).
pub fn has_nvidia_driver() -> bool {
    ["/dev/nvidiactl", "/dev/dxg"].into_iter().any(|path| std::path::Path::new(path).exists())
}

/// The GPUs' names, as the driver tells them.
pub fn gpus() -> Vec<String> {
    let folders = std::fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().flatten();
    let texts = folders.filter_map(|gpu| std::fs::read_to_string(gpu.path().join("information")).ok());
    let model = |text: String| text.lines().find_map(|line| Some(line.strip_prefix("Model:")?.trim().to_owned()));
    texts.filter_map(model).collect()
}

/// Whether `CUDA_VISIBLE_DEVICES` hides every GPU: it is set, and empty or -1.
#[expect(clippy::disallowed_methods, reason = "this is the place the ban points to")]
pub fn hides_gpus() -> bool {
    std::env::var(VISIBLE_GPUS).is_ok_and(|value| value.is_empty() || value.starts_with('-'))
}

/// The number of processors this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
