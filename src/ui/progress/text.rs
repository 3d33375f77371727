//! Events as text, shortened for narrow windows.

use crate::base::format::{accuracy, count_of, percent, with_thousands};
use crate::base::outcome::Outcome;
use crate::runner::{Event, TrainingId, TrainingResult};

/// Smallest width of a cut label, in columns: a shorter label could not be recognized.
const MIN_CUT_LABEL_WIDTH: usize = 14;

/// Returns the header of a run; `None` for events other than [`Event::RunStarted`].
pub(super) fn header(event: &Event<'_>) -> Option<String> {
    let Event::RunStarted { experiment, trainings, stored, iterations, workers, engine_text, run_dir, .. } = event
    else {
        return None;
    };
    let to_do = if *iterations == 0 {
        "nothing to train".to_owned()
    } else {
        let workers = count_of(*workers as u64, "worker");
        format!("{} iterations to go\n  {workers}, {engine_text}", with_thousands(*iterations))
    };
    let stored = if *stored > 0 { format!(", {stored} of them in the store") } else { String::new() };
    let trainings = count_of(*trainings as u64, "training run");
    Some(format!("{experiment}: {trainings}{stored}; {to_do}\n  into {}", run_dir.display()))
}

/// Returns how many training runs have ended, of how many: `[ 7/57]`, or for repeated ones `[repeated  3/18]`. Empty for
/// other events than [`Event::Ended`].
pub(super) fn count(event: &Event<'_>) -> String {
    let fraction = |ended: usize, all: usize| format!("{ended:>width$}/{all}", width = all.to_string().len());
    match event {
        Event::Ended { repeats: Some(repeats), .. } => format!("[repeated {}]", fraction(repeats.ended, repeats.all)),
        Event::Ended { ended, trainings, .. } => format!("[{}]", fraction(*ended, *trainings)),
        _ => String::new(),
    }
}

/// Returns the line about waiting for another process, which trains what this one needs.
pub(super) fn waiting(holder: &str, remaining: usize) -> String {
    let remain = if remaining == 1 { "remains" } else { "remain" };
    format!("waiting for {holder}; {} {remain}", count_of(remaining as u64, "training run"))
}

/// Returns the line about a training run that has ended, after its [`count`].
pub(super) fn ended(count: &str, label: &TrainingId, result: &TrainingResult) -> String {
    let outcome = match &result.outcome {
        Outcome::Done => {
            let test = test_accuracy(result).map_or_else(String::new, |accuracy| format!("test {accuracy}"));
            let seconds = result.seconds.map_or_else(String::new, |s| format!(" ({s:.1} s)"));
            format!("{test}{seconds}")
        }
        Outcome::Diverged { iteration } => {
            format!("diverged: non-finite loss or weight at iteration {}", with_thousands(*iteration))
        }
        Outcome::Failed { cause } => format!("failed: {cause}"),
        Outcome::Blocked { by } => format!("blocked by {}", by.short()),
    };
    format!("{count} {label}: {} remaining, {outcome}", percent(result.weights_remaining))
}

/// Like [`ended`], but for a window of `width` columns: one line, in the longest form that fits. Failures are wrapped
/// to several lines and never shortened; the shortest form is wrapped too if it does not fit.
pub(super) fn ended_within(width: usize, count: &str, label: &TrainingId, result: &TrainingResult) -> String {
    let full = ended(count, label, result);
    let Some(test) = test_accuracy(result) else { return wrapped(&full, width) };
    let short = short(label);
    let remaining = percent(result.weights_remaining);
    let label_width = width.saturating_sub(columns(count) + columns(&test) + 3);
    let shortest = format!("{count} {short}: {test}");
    let forms = [
        full,
        format!("{count} {label}: {remaining} remaining, test {test}"),
        format!("{count} {short}: {remaining} remaining, test {test}"),
        format!("{count} {short}: test {test}"),
        shortest.clone(),
    ];
    let fitting = forms.into_iter().find(|form| columns(form) <= width);
    fitting.unwrap_or_else(|| match label_width {
        0..MIN_CUT_LABEL_WIDTH => wrapped(&shortest, width.max(columns(count))),
        _ => format!("{count} {}: {test}", cut_label(label, label_width)),
    })
}

/// Returns the test accuracy after the last iteration; `None` unless the training run is done.
fn test_accuracy(result: &TrainingResult) -> Option<String> {
    let last = result.last.filter(|_| result.outcome == Outcome::Done)?;
    Some(format!("{}%", accuracy(last.test.accuracy)))
}

