//! A partial test set is noted wherever its accuracies are shown.

use std::fs;
use std::path::Path;

use lth::config::DataConfig;
use lth::data::inspect;

use crate::support::*;

const SAID: &str = "est accuracy on 200 of 300 test images";

fn of_words(words: &[&str], runs: &Path) -> String {
    let output = lth().args(words).env("LTH_RUNS_DIR", runs).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

#[test]
fn partial_test_set_is_noted_in_every_table_and_figure() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    let sets = ["replicates=1", "data.test_limit=200", "report.checkpoints=[60]", "name=part"];
    let told = stdout(&run_well(SMOKE, runs, &sets));
    assert!(told.contains("trainings\ntest accuracy on 200 of 300 test images\n"), "{told}");
    assert!(of_words(&["show", "part"], runs).contains(SAID));
    assert!(of_words(&["show", "part", "--arm", "random_mask"], runs).contains(SAID));
    let json: serde_json::Value = serde_json::from_str(&of_words(&["show", "part", "--json"], runs)).unwrap();
    assert_eq!(json["test_note"], "test accuracy on 200 of 300 test images");

    let run_dir = run_dir(runs);
    let read = |name: &str| fs::read_to_string(run_dir.join("report").join(name)).unwrap();
    let mut of_test = 0;
    for path in fs::read_dir(run_dir.join("report/figures")).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|extension| extension == "svg") {
            let text = fs::read_to_string(&path).unwrap();
            let panels = text.matches(">test accuracy").count() - text.matches(">test accuracy on").count();
            assert_eq!(text.matches(SAID).count(), panels, "{name}: each panel of test images, and no other");
            of_test += usize::from(panels > 0);
        }
    }
    assert!(of_test >= 3, "by size, at checkpoints, while training: {of_test}");
    let page = read("report.md");
    for (before, table) in [("## Verdicts", "| arm | verdict |"), ("## Results by arm", "| arm | round |")] {
        let part = &page[page.find(before).unwrap()..];
        let after = part.find(table).unwrap();
        assert!(part[..after + 2000.min(part.len() - after)].contains(SAID), "{before}: {part}");
    }
    assert_eq!(page.matches(SAID).count(), 2 + of_test, "{page}");
    assert_eq!(read("index.html").matches("<figcaption>").count(), read("report.md").matches("![").count());

    run_well(SMOKE, runs, &["replicates=1", "name=whole"]);
    let both = of_words(&["compare", "part", "whole"], runs);
    let name = run_dir.file_name().unwrap().to_str().unwrap();
    assert!(both.ends_with(&format!("means over n trainings\n{name}: t{SAID}\n")), "{both}");
    assert!(!of_words(&["show", "whole"], runs).contains("test images"));
    let out = folder.path().join("both");
    of_words(&["report", "part", "whole", "--out", out.to_str().unwrap()], runs);
    let together = fs::read_to_string(out.join("figures/runs_winning_ticket.svg")).unwrap();
    assert!(together.contains(&format!("{name}: t{SAID}")), "{together}");
}

#[test]
fn partial_test_file_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let record = [&[3][..], &[128; 3072]].concat();
    lth::system::files::write(&folder.path().join("cifar10/test_batch.bin"), &record.repeat(7)).unwrap();
    let value = serde_json::json!({ "dataset": "cifar10", "dir": folder.path() });
    let (source, _) = inspect(&serde_json::from_value::<DataConfig>(value).unwrap()).unwrap();
    assert_eq!((source.test_images, source.whole_test_images), (7, 10_000));
    assert!(source.note.unwrap().contains("holds 7 of the 10000 test images of `cifar10`"));
}
