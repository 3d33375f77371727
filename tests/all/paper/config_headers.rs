//! The configurations of the figures of the paper: their headers, and what the README says of them, agree with the
//! plan.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lth::base::format::with_thousands;
use lth::config::ConfigDocument;

use crate::support::*;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn configs() -> Vec<PathBuf> {
    let mut all = lth::system::files::list(&Path::new(ROOT).join("configs/paper")).unwrap();
    all.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    assert!(all.len() >= 33, "{all:?}");
    all
}

/// Returns whether a configuration is for a figure that compares several values of one setting. Its file has one of the
/// values, and its header a shell loop over all.
fn is_sweep(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_str().unwrap();
    ["appendix_g_", "appendix_h_", "appendix_i_"].iter().any(|start| name.starts_with(start))
}

/// Returns the comment at the start of a configuration in one line, and the shell commands in it, one per line.
fn header(path: &Path) -> (String, String) {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().skip(1).map_while(|line| line.strip_prefix("# ")).collect();
    let is_command = |line: &&&str| line.starts_with("  ");
    let before_deviations = lines.iter().take_while(|line| !line.starts_with("Choices that the paper"));
    let commands: Vec<&str> = before_deviations.filter(is_command).copied().collect();
    (lines.join(" "), commands.join("\n"))
}

fn plan(config: &Path, runs: &Path) -> serde_json::Value {
    plan_of(config.to_str().unwrap(), runs, &[])
}

#[test]
fn config_headers_agree_with_plan() {
    let runs = tempfile::tempdir().unwrap();
    for path in configs() {
        let (words, commands) = header(&path);
        let plan = plan(&path, runs.path());
        let number = |key: &str| with_thousands(plan[key].as_u64().unwrap());
        let expected =
            format!("{} training runs, {} iterations: about ", number("trainings"), number("iterations_to_go"));
        assert!(words.contains(&expected), "{}: {expected}", path.display());
        assert!(words.contains("of the paper") && words.contains("deviations from it"), "{words}");
        let name = plan["experiment"].as_str().unwrap();
        assert_eq!(Some(name), path.file_stem().and_then(|stem| stem.to_str()), "the file has the experiment's name");
        assert!(commands.contains(&format!("scripts/lth run configs/paper/{name}.toml")), "{commands}");
        assert_eq!(plan["warnings"], serde_json::json!([]), "{name}");
    }
}

#[test]
fn cifar10_config_headers_agree_with_plan() {
    let runs = tempfile::tempdir().unwrap();
    for name in ["conv2_cifar10", "conv2_cifar10_laptop", "resnet20_cifar10", "resnet20_cifar10_laptop"] {
        let path = Path::new(ROOT).join(format!("configs/{name}.toml"));
        let (words, commands) = header(&path);
        let plan = plan(&path, runs.path());
        let (trainings, iterations) = (plan["trainings"].as_u64().unwrap(), plan["iterations_to_go"].as_u64().unwrap());
        let expected = format!(
            "{} training runs of {} iterations: about ",
            with_thousands(trainings),
            with_thousands(iterations / trainings)
        );
        assert!(words.contains(&expected), "{name}: {expected}");
        assert_eq!(commands.trim(), format!("scripts/lth run configs/{name}.toml"));
        assert_eq!((&plan["warnings"], plan["experiment"].as_str()), (&serde_json::json!([]), Some(name)));
    }
}

#[test]
fn quickstart_header_agrees_with_plan() {
    let runs = tempfile::tempdir().unwrap();
    let path = Path::new(ROOT).join("configs/quickstart.toml");
    let (words, commands) = header(&path);
    let plan = plan(&path, runs.path());
    let (trainings, iterations) = (plan["trainings"].as_u64().unwrap(), plan["iterations_to_go"].as_u64().unwrap());
    let expected =
        format!("{trainings} training runs of {} iterations: about ", with_thousands(iterations / trainings));
    assert!(words.contains(&expected), "{expected}");
    assert_eq!(commands.trim(), "scripts/lth run configs/quickstart.toml");
    assert_eq!(plan["warnings"], serde_json::json!([]));
}

/// Sweeps are shell loops; each of their values must give another experiment.
#[test]
fn sweeps_in_config_headers_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    for path in configs() {
        let (_, commands) = header(&path);
        let commands = commands.replace("scripts/lth run", "\"$LTH\" plan --json").replace("\\\n", " ");
        let mut shell = Command::new("sh");
        shell.current_dir(ROOT).args(["-ec", &commands]).env("LTH", env!("CARGO_BIN_EXE_lth"));
        let output = shell.env("LTH_RUNS_DIR", &runs).output().unwrap();
        assert!(output.status.success(), "{commands}\n{}", stderr(&output));
        let plans: Vec<serde_json::Value> =
            serde_json::Deserializer::from_slice(&output.stdout).into_iter().map(Result::unwrap).collect();
        let distinct = |key: &str| {
            let values: std::collections::BTreeSet<&str> =
                plans.iter().map(|plan| plan[key].as_str().unwrap()).collect();
            assert_eq!(values.len(), plans.len(), "{key}: {commands}");
        };
        distinct("experiment");
        distinct("id");
        let is_loop = commands.contains("for ");
        assert_eq!(is_loop, is_sweep(&path), "{commands}");
        assert!(if is_loop { plans.len() >= 3 } else { plans.len() <= 3 }, "{commands}");
    }
}

#[test]
fn figure_4_sizes_are_those_of_paper() {
    let runs = tempfile::tempdir().unwrap();
    let plan = plan(&Path::new(ROOT).join("configs/paper/fig4_lenet.toml"), runs.path());
    let rounds = plan["rounds"].as_array().unwrap();
    let percent = |arm: &str, round: u64| {
        let row = rounds.iter().find(|row| row["arm"] == arm && row["round"] == round).unwrap();
        format!("{:.3}", 100.0 * row["weights_remaining"].as_f64().unwrap())
    };
    // The sizes in Section 2 of the paper: one-shot tickets learn faster than the dense network from 67.5% to 17.6% of
    // the weights, and reach a higher test accuracy from 95.0% to 5.17%. The paper truncates these percentages.
    for (round, label) in [(2, "95.0"), (13, "67.5"), (33, "17.6"), (38, "5.17")] {
        for arm in ["one_shot", "one_shot_reinit"] {
            assert!(percent(arm, round).starts_with(label), "{arm} {round}: {}", percent(arm, round));
        }
    }
    let trainings = |arm: &str| -> u64 {
        rounds.iter().filter(|row| row["arm"] == arm).map(|row| row["trainings"].as_u64().unwrap()).sum()
    };
    let all = ["dense", "winning_ticket", "random_reinit", "one_shot", "one_shot_reinit"].map(trainings);
    assert_eq!(all, [5, 5 * 24, 15 * 24, 5 * 39, 15 * 39]);
}

#[test]
fn readme_agrees_with_plan_on_cost_and_sharing() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let mut together = std::collections::BTreeSet::new();
    for path in configs() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        if is_sweep(&path) {
            continue;
        }
        let document = ConfigDocument::parse(name, &fs::read_to_string(&path).unwrap(), &[]).unwrap();
        let plan = crate::support::study(&document).plan;
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap();
        assert!(row.contains(&format!("| {} |", with_thousands(plan.trainings.len() as u64))), "{row}");
        together.extend(plan.trainings.iter().map(|training| training.key));
    }
    let words = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected =
        format!("without the sweeps, all files together need {} training runs", with_thousands(together.len() as u64));
    assert!(words.contains(&expected), "{expected}");
}
