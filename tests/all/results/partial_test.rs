//! Every table and figure with test accuracies has a note if the test set is only a part of the whole one.

use std::fs;
use std::path::Path;

use lth::config::DataConfig;
use lth::data::inspect;

use crate::support::*;

/// The note, without its first letter, which is a capital or not.
const TEST_NOTE: &str = "est accuracy on 200 of 300 test images";

/// Runs the binary with these arguments, asserts success, and returns standard output.
fn stdout_of_args(args: &[&str], runs: &Path) -> String {
    let output = lth().args(args).env("LTH_RUNS_DIR", runs).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

#[test]
fn partial_test_set_is_noted_in_every_table_and_figure() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    let sets = ["replicates=1", "data.test_limit=200", "report.checkpoints=[60]", "name=part"];
    let printed = stdout(&run_ok(SMOKE, runs, &sets));
    assert!(printed.contains("training runs\ntest accuracy on 200 of 300 test images\n"), "{printed}");
    assert!(stdout_of_args(&["show", "part"], runs).contains(TEST_NOTE));
    assert!(stdout_of_args(&["show", "part", "--arm", "random_mask"], runs).contains(TEST_NOTE));
    let json: serde_json::Value = serde_json::from_str(&stdout_of_args(&["show", "part", "--json"], runs)).unwrap();
    assert_eq!(json["test_note"], "test accuracy on 200 of 300 test images");

    let run_dir = run_dir(runs);
    let read = |name: &str| fs::read_to_string(run_dir.join("report").join(name)).unwrap();
    let mut figures_with_note = 0;
    for path in fs::read_dir(run_dir.join("report/figures")).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|extension| extension == "svg") {
            let text = fs::read_to_string(&path).unwrap();
            let panels = text.matches(">test accuracy").count() - text.matches(">test accuracy on").count();
            assert_eq!(text.matches(TEST_NOTE).count(), panels, "{name}: each panel of test images, and no other");
            figures_with_note += usize::from(panels > 0);
        }
    }
    assert!(figures_with_note >= 3, "by size, at checkpoints, while training: {figures_with_note}");
    let page = read("report.md");
    for (before, table) in [("## Verdicts", "| arm | verdict |"), ("## Results by arm", "| arm | round |")] {
        let part = &page[page.find(before).unwrap()..];
        let after = part.find(table).unwrap();
        assert!(part[..after + 2000.min(part.len() - after)].contains(TEST_NOTE), "{before}: {part}");
    }
    // Verdicts, results by arm, training accuracy.
    assert_eq!(page.matches(TEST_NOTE).count(), 3 + figures_with_note, "{page}");
    assert_eq!(read("index.html").matches("<figcaption>").count(), read("report.md").matches("![").count());

    run_ok(SMOKE, runs, &["replicates=1", "name=whole"]);
    let both = stdout_of_args(&["compare", "part", "whole"], runs);
    let name = run_dir.file_name().unwrap().to_str().unwrap();
    assert!(both.ends_with(&format!("\n{name}: t{TEST_NOTE}\n")), "{both}");
    assert!(!stdout_of_args(&["show", "whole"], runs).contains("test images"));
    let out = folder.path().join("both");
    stdout_of_args(&["report", "part", "whole", "--out", out.to_str().unwrap()], runs);
    let together = fs::read_to_string(out.join("figures/runs_winning_ticket.svg")).unwrap();
    assert!(together.contains(&format!("part: t{TEST_NOTE}")), "{together}");
}

#[test]
fn partial_test_file_is_recognized() {
    let folder = tempfile::tempdir().unwrap();
    let record = [&[3][..], &[128; 3072]].concat();
    lth::system::files::write(&folder.path().join("cifar10/test_batch.bin"), &record.repeat(7)).unwrap();
    let value = serde_json::json!({ "dataset": "cifar10", "dir": folder.path() });
    let (source, _) = inspect(&serde_json::from_value::<DataConfig>(value).unwrap()).unwrap();
    assert_eq!((source.test_images, source.whole_test_images), (7, 10_000));
    assert!(source.note.unwrap().contains("holds 7 of the 10000 test images of `cifar10`"));
}
