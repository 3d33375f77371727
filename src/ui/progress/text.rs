//! What happens, in words; in fewer of them where the window is narrow.

use crate::base::format::{accuracy, percent, with_thousands};
use crate::base::outcome::Outcome;
use crate::runner::{Event, TrainingId, TrainingResult};

/// A label that is cut to less than this tells nothing.
const MIN_LABEL_WIDTH: usize = 14;

/// The header of a run.
pub(super) fn header(event: &Event<'_>) -> Option<String> {
    let Event::RunStarted { experiment, trainings, stored, iterations, workers, engine, view, .. } = event else {
        return None;
    };
    let to_do = if *iterations == 0 {
        "nothing to train".to_owned()
    } else {
        format!("{} iterations to go, {engine}, {workers} at a time", with_thousands(*iterations))
    };
    let stored = if *stored > 0 { format!(", {stored} of them in the store") } else { String::new() };
    Some(format!("{experiment}: {trainings} trainings{stored}; {to_do}\n  into {}", view.display()))
}

/// One line about a training that has ended.
pub(super) fn ended(label: &TrainingId, result: &TrainingResult, ended: usize, trainings: usize) -> String {
    let what = match &result.outcome {
        Outcome::Done => {
            let test = test(result).map_or_else(String::new, |test| format!("test {test}"));
            let seconds = result.seconds.map_or_else(String::new, |s| format!(" ({s:.1} s)"));
            format!("{test}{seconds}")
        }
        Outcome::Diverged { iteration } => {
            format!("diverged: its loss or a weight is no finite number at iteration {}", with_thousands(*iteration))
        }
        Outcome::Failed { cause } => format!("failed: {cause}"),
        Outcome::Blocked { by } => format!("blocked by {}", by.short()),
    };
    format!("{} {label}: {} left, {what}", number(ended, trainings), percent(result.weights_remaining))
}

/// The same for a window of `width` columns: one line with what fits of it. Several where something went wrong, which is
/// told whole, or where not even the essential fits.
pub(super) fn ended_within(
    width: usize,
    label: &TrainingId,
    result: &TrainingResult,
    ended: usize,
    trainings: usize,
) -> String {
    let full = crate::ui::progress::text::ended(label, result, ended, trainings);
    let Some(test) = test(result) else { return wrapped(&full, width) };
    let (number, short) = (number(ended, trainings), short(label));
    let left = percent(result.weights_remaining);
    let room = width.saturating_sub(columns(&number) + columns(&test) + 3);
    let shortest = format!("{number} {short}: {test}");
    let forms = [
        full,
        format!("{number} {label}: {left} left, test {test}"),
        format!("{number} {short}: {left} left, test {test}"),
        format!("{number} {short}: test {test}"),
        shortest.clone(),
    ];
    let fits = forms.into_iter().find(|form| columns(form) <= width);
    fits.unwrap_or_else(|| match room {
        0..MIN_LABEL_WIDTH => wrapped(&shortest, width.max(columns(&number))),
        _ => format!("{number} {}: {test}", cut_label(label, room)),
    })
}

fn number(ended: usize, trainings: usize) -> String {
    let width = trainings.to_string().len();
    format!("[{ended:>width$}/{trainings}]")
}

/// The test accuracy after the last iteration.
fn test(result: &TrainingResult) -> Option<String> {
    let last = result.last.filter(|_| result.outcome == Outcome::Done)?;
    Some(format!("{} %", accuracy(last.test.accuracy)))
}

/// A label in a narrow window: `winning_ticket r2 rep3`, `rep3.2` for the second repeat, and `+3` for three others with it.
pub(super) fn short(label: &TrainingId) -> String {
    format!("{} {}", label.arm, numbers(label))
}

/// A label in `room` columns: the arm's name is cut first, since the numbers tell the trainings of an arm apart.
pub(super) fn cut_label(label: &TrainingId, room: usize) -> String {
    let numbers = numbers(label);
    match room.checked_sub(columns(&numbers) + 1) {
        Some(left) if left >= 2 => format!("{} {numbers}", cut(&label.arm, left)),
        _ => cut(&numbers, room),
    }
}

