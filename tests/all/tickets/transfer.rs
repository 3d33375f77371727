//! Masks and weights from files, in arms and as the start of the dense network.

use std::fs;

use lth::artifacts::{RoundRow, Ticket};

use super::*;

/// Returns an experiment on strokes with this section of arms, and more lines at its beginning.
fn experiment(lines: &str, arms: &str) -> String {
    format!(
        "name = \"target\"\nrounds = 2\nreplicates = 2\nseed = 5\n{lines}\n\
         [data]\ndataset = \"strokes\"\ntrain_images = 900\ntest_images = 200\nvalidation = 200\ndraw_seed = 9\n\
         [train]\niterations = 60\nbatch_size = 20\nevaluate_every = 20\noptimizer = \"sgd\"\nlr = 0.1\n\
         [prune]\nrate = {{ linear = 0.4, output = 0.2 }}\n\
         {arms}"
    )
}

/// Runs [`SMOKE`] and exports its winning tickets; returns the pattern of their paths.
fn tickets(runs: &Path) -> String {
    run_ok(SMOKE, runs, &[]);
    let pattern = runs.join("t_{replicate}_{round}.safetensors");
    ticket_ok(runs, &["export", "smoke", "--arm", "winning_ticket", "-o", pattern.to_str().unwrap()]);
    pattern.to_str().unwrap().to_owned()
}

fn source(runs: &Path, replicate: u32, round: u32) -> Ticket {
    Ticket::from_bytes(&fs::read(runs.join(format!("t_{replicate}_{round}.safetensors"))).unwrap()).unwrap()
}

/// Returns the lines of the network of [`SMOKE`].
fn network() -> String {
    let text = fs::read_to_string(SMOKE).unwrap();
    let section = text.split("[network]").nth(1).unwrap().split("\n[").next().unwrap().to_owned();
    format!("[network]{section}\n")
}

fn row<'a>(rows: &'a [RoundRow], arm: &str, replicate: u32, round: u32) -> &'a RoundRow {
    rows.iter().find(|row| row.arm == arm && row.replicate == replicate && row.round == round).unwrap()
}

#[test]
fn transferred_ticket_has_mask_and_start_of_its_file_and_controls_have_its_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    let pattern = tickets(runs);
    let arms = format!(
        "{}[arms.own]\nmask = \"iterative\"\nweights = \"rewind\"\n\
         [arms.transferred]\nmask = {{ file = \"{pattern}\" }}\nweights = {{ file = \"{pattern}\", which = \"start\" }}\n\
         [arms.reinit]\nmask = {{ of = \"transferred\" }}\nweights = \"reinit\"\n\
         [arms.random]\nmask = {{ random = \"transferred\" }}\nweights = \"reinit\"\n",
        network()
    );
    let target = config(runs, &experiment("", &arms));
    run_ok(&target, runs, &["run.keep=all"]);
    let reader = lth::open_run(run_dir_named(runs, "target")).unwrap();
    let rows = reader.rows();
    for (replicate, round) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        let found = row(rows, "transferred", replicate, round);
        let ticket = source(runs, replicate, round);
        assert_eq!(reader.mask(found).unwrap(), ticket.mask);
        assert_eq!(found.weights_kept, ticket.mask.kept_total());
        for control in ["reinit", "random"] {
            assert_eq!(row(rows, control, replicate, round).weights_kept, found.weights_kept);
        }
    }
    let verified = lth_in(runs, &["verify", "target", "--deep", "--retrain", "4"]);
    assert!(verified.status.success(), "{}{}", stdout(&verified), stderr(&verified));
    // The file is part of the key: another file gives another training run.
    let keys = |rows: &[RoundRow]| rows.iter().map(|row| row.key.clone()).collect::<std::collections::BTreeSet<_>>();
    let before = keys(rows);
    fs::copy(runs.join("t_1_2.safetensors"), runs.join("t_2_2.safetensors")).unwrap();
    run_ok(&target, runs, &[]);
    let newest = run_dirs(runs).into_iter().find(|dir| {
        let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
        name.starts_with("target") && *dir != run_dir_of(&reader)
    });
    let after = keys(lth::open_run(newest.unwrap()).unwrap().rows());
    let changed = before.difference(&after).count();
    assert_eq!(changed, 3, "the ticket of replicate 2 at round 2, and its two controls");
}

