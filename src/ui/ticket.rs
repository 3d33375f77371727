//! The texts of `lth ticket`.

use super::table::{printable, render};
use crate::artifacts::{
    InferenceTiming, Ticket, TicketCheck, TicketLayer, TicketOrigin, TicketScore, TicketSizes, VerifiedScore,
    WeightHistogram,
};
use crate::base::format::{accuracy, count_of, percent, with_thousands};
use crate::report::{Cell, Table};

/// Returns what a ticket's file contains: the training run, the layers, the accuracies and the checks. `layers` and
/// `checks`: those of the ticket.
pub fn ticket(ticket: &Ticket, layers: &[TicketLayer], checks: &[TicketCheck]) -> String {
    let compact = "compact file: without dead units, and without starting weights\n";
    let compact = if ticket.info.is_compact { compact } else { "" };
    [
        origin(&ticket.info.training),
        compact.to_owned(),
        String::from("\n"),
        render(&layer_table(layers)),
        String::from(
            "dead: units without effect on the outputs (`lth ticket compact` removes them); -: the units stay\n",
        ),
        String::from("histograms: kept weights from the smallest to the largest bin of ± limit\n\n"),
        render(&score_table(&ticket.info.scores)),
        String::from("\n"),
        check_lines(checks),
    ]
    .concat()
}

/// Returns a line for each check.
fn check_lines(checks: &[TicketCheck]) -> String {
    let line = |check: &TicketCheck| format!("{}: {}\n", if check.passed { "passed" } else { "FAILED" }, check.name);
    checks.iter().map(line).collect()
}

/// Returns the scores of a ticket that was evaluated again, and the checks of its file.
pub fn ticket_verification(scores: &[VerifiedScore], checks: &[TicketCheck]) -> String {
    let mut table = Table::new(["split", "images", "accuracy % in file", "found", "loss in file", "found", "result"]);
    let loss = |loss: f64| Cell::number(format!("{loss:.6}"));
    let row = |score: &VerifiedScore| {
        vec![
            Cell::text(score.split),
            Cell::number(with_thousands(score.images.into())),
            score.recorded_accuracy.map_or(Cell::Missing, |share| Cell::number(accuracy(share))),
            Cell::number(accuracy(score.accuracy)),
            score.recorded_loss.map_or(Cell::Missing, loss),
            loss(score.loss),
            Cell::text(if score.agrees { "agrees" } else { "DIFFERS" }),
        ]
    };
    table.rows = scores.iter().map(row).collect();
    render(&table) + "\n" + &check_lines(checks)
}

/// Returns the sizes of a ticket before and after the units without effect are removed.
pub fn ticket_sizes(sizes: &TicketSizes) -> String {
    let mut table = Table::new(["stored as", "bytes", "of dense", "what is stored"]);
    let share = |bytes: u64| percent(bytes as f64 / sizes.dense_bytes as f64);
    let row = |name: &str, bytes: u64, contents: &str| {
        vec![Cell::text(name), Cell::number(with_thousands(bytes)), Cell::number(share(bytes)), Cell::text(contents)]
    };
    table.rows = vec![
        row("dense", sizes.dense_bytes, "every weight in float32"),
        row("masked", sizes.masked_bytes, "every weight, and a bit for each: kept or pruned"),
        row("compact", sizes.compact_bytes, "kept weights and the gaps between them"),
        row("compact file", sizes.file_bytes, "with the description of the ticket"),
    ];
    let TicketSizes { units, dead_units, weights_before, weights_kept, weights_total, .. } = *sizes;
    let [units, dead_units, before, kept, total] =
        [units, dead_units, weights_before, weights_kept, weights_total].map(with_thousands);
    format!(
        "{}removed {dead_units} of {units} units; {kept} of {before} kept weights stay, in tensors of {total} weights\n",
        render(&table)
    )
}

/// Returns the table of the times of inference, with the `conclusions` below it. `machine`: what they were measured on.
pub fn inference_timings(timings: &[InferenceTiming], conclusions: &[String], machine: &str) -> String {
    let mut table = Table::new(["images at a time", "form", "ms per batch", "images per second", "time / dense"]);
    let row = |timing: &InferenceTiming| {
        let [ratio, low, high] = timing.ratio;
        let [median, shortest, longest] = [timing.seconds, timing.shortest, timing.longest].map(|t| t * 1e3);
        vec![
            Cell::number(with_thousands(timing.batch as u64)),
            Cell::text(timing.form),
            Cell::number(format!("{median:.3} ({shortest:.3}–{longest:.3})")),
            Cell::number(with_thousands(timing.images_per_second as u64)),
            Cell::number(format!("{ratio:.2} ({low:.2}–{high:.2})")),
        ]
    };
    table.rows = timings.iter().map(row).collect();
    let lines = conclusions.join("\n") + "\n";
    format!(
        "{}median (shortest–longest) of a batch; time / dense: median (10th–90th percentile) in turns; {}\n{lines}",
        render(&table),
        printable(machine)
    )
}