fn numbers(label: &TrainingId) -> String {
    let repeat = if label.repeat > 1 { format!(".{}", label.repeat) } else { String::new() };
    let others = if label.other_lanes > 0 { format!(" +{}", label.other_lanes) } else { String::new() };
    format!("r{} rep{}{repeat}{others}", label.round, label.replicate)
}

/// The first line of a text, in no more than `room` columns.
pub(super) fn cut(text: &str, room: usize) -> String {
    let text = text.lines().next().unwrap_or_default();
    if columns(text) <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain((room > 0).then_some('…')).collect()
}

/// The columns of a text: names and numbers here have one for each character.
pub(super) fn columns(text: &str) -> usize {
    text.chars().count()
}

/// A text in lines of at most `width` columns, broken between words; a longer word is left to the terminal.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let mut now = indent.to_owned();
        for word in line.trim().split(' ') {
            if now.len() == indent.len() {
                now.push_str(word);
            } else if columns(&now) + 1 + columns(word) <= width {
                now = format!("{now} {word}");
            } else {
                lines.push(std::mem::replace(&mut now, format!("{indent}  {word}")));
            }
        }
        lines.push(now);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::curve::{Evaluation, Score};

    #[test]
    fn a_line_for_every_width() {
        let label = TrainingId { arm: "random_reinit".into(), replicate: 3, repeat: 2, round: 12, other_lanes: 0 };
        let test = Score { loss: 0.1, accuracy: 0.9435 };
        let last = Some(Evaluation { iteration: 1, train: Score::default(), validation: Score::default(), test });
        let result = TrainingResult { outcome: Outcome::Done, weights_remaining: 0.0358, last, seconds: Some(3.25) };
        let line = |width| ended_within(width, &label, &result, 7, 57);
        for width in 15..100 {
            assert!(line(width).lines().all(|line| columns(line) <= width), "{}", line(width));
            assert_eq!(line(width).ends_with(')'), width >= 85, "{}", line(width));
        }
        assert_eq!(line(100), "[ 7/57] random_reinit round 12 replicate 3 repeat 2: 3.58% left, test 94.35 % (3.2 s)");
        assert_eq!(line(80), "[ 7/57] random_reinit round 12 replicate 3 repeat 2: 3.58% left, test 94.35 %");
        assert_eq!(line(60), "[ 7/57] random_reinit r12 rep3.2: 3.58% left, test 94.35 %");
        assert_eq!(line(40), "[ 7/57] random_rein… r12 rep3.2: 94.35 %");
        assert_eq!(line(20), "[ 7/57]\n  random_reinit r12\n  rep3.2: 94.35 %");
        let group = TrainingId { other_lanes: 3, ..label.clone() };
        assert_eq!(group.to_string(), "random_reinit round 12 replicate 3 repeat 2 and 3 more");
        assert_eq!(
            (short(&group).as_str(), cut_label(&group, 20).as_str()),
            ("random_reinit r12 rep3.2 +3", "rando… r12 rep3.2 +3")
        );
        let failed =
            TrainingResult { outcome: Outcome::Failed { cause: "no space left on the disk".into() }, ..result };
        let text = ended_within(40, &label, &failed, 7, 57);
        assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), super::ended(&label, &failed, 7, 57));
        assert!(text.lines().all(|line| columns(line) <= 40), "what went wrong is told whole: {text}");
    }

    #[test]
    fn words_are_wrapped() {
        assert_eq!(wrapped("a bb ccc\n  into dd/ee ff", 8), "a bb ccc\n  into\n    dd/ee\n    ff");
        assert_eq!(wrapped("", 8), "");
        assert_eq!([cut("abcdef", 4), cut("abcd", 4), cut("abc", 0)], ["abc…", "abcd", ""]);
    }
}
