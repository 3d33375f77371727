//! Short names of runs that are shown together: in legends, and in the rows of comparisons.

use serde_json::{Map, Value};

use super::run::Run;
use crate::artifacts::{ConfigDifference, ConfigValues, RunLabels, experiment_name, first_seen};

/// Returns a short name for each run. Runs of one experiment are called by the values in which they differ, such as
/// `lr 1.2e-3, rate 0.4`; runs of several experiments by the name of the experiment, with these values if several runs
/// have it. A run that these do not tell from the others is called by the name of its folder, or by its path if several
/// folders have that name. `configs`: the configuration of each run, `None` if it is not known.
pub fn run_names(runs: &[&Run], configs: &[Option<ConfigValues>]) -> Vec<String> {
    let experiments: Vec<String> = runs.iter().map(|run| experiment_name(&run.dir)).collect();
    let is_one_experiment = experiments.windows(2).all(|pair| pair[0] == pair[1]);
    let name = |(index, distinction): (usize, Distinction)| match distinction.label {
        Some(label) if is_one_experiment => label,
        Some(label) => format!("{}: {label}", experiments[index]),
        None if count(&experiments, &experiments[index]) == 1 => experiments[index].clone(),
        None => runs[index].name(),
    };
    let names: Vec<String> = distinctions(runs, configs).into_iter().enumerate().map(name).collect();
    let folders: Vec<String> = runs.iter().map(|run| run.name()).collect();
    let unique = |(index, name): (usize, &String)| {
        if count(&names, name) == 1 {
            name.clone()
        } else if count(&folders, &folders[index]) == 1 {
            folders[index].clone()
        } else {
            runs[index].dir.0.display().to_string()
        }
    };
    names.iter().enumerate().map(unique).collect()
}

/// The values that tell a run from the other runs of its experiment.
#[derive(Clone, Debug, Default)]
pub(super) struct Distinction {
    /// The label of the run; `None` if its configuration is not known or does not differ.
    pub(super) label: Option<String>,
    /// Every value of the run in which the runs of the experiment differ, by key.
    pub(super) settings: Map<String, Value>,
}

/// Returns what tells each run from the others of `runs` that have the same experiment. `configs` as in [`run_names`].
pub(super) fn distinctions(runs: &[&Run], configs: &[Option<ConfigValues>]) -> Vec<Distinction> {
    let experiments: Vec<String> = runs.iter().map(|run| experiment_name(&run.dir)).collect();
    let mut distinctions = vec![Distinction::default(); runs.len()];
    for experiment in first_seen(&experiments) {
        let members: Vec<usize> = (0..runs.len()).filter(|&index| experiments[index] == *experiment).collect();
        let configs: Vec<Option<ConfigValues>> = members.iter().map(|&index| configs[index].clone()).collect();
        let RunLabels { differences, labels } = RunLabels::of(&configs);
        for ((position, index), label) in members.into_iter().enumerate().zip(labels) {
            let setting =
                |difference: &ConfigDifference| Some((difference.key.clone(), difference.values[position].clone()?));
            distinctions[index] = Distinction { label, settings: differences.iter().filter_map(setting).collect() };
        }
    }
    distinctions
}

fn count(names: &[String], name: &str) -> usize {
    names.iter().filter(|other| *other == name).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::config_values;
    use crate::system::files;
    use crate::system::paths::RunDir;

    fn run(folder: &std::path::Path, name: &str, lr: &str) -> Run {
        let dir = RunDir(folder.join(name));
        files::write(&dir.file(RunDir::RESOLVED_CONFIG), format!("[train]\nlr = {lr}").as_bytes()).unwrap();
        Run { dir, rounds: Vec::new(), manifest: None }
    }

    fn names(runs: &[&Run]) -> Vec<String> {
        let configs: Vec<_> = runs.iter().map(|run| config_values(&run.dir)).collect();
        run_names(runs, &configs)
    }

    #[test]
    fn run_names_say_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let a = [run(path, "a-11111111", "0.1"), run(path, "a-22222222", "0.2")];
        assert_eq!(names(&[&a[0], &a[1]]), ["lr 0.1", "lr 0.2"]);
        let b = run(path, "b-11111111", "0.1");
        assert_eq!(names(&[&a[0], &b]), ["a", "b"]);
        assert_eq!(names(&[&a[0], &b, &a[1]]), ["a: lr 0.1", "b", "a: lr 0.2"]);
        let archived = run(path, "a-11111111.old-1", "0.1");
        assert_eq!(names(&[&a[0], &archived]), ["a-11111111", "a-11111111.old-1"], "they do not differ");
        let elsewhere = run(&path.join("x"), "a-11111111", "0.1");
        let both = names(&[&a[0], &elsewhere]);
        assert!(both[1].ends_with("x/a-11111111") && both[0] != both[1], "{both:?}");
    }
}