/// Returns a sentence for each batch: whether the fastest form that uses the sparsity is faster than the dense network,
/// by more than the masked form, which computes the same, differs from it.
pub fn inference_conclusions(timings: &[InferenceTiming]) -> Vec<String> {
    let mut batches: Vec<usize> = timings.iter().map(|timing| timing.batch).collect();
    batches.dedup();
    let conclusion = |batch: usize| {
        let of_batch = || timings.iter().filter(move |timing| timing.batch == batch);
        let [_, least, most] = of_batch().find(|timing| timing.form == InferenceTiming::MASKED)?.ratio;
        let uses_sparsity =
            |timing: &&InferenceTiming| ![InferenceTiming::DENSE, InferenceTiming::MASKED].contains(&timing.form);
        let best = of_batch().filter(uses_sparsity).min_by(|a, b| a.ratio[0].total_cmp(&b.ratio[0]))?;
        let images = count_of(batch as u64, "image");
        let InferenceTiming { form, ratio: [ratio, low, high], .. } = *best;
        Some(if high < least.min(1.0) {
            format!("{images} at a time: sparsity pays, {form} takes {ratio:.2} of the dense time")
        } else if low > most.max(1.0) {
            format!(
                "{images} at a time: sparsity does not pay, the best form ({form}) takes {ratio:.2} of the dense time"
            )
        } else {
            format!(
                "{images} at a time: not decided, {form} takes {ratio:.2} ({low:.2}–{high:.2}) of the dense time, and \
                 masked, which computes the same as dense, {least:.2} to {most:.2}; `--samples` repeats it more often"
            )
        })
    };
    batches.into_iter().filter_map(conclusion).collect()
}

/// Returns the lines about the training run of a ticket.
fn origin(training: &TicketOrigin) -> String {
    let TicketOrigin { arm, round, replicate, repeat, experiment, run, engine, device, .. } = training;
    let share = training.weights_kept as f64 / training.weights_total as f64;
    let hardware = training.hardware.as_deref().unwrap_or(device);
    let versions = training.versions.as_ref();
    let versions =
        versions.map_or_else(String::new, |versions| format!(", lth {}, libtorch {}", versions.lth, versions.libtorch));
    let text = format!(
        "{arm} round {round} replicate {replicate} repeat {repeat} of `{experiment}` (run {run})\n\
         {} of {} weights: {} (1/{:.1})\n\
         trained on {hardware} by the {engine} engine{versions}\n\
         key {}",
        with_thousands(training.weights_kept),
        with_thousands(training.weights_total),
        percent(share),
        1.0 / share,
        training.key,
    );
    text.lines().map(|line| printable(line) + "\n").collect()
}

fn layer_table(layers: &[TicketLayer]) -> Table {
    let mut table = Table::new(["layer", "kept", "weights", "density", "units", "dead", "limit", "start", "trained"]);
    let row = |layer: &TicketLayer| {
        vec![
            Cell::text(printable(&layer.layer)),
            Cell::number(with_thousands(layer.weights_kept)),
            Cell::number(with_thousands(layer.weights_total)),
            Cell::number(percent(layer.weights_kept as f64 / layer.weights_total as f64)),
            Cell::number(with_thousands(layer.units)),
            layer.dead_units.map_or_else(|| Cell::number("-"), |dead| Cell::number(with_thousands(dead))),
            Cell::number(format!("{:.3}", layer.trained.limit)),
            layer.start.as_ref().map_or(Cell::Missing, |start| Cell::text(bars(start))),
            Cell::text(bars(&layer.trained)),
        ]
    };
    table.rows = layers.iter().map(row).collect();
    table
}

/// Returns a histogram as a row of block characters, the fullest bin as the highest block.
fn bars(histogram: &WeightHistogram) -> String {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    // Two bins for each character.
    let counts: Vec<u64> = histogram.counts.chunks(2).map(|pair| pair.iter().sum()).collect();
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    counts.iter().map(|&count| BLOCKS[(count * 8).div_ceil(most) as usize]).collect()
}

fn score_table(scores: &[TicketScore]) -> Table {
    let mut table = Table::new(["weights", "iteration", "split", "images", "accuracy %", "loss"]);
    let row = |score: &TicketScore| {
        vec![
            Cell::text(printable(&score.weights)),
            Cell::number(with_thousands(score.iteration)),
            Cell::text(printable(&score.split)),
            Cell::number(with_thousands(score.images.into())),
            Cell::number(accuracy(score.accuracy)),
            Cell::number(format!("{:.4}", score.loss)),
        ]
    };
    table.rows = scores.iter().map(row).collect();
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conclusions_compare_with_the_noise_of_the_masked_form() {
        let timing = |form, ratio| InferenceTiming { ratio, ..InferenceTiming::new(form, 64, &[1.0], &[1.0]) };
        let conclusion = |sparse| {
            let forms = [timing("dense", [1.0; 3]), timing("masked", [1.0, 0.9, 1.1]), timing("sparse", sparse)];
            inference_conclusions(&forms).remove(0)
        };
        assert!(conclusion([0.5, 0.4, 0.6]).contains("sparsity pays, sparse takes 0.50"));
        assert!(conclusion([0.9, 0.8, 0.95]).contains("not decided"));
        assert!(conclusion([1.5, 1.2, 1.6]).contains("sparsity does not pay"));
    }

    #[test]
    fn bars_of_a_histogram_by_hand() {
        let histogram = WeightHistogram { limit: 1.0, counts: vec![0, 0, 1, 0, 4, 4, 0, 16], std: 1.0 };
        assert_eq!(bars(&histogram), " ▁▄█");
        let empty = WeightHistogram { limit: 0.0, counts: vec![0; 4], std: 0.0 };
        assert_eq!(bars(&empty), "  ");
    }
}
