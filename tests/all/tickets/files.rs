//! The commands on ticket files.

use std::fs;

use lth::artifacts::Ticket;

use super::*;

#[test]
fn exported_ticket_has_what_the_store_has_and_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &[]);
    let path = export(runs, "winning_ticket", 2, "t.safetensors");
    let ticket = Ticket::from_bytes(&fs::read(&path).unwrap()).unwrap();

    let reader = lth::open_run(run_dir(runs)).unwrap();
    let is_row = |row: &&lth::artifacts::RoundRow| row.arm == "winning_ticket" && row.round == 2 && row.replicate == 1;
    let row = reader.rows().iter().find(is_row).unwrap();
    assert_eq!(ticket.mask, reader.mask(row).unwrap());
    assert_eq!(ticket.trained, reader.final_weights(row).unwrap());
    // The starting weights are θ₀ before the mask is applied, so that they serve other masks too.
    assert_eq!(ticket.start.as_ref().unwrap(), &reader.initial_weights(row).unwrap());
    assert_eq!(ticket.info.training.key.to_string(), row.key);
    let accuracy = |weights: &str, split: &str| {
        let is_score = |score: &&lth::artifacts::TicketScore| score.weights == weights && score.split == split;
        ticket.info.scores.iter().find(is_score).map(|score| score.accuracy)
    };
    assert_eq!(accuracy("final", "test"), row.final_test_accuracy);
    assert_eq!(accuracy("early_stop", "validation"), row.early_stop_validation_accuracy);

    let shown = ticket_ok(runs, &["show", path.to_str().unwrap()]);
    assert!(shown.contains("winning_ticket round 2 replicate 1") && shown.contains("linear1"), "{shown}");
    assert!(shown.contains("passed: the trained weights are those of the training run") && !shown.contains("FAILED"));
    let verified = ticket_ok(runs, &["verify", path.to_str().unwrap(), "--json"]);
    let verified: serde_json::Value = serde_json::from_str(&verified).unwrap();
    assert_eq!(verified["agrees"], true);
    for score in verified["scores"].as_array().unwrap() {
        assert_eq!((&score["accuracy"], &score["loss"]), (&score["recorded_accuracy"], &score["recorded_loss"]));
    }
}

#[test]
fn equal_tickets_have_equal_bytes_and_freed_weights_are_trained_again() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["run.keep=all"]);
    let kept = fs::read(export(runs, "winning_ticket", 1, "kept.safetensors")).unwrap();
    let key = Ticket::from_bytes(&kept).unwrap().info.training.key.to_string();
    fs::remove_file(runs.join("store").join(key).join("final.safetensors")).unwrap();
    let out = runs.join("again.safetensors");
    let args = ["export", "smoke", "--arm", "winning_ticket", "--round", "1", "--replicate", "1", "-o"];
    let output = ticket(runs, &[&args[..], &[out.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("1 training run to repeat, because weights were freed"), "{}", stderr(&output));
    assert_eq!(fs::read(out).unwrap(), kept);
}

#[test]
fn compact_ticket_has_the_same_outputs_in_fewer_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["prune.rate={linear=0.9,output=0.5}"]);
    let path = export(runs, "winning_ticket", 2, "t.safetensors");
    let small = runs.join("small.safetensors");
    let [path, small] = [path.to_str().unwrap(), small.to_str().unwrap()];
    let sizes = ticket_ok(runs, &["compact", path, "-o", small, "--json"]);
    let sizes: serde_json::Value = serde_json::from_str(&sizes).unwrap();
    let number = |name: &str| sizes["sizes"][name].as_u64().unwrap();
    assert!(number("dead_units") > 0 && number("weights_kept") < number("weights_before"), "{sizes}");
    assert!(number("compact_bytes") * 4 < number("dense_bytes"), "{sizes}");
    // The evaluation on every image agrees with that of the whole network.
    let verified = ticket_ok(runs, &["verify", small]);
    assert_eq!(verified.matches("agrees").count(), 3, "{verified}");
    let shown = ticket_ok(runs, &["show", small]);
    assert!(shown.contains("compact file"), "{shown}");
    let again = ticket_fails(runs, &["compact", path, "-o", small], 2);
    assert!(again.contains("exists") && again.contains("--force"), "{again}");
    ticket_ok(runs, &["compact", path, "-o", small, "--force"]);
    let timings = ticket_ok(runs, &["bench", path, "--samples", "3", "--json"]);
    let timings: serde_json::Value = serde_json::from_str(&timings).unwrap();
    let forms = timings["timings"].as_array().unwrap().iter().map(|timing| timing["form"].as_str().unwrap());
    assert_eq!(forms.collect::<Vec<_>>(), ["dense", "masked", "compact", "sparse"].repeat(3));
}

#[test]
fn one_file_takes_one_network_and_a_pattern_takes_several() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &[]);
    let one = runs.join("one.safetensors");
    let message = ticket_fails(runs, &["export", "smoke", "--arm", "winning_ticket", "-o", one.to_str().unwrap()], 2);
    assert!(message.contains("is one file for several of the 4") && message.contains("put `{round}`"), "{message}");
    let unknown =
        ticket_fails(runs, &["export", "smoke", "-o", runs.join("t_{rond}.safetensors").to_str().unwrap()], 2);
    assert!(unknown.contains("has `{rond}`, which stands for nothing"), "{unknown}");
    let repeats = runs.join("{arm}_{replicate}_{round}.safetensors");
    let repeats =
        ticket_fails(runs, &["export", "smoke", "--arm", "random_reinit", "-o", repeats.to_str().unwrap()], 2);
    assert!(repeats.contains("put `{repeat}` into the name"), "{repeats}");
    let pattern = runs.join("t_{replicate}_{round}.safetensors");
    ticket_ok(runs, &["export", "smoke", "--arm", "winning_ticket", "-o", pattern.to_str().unwrap()]);
    for (replicate, round) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        let bytes = fs::read(runs.join(format!("t_{replicate}_{round}.safetensors"))).unwrap();
        let training = Ticket::from_bytes(&bytes).unwrap().info.training;
        assert_eq!((training.replicate, training.round), (replicate, round));
    }
    let missing = ticket_fails(runs, &["export", "smoke", "--replicate", "9", "-o", one.to_str().unwrap()], 2);
    assert!(missing.contains("no training run of"), "{missing}");
    let nowhere = runs.join("none/t.safetensors");
    let args = ["export", "smoke", "--arm", "dense", "--replicate", "1", "-o", nowhere.to_str().unwrap()];
    assert!(ticket_fails(runs, &args, 2).contains("a folder that does not exist"));
}
