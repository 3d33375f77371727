//! Fixtures that the tests share: the smoke experiment, the binary, and the files of a run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lth::config::ConfigDocument;

/// The path of the experiment of most tests. A run of it takes half a second.
pub(crate) const SMOKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/smoke.toml");

/// The number of training runs of [`SMOKE`].
pub(crate) const SMOKE_TRAININGS: usize = 18;

/// Arms for [`SMOKE`] with every valid pair of a mask rule and a start rule, and some whose masks change during training. The
/// experiment has 120 iterations in 3
/// epochs.
pub(crate) const ALL_ARMS: &str = "arms={\
    winning_ticket={mask='iterative',weights='rewind'},\
    late={mask='iterative',weights='rewind',rewind_to='30it'},\
    late_reset={mask='iterative',weights='rewind',rewind_to='1ep',rewind_optimizer='reset'},\
    continued={mask='iterative',weights='final'},\
    fresh_chain={mask='iterative',weights='reinit'},\
    continued_ticket={mask={of='continued'},weights='rewind',at=[2]},\
    fine_tuned={mask={of='winning_ticket'},weights='final',lr_from='100it'},\
    random_reinit={mask={of='winning_ticket'},weights='reinit',repeats=2,every=2},\
    shuffled={mask={of='winning_ticket'},weights='shuffle'},\
    signs={mask={of='winning_ticket'},weights='constant_sign'},\
    noisy={mask={of='winning_ticket'},weights='noise',noise=0.5},\
    late_reinit={mask={of='late'},weights='reinit',repeats=2},\
    late_shuffled={mask={of='late'},weights='shuffle'},\
    late_signs={mask={of='late'},weights='constant_sign'},\
    late_noisy={mask={of='late'},weights='noise',noise=1.0},\
    random_mask={mask={random='winning_ticket'},weights='reinit',repeats=2},\
    random_rewound={mask={random='winning_ticket'},weights='rewind'},\
    random_late={mask={random='late'},weights='rewind',rewind_to='30it'},\
    one_shot={mask={one_shot={like='winning_ticket'}},weights='rewind'},\
    one_shot_late={mask={one_shot={like='winning_ticket'}},weights='rewind',rewind_to='30it'},\
    grid={mask={one_shot={cut=[0.3,0.6,0.9]}},weights='rewind'},\
    grid_reinit={mask={of='grid'},weights='reinit',at=[1,3]},\
    grid_tuned={mask={of='grid'},weights='final',lr_from='60it'},\
    at_init={mask={at_init={method='magnitude',like='winning_ticket'}},weights='rewind'},\
    at_init_grid={mask={at_init={method='magnitude',cut=[0.5,0.9]}},weights='shuffle'},\
    fresh={mask='dense',weights='reinit'},\
    fresh_signs={mask='dense',weights='constant_sign'},\
    fresh_shuffled={mask='dense',weights='shuffle'},\
    fresh_noisy={mask='dense',weights='noise',noise=0.1},\
    early={mask={early_bird={like='winning_ticket',every='10it',window=3,threshold=0.9}},weights='rewind'},\
    regrown={mask={random='winning_ticket'},mask_updates={method='set',every='10it'},weights='rewind'},\
    pruned_in_training={mask='dense',mask_updates={method='gmp',like='winning_ticket',every='10it'},weights='reinit'}}";

/// Compares a text with the golden file of the test. Golden files have no line `expression:`.
macro_rules! assert_golden {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($text) })
    };
}
pub(crate) use assert_golden;

/// Returns the configuration [`SMOKE`] with overrides of values.
pub(crate) fn smoke_document(sets: &[&str]) -> ConfigDocument {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    ConfigDocument::parse("smoke.toml", &fs::read_to_string(SMOKE).unwrap(), &sets).unwrap()
}