/// Returns the short form of a label: `winning_ticket r2 rep3`, with `rep3.2` for the second repeat and `+3` for three
/// other lanes.
pub(super) fn short(label: &TrainingId) -> String {
    format!("{} {}", label.arm, short_numbers(label))
}

/// Returns a label in `width` columns. The name of the arm is cut first, since the numbers distinguish the training
/// runs of an arm.
pub(super) fn cut_label(label: &TrainingId, width: usize) -> String {
    let numbers = short_numbers(label);
    match width.checked_sub(columns(&numbers) + 1) {
        Some(arm_width) if arm_width >= 2 => format!("{} {numbers}", cut(&label.arm, arm_width)),
        _ => cut(&numbers, width),
    }
}

/// Returns round, replicate, repeat and other lanes of a label in short form.
fn short_numbers(label: &TrainingId) -> String {
    let repeat = if label.repeat > 1 { format!(".{}", label.repeat) } else { String::new() };
    let others = if label.other_lanes > 0 { format!(" +{}", label.other_lanes) } else { String::new() };
    format!("r{} rep{}{repeat}{others}", label.round, label.replicate)
}

/// Returns the first line of a text, cut to `width` columns with an ellipsis.
pub(super) fn cut(text: &str, width: usize) -> String {
    let text = text.lines().next().unwrap_or_default();
    if columns(text) <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain((width > 0).then_some('…')).collect()
}

/// Returns the number of columns of a text: one per character, which is true of all names and numbers in these texts.
pub(super) fn columns(text: &str) -> usize {
    text.chars().count()
}

/// Returns a text in lines of at most `width` columns, broken between words. A longer word stays whole, and the
/// terminal wraps it.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let mut current = indent.to_owned();
        for word in line.trim().split(' ') {
            if current.len() == indent.len() {
                current.push_str(word);
            } else if columns(&current) + 1 + columns(word) <= width {
                current = format!("{current} {word}");
            } else {
                lines.push(std::mem::replace(&mut current, format!("{indent}  {word}")));
            }
        }
        lines.push(current);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::curve::{Evaluation, Score};

    #[test]
    fn ended_line_fits_every_width() {
        let label = TrainingId { arm: "random_reinit".into(), replicate: 3, repeat: 2, round: 12, other_lanes: 0 };
        let test = Score { loss: 0.1, accuracy: 0.9435 };
        let last = Some(Evaluation { iteration: 1, train: Score::default(), validation: Score::default(), test });
        let result = TrainingResult { outcome: Outcome::Done, weights_remaining: 0.0358, last, seconds: Some(3.25) };
        let line = |width| ended_within(width, "[ 7/57]", &label, &result);
        for width in 15..100 {
            assert!(line(width).lines().all(|line| columns(line) <= width), "{}", line(width));
            assert_eq!(line(width).ends_with(')'), width >= 89, "{}", line(width));
        }
        assert_eq!(
            line(100),
            "[ 7/57] random_reinit round 12 replicate 3 repeat 2: 3.58% remaining, test 94.35% (3.2 s)"
        );
        assert_eq!(line(81), "[ 7/57] random_reinit round 12 replicate 3 repeat 2: 3.58% remaining, test 94.35%");
        assert_eq!(line(62), "[ 7/57] random_reinit r12 rep3.2: 3.58% remaining, test 94.35%");
        assert_eq!(line(40), "[ 7/57] random_reinit r12 rep3.2: 94.35%");
        assert_eq!(line(20), "[ 7/57]\n  random_reinit r12\n  rep3.2: 94.35%");
        let group = TrainingId { other_lanes: 3, ..label.clone() };
        assert_eq!(group.to_string(), "random_reinit round 12 replicate 3 repeat 2 and 3 more");
        assert_eq!(
            (short(&group).as_str(), cut_label(&group, 20).as_str()),
            ("random_reinit r12 rep3.2 +3", "rando… r12 rep3.2 +3")
        );
        let failed =
            TrainingResult { outcome: Outcome::Failed { cause: "no space left on the disk".into() }, ..result };
        let text = ended_within(40, "[ 7/57]", &label, &failed);
        assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), super::ended("[ 7/57]", &label, &failed));
        assert!(text.lines().all(|line| columns(line) <= 40), "the cause of a failure is not shortened: {text}");
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrapped("a bb ccc\n  into dd/ee ff", 8), "a bb ccc\n  into\n    dd/ee\n    ff");
        assert_eq!(wrapped("", 8), "");
        assert_eq!([cut("abcdef", 4), cut("abcd", 4), cut("abc", 0)], ["abc…", "abcd", ""]);
    }
}