fn run_dir_of(reader: &lth::RunReader) -> PathBuf {
    reader.run().dir.0.clone()
}

#[test]
fn output_layer_is_drawn_where_classes_differ() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    let pattern = tickets(runs);
    let arms = format!(
        "{}[arms.transferred]\nmask = {{ file = \"{pattern}\" }}\nweights = {{ file = \"{pattern}\", which = \"trained\" }}\n",
        network()
    );
    let target = config(runs, &experiment("", &arms).replace("draw_seed = 9", "draw_seed = 9\nclasses = [1, 3, 5]"));
    run_ok(&target, runs, &[]);
    let reader = lth::open_run(run_dir_named(runs, "target")).unwrap();
    let found = row(reader.rows(), "transferred", 1, 2);
    let (mask, ticket) = (reader.mask(found).unwrap(), source(runs, 1, 2));
    let hidden = ticket.mask.0.len() - 1;
    assert_eq!(mask.0[..hidden], ticket.mask.0[..hidden]);
    let [drawn, output] = [&mask.0[hidden], &ticket.mask.0[hidden]];
    assert_eq!((drawn.shape[0], output.shape[0], drawn.shape[1]), (3, 10, output.shape[1]));
    let share = |layer: &lth::base::mask::LayerMask| layer.kept_count() as f64 / layer.kept.len() as f64;
    assert!((share(drawn) - share(output)).abs() < 0.5 / drawn.kept.len() as f64 + 1e-12);
}

#[test]
fn pretrained_dense_network_starts_from_the_file_and_its_tickets_are_rewound_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &[]);
    let file = export(runs, "dense", 0, "dense.safetensors");
    let pretrained = format!("pretrained = {{ file = \"{}\", which = \"trained\" }}\n", file.display());
    let arms = format!(
        "{}{pretrained}[arms.ticket]\nmask = \"iterative\"\nweights = \"rewind\"\n\
         [arms.reinit]\nmask = {{ of = \"ticket\" }}\nweights = \"reinit\"\n",
        network()
    );
    let target = config(runs, &experiment("", &arms));
    run_ok(&target, runs, &["replicates=1"]);
    let reader = lth::open_run(run_dir_named(runs, "target")).unwrap();
    let dense = row(reader.rows(), "dense", 1, 0);
    let source = Ticket::from_bytes(&fs::read(file).unwrap()).unwrap();
    assert_eq!(reader.initial_weights(dense).unwrap(), source.trained);
    let verified = lth_in(runs, &["verify", "target", "--deep", "--retrain", "3"]);
    assert!(verified.status.success(), "{}{}", stdout(&verified), stderr(&verified));
}