/// Returns the command of the binary without the environment variables that change what it does.
pub(crate) fn lth() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lth"));
    for name in ["LTH_RUNS_DIR", "LTH_DATA_DIR", "LTH_LOCKS", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

/// Runs the binary with these arguments and `runs` as folder of all runs.
pub(crate) fn lth_in(runs: &Path, args: &[&str]) -> Output {
    lth().args(args).env("LTH_RUNS_DIR", runs).output().unwrap()
}

/// Like [`lth_in`], but asserts success and returns standard output.
pub(crate) fn stdout_of(runs: &Path, args: &[&str]) -> String {
    let output = lth_in(runs, args);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// Returns the command `lth run CONFIG --runs RUNS --set …`.
pub(crate) fn run_command(config: &str, runs: &Path, sets: &[&str]) -> Command {
    let mut command = lth();
    command.args(["run", config, "--runs"]).arg(runs);
    for set in sets {
        command.args(["--set", set]);
    }
    command
}

/// Runs `lth run CONFIG --runs RUNS --set …` to its end.
pub(crate) fn run(config: &str, runs: &Path, sets: &[&str]) -> Output {
    run_command(config, runs, sets).output().unwrap()
}

/// Like [`run`], but asserts success.
pub(crate) fn run_ok(config: &str, runs: &Path, sets: &[&str]) -> Output {
    let output = run(config, runs, sets);
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

/// Returns the standard output of a process, with `lth` as the name of the binary in hints.
pub(crate) fn stdout(output: &Output) -> String {
    with_plain_name(&output.stdout)
}

/// Returns a text in which command lines in backticks begin with `lth`, not with the path of the binary.
fn with_plain_name(bytes: &[u8]) -> String {
    str::from_utf8(bytes).unwrap().replace(concat!("`", env!("CARGO_BIN_EXE_lth"), " "), "`lth ")
}

/// Returns the standard error of a process, without the clock times of log lines, and with `lth` as the name of the
/// binary in hints.
pub(crate) fn stderr(output: &Output) -> String {
    with_plain_name(&output.stderr).split_inclusive('\n').map(without_time).collect()
}

/// Returns a line without the clock time at its beginning, such as `2026-11-26T06:08:54Z `.
pub(crate) fn without_time(line: &str) -> &str {
    const FORM: &str = "dddd-dd-ddTdd:dd:ddZ ";
    let fits = |(form, c): (char, char)| if form == 'd' { c.is_ascii_digit() } else { form == c };
    let has_time = line.len() >= FORM.len() && FORM.chars().zip(line.chars()).all(fits);
    if has_time { &line[FORM.len()..] } else { line }
}

/// Returns whether a JSON value is a time such as `2026-11-26T06:08:54Z`.
pub(crate) fn is_iso_time(value: &serde_json::Value) -> bool {
    value.as_str().is_some_and(|text| without_time(&format!("{text} ")).is_empty())
}

/// Returns the number of training runs that ended in a run, by the lines that it printed. Those that were stored before
/// do not count.
pub(crate) fn finished_count(output: &Output) -> usize {
    stderr(output).lines().filter(|line| line.starts_with('[')).count()
}

/// Returns the output of `lth plan --json`.
pub(crate) fn plan_of(config: &str, runs: &Path, sets: &[&str]) -> serde_json::Value {
    let mut command = lth();
    command.args(["plan", config, "--json", "--runs"]).arg(runs);
    for set in sets {
        command.args(["--set", set]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the folders of the runs in `runs`, sorted.
pub(crate) fn run_dirs(runs: &Path) -> Vec<PathBuf> {
    let mut run_dirs: Vec<PathBuf> = fs::read_dir(runs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() && ![".locks", "store"].contains(&path.file_name().unwrap().to_str().unwrap()))
        .collect();
    run_dirs.sort();
    run_dirs
}

/// Returns the folder of the only run in `runs`.
pub(crate) fn run_dir(runs: &Path) -> PathBuf {
    let run_dirs = run_dirs(runs);
    assert_eq!(run_dirs.len(), 1, "{run_dirs:?}");
    run_dirs[0].clone()
}

/// Returns the files of a run by name, but for those that may differ between two runs of an experiment (times, hosts). The bytes of these files must not depend on workers, interruptions and reruns. The comment of `config.toml` that
/// names the command's `--set` options is left out.
pub(crate) fn reproducible_files(run_dir: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![run_dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.strip_prefix(run_dir).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !["timings.csv", "run.json"].contains(&name.as_str()) {
                // The checksums of the pages depend on their dates.
                let is_list = name == "report/.written-by-lth";
                let text = if is_list { String::new() } else { fs::read_to_string(path).unwrap() };
                let comment =
                    if name == "config.toml" && text.starts_with("# Run with: ") { text.find('\n') } else { None };
                files.insert(name, without_dates(&text[comment.map_or(0, |end| end + 1)..]));
            }
        }
    }
    files
}

/// Returns a text without the lines of a report on the date and the time that the run took.
fn without_dates(text: &str) -> String {
    let is_date = |line: &&str| line.starts_with("- Date: ") || line.starts_with("<dt>Date</dt>");
    text.split_inclusive('\n').filter(|line| !is_date(line)).collect()
}

/// Asserts that the [`reproducible_files`] files of two runs are equal; the message has the first line that differs.
pub(crate) fn assert_same(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, text) in a {
        for (n, (one, other)) in text.lines().zip(b[name].lines()).enumerate() {
            assert_eq!(one, other, "{name}:{}", n + 1);
        }
        assert_eq!(text.len(), b[name].len(), "{name}");
    }
}

/// Returns the rows of a CSV file of a run. Each row maps the names of the columns to its values.
pub(crate) fn rows(run_dir: &Path, file: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(run_dir.join(file)).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

/// Writes a configuration file with this text to `folder` and returns its path.
pub(crate) fn config(folder: &Path, text: &str) -> String {
    let path = folder.join("config.toml");
    lth::system::files::write(&path, text.as_bytes()).unwrap();
    path.display().to_string()
}

/// Changes a JSON file that carries a checksum of itself, and its checksum with it.
pub(crate) fn edit_json(path: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let mut page: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    page.as_object_mut().unwrap().shift_remove("checksum");
    edit(&mut page);
    lth::system::files::write(path, &lth::artifacts::to_checksummed_json(&page).unwrap()).unwrap();
}

/// Returns the folder of the only run of the experiment `name`.
pub(crate) fn run_dir_named(runs: &Path, name: &str) -> PathBuf {
    let mut run_dirs = run_dirs(runs);
    run_dirs.retain(|run_dir| run_dir.file_name().unwrap().to_str().unwrap().starts_with(&format!("{name}-")));
    assert_eq!(run_dirs.len(), 1, "{run_dirs:?}");
    run_dirs[0].clone()
}

/// Returns the study of an experiment on this machine, as if it had no GPU.
pub(crate) fn study(document: &lth::config::ConfigDocument) -> lth::lottery::Study {
    let experiment = lth::config::read(document).unwrap();
    let surroundings = lth::lottery::Surroundings {
        dataset: lth::data::inspect(&experiment.data).map(|(info, _)| info),
        cuda_unavailable: Some("no GPU in these tests".to_owned()),
        files: lth::lottery::FilesByPath::new(),
        allocations: lth::lottery::AllocationBytes::new(),
    };
    lth::lottery::Study::resolve(experiment, surroundings).unwrap()
}

/// Returns the files of the only run in `runs` and of the store, by their path, but for those that hold times or hosts.
pub(crate) fn results(runs: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let of_run = reproducible_files(&run_dir(runs)).into_iter();
    let mut results: BTreeMap<_, _> = of_run.map(|(name, text)| (PathBuf::from(name), text.into_bytes())).collect();
    for path in all_files(&runs.join("store")) {
        if !["timing.json", "lock"].contains(&path.file_name().unwrap().to_str().unwrap()) {
            results.insert(path.strip_prefix(runs).unwrap().to_owned(), fs::read(&path).unwrap());
        }
    }
    results
}

/// Returns the paths of all files in a folder and its subfolders.
pub(crate) fn all_files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] }).collect()
}

/// Returns whether this process, and so the commands that it starts, ignores the signal with this number, as under
/// `nohup`; prints then that a test is skipped.
pub(crate) fn ignores_signal(number: i32) -> bool {
    let ignores = lth::system::cancel::ignored_signals() >> (number - 1) & 1 == 1;
    if ignores {
        println!("skipped: these tests were started with signal {number} ignored");
    }
    ignores
}