#[test]
fn files_that_do_not_fit_are_refused_with_every_tensor_at_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    let pattern = tickets(runs);
    let refused = |network: &str, arm: &str| {
        let target = config(runs, &experiment("", &format!("{network}\n[arms.a]\n{arm}\n")));
        let output = run(&target, runs, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    let arm = format!("mask = {{ file = \"{pattern}\" }}\nweights = \"reinit\"");
    let other = refused("[network]\narchitecture = \"lenet_300_100\"", &arm);
    assert!(other.contains("`linear1.weight` is [300, 784] in the network and"), "{other}");
    assert!(other.contains("do not:") && other.contains("arms.a") || other.contains("mask = "), "{other}");
    let conv = refused("[network]\narchitecture = \"conv2\"", &arm);
    assert!(conv.contains("`conv1.weight` is not in it"), "{conv}");
    let missing = refused(&network(), "mask = { file = \"none.safetensors\" }\nweights = \"reinit\"");
    assert!(missing.contains("none.safetensors"), "{missing}");
    let compact = runs.join("small.safetensors");
    ticket_ok(runs, &["compact", runs.join("t_1_2.safetensors").to_str().unwrap(), "-o", compact.to_str().unwrap()]);
    let small = refused(&network(), &format!("mask = {{ file = \"{}\" }}\nweights = \"reinit\"", compact.display()));
    assert!(small.contains("compact ticket"), "{small}");
}

#[test]
fn transfer_experiments_of_this_repository_are_planned_with_their_tickets() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let run_here = |args: &[&str]| {
        let output = lth().args(args).current_dir(here).env("LTH_RUNS_DIR", here.join("runs")).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    fs::create_dir(here.join("tickets")).unwrap();
    let strokes = ["--set", "data.dataset=strokes", "--set", "data.train_images=700", "--set", "data.test_images=60"];
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let source = configs.join("lenet_mnist.toml");
    let short = ["--set", "data.validation=100", "--set", "rounds=20", "--set", "train.iterations=2"];
    let arms = ["--unset", "arms.random_reinit", "--unset", "arms.random_mask", "--set", "replicates=1"];
    run_here(&[&["run", source.to_str().unwrap(), "-qq"], &strokes[..], &short, &arms].concat());
    let rounds = ["--round", "7", "--round", "15", "--round", "20", "-qq"];
    let out = ["-o", "tickets/mnist_{replicate}_{round}.safetensors", "--arm", "winning_ticket"];
    run_here(&[&["ticket", "export", "lenet_mnist"], &rounds[..], &out].concat());
    let target = configs.join("transfer_mnist_fashion.toml");
    let fewer = ["--set", "data.validation=100", "--set", "replicates=1", "--json"];
    let plan = run_here(&[&["plan", target.to_str().unwrap()], &strokes[..], &fewer].concat());
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["trainings"], 1 + 20 + 3 * 3);
}

#[test]
fn relative_files_are_found_beside_the_configuration_and_from_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let lth_from = |from: &Path, args: &[&str]| {
        lth().args(args).current_dir(from).env("LTH_RUNS_DIR", here.join("runs")).output().unwrap()
    };
    let pattern = tickets(&here.join("source"));
    for place in ["tickets", "configs/tickets"] {
        fs::create_dir_all(here.join(place)).unwrap();
    }
    // A damaged file in the working directory is not the one meant; round 2 alone is needed.
    lth::system::files::write(&here.join("tickets/1_2.safetensors"), b"damaged").unwrap();
    let found = here.join("configs/tickets/1_2.safetensors");
    fs::copy(pattern.replace("{replicate}", "1").replace("{round}", "2"), &found).unwrap();
    let arm =
        "[arms.a]\nmask = { file = \"tickets/{replicate}_{round}.safetensors\" }\nweights = \"rewind\"\nat = [2]\n";
    let text = experiment("", &(network() + arm)).replace("replicates = 2", "replicates = 1");
    lth::system::files::write(&here.join("configs/target.toml"), text.as_bytes()).unwrap();
    let run = lth_from(here, &["run", "configs/target.toml", "-q"]);
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(stdout(&run).contains("Transfer of a at 1 size"), "{}", stdout(&run));

    let elsewhere = tempfile::tempdir().unwrap();
    let verified = lth_from(elsewhere.path(), &["verify", "target"]);
    assert!(verified.status.success(), "{}{}", stdout(&verified), stderr(&verified));
    fs::remove_file(found).unwrap();
    let evaluate = lth_from(elsewhere.path(), &["evaluate", "target"]);
    let error = stderr(&evaluate);
    assert_eq!((evaluate.status.code(), error.matches("there is no file").count()), (Some(2), 1), "{error}");
    assert!(error.contains("tickets/1_2.safetensors"), "{error}");
}
