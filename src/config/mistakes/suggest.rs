//! The known name for a misspelt one.

/// Names in other programs, in lower case, each with the name of the same key or value in this program.
const ALIASES: [(&str, &str); 25] = [
    ("gpu", "cuda"),
    ("learning_rate", "lr"),
    ("epochs", "iterations"),
    ("steps", "iterations"),
    ("lenet", "lenet_300_100"),
    ("eval_every", "evaluate_every"),
    ("scheduler", "schedule"),
    ("warmup_steps", "warmup"),
    ("max_grad_norm", "clip_norm"),
    ("epoch", "iterations"),
    ("iters", "iterations"),
    ("batch", "batch_size"),
    ("bs", "batch_size"),
    ("wd", "weight_decay"),
    ("reps", "replicates"),
    ("arch", "architecture"),
    ("model", "architecture"),
    ("xavier", "glorot_normal"),
    ("xavier_normal", "glorot_normal"),
    ("xavier_uniform", "glorot_uniform"),
    ("glorot", "glorot_normal"),
    ("he", "kaiming_normal"),
    ("he_normal", "kaiming_normal"),
    ("he_uniform", "kaiming_uniform"),
    ("kaiming", "kaiming_normal"),
];

/// Largest length of a word that may be a misspelt name, in bytes.
const MAX_WORD: usize = 100;

/// Returns the candidate that `word` probably means: by its name in another program, or with at most one typing error for
/// every three characters. Capitals and hyphens in `word` do not count as errors. A word of one letter means only
/// itself.
pub fn closest_match<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    if word.len() > MAX_WORD {
        return None;
    }
    let plain = word.to_lowercase().replace('-', "_");
    let is_alias = |&&(alias, name): &&(&str, &str)| alias == plain && candidates.contains(&name);
    if let Some((_, name)) = ALIASES.iter().find(is_alias) {
        return candidates.iter().copied().find(|candidate| candidate == name);
    }
    let length = word.chars().count();
    let allowed = (length / 3).max(1).min(length.saturating_sub(1));
    let rank = |candidate: &'a str| {
        let distance = edit_distance(word, candidate);
        (distance.min(edit_distance(&plain, candidate)), distance, candidate)
    };
    let (distance, _, nearest) = candidates.iter().map(|&candidate| rank(candidate)).min()?;
    (distance <= allowed).then_some(nearest)
}

/// Returns the number of edits that turn `a` into `b`: a character inserted, deleted or replaced, or two neighbours
/// swapped (the optimal string alignment distance).
fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    // `rows[i][j]` is the distance between the first i characters of `a` and the first j of `b`.
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(row[j - 1] + 1).min(rows[i - 1][j] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closest_match_is_an_alias_or_near() {
        assert_eq!(closest_match("batchsize", &["lr", "batch_size", "iterations"]), Some("batch_size"));
        assert_eq!(closest_match("adamW", &["adam", "adamw"]), Some("adamw"));
        assert_eq!(closest_match("xyz", &["lr", "batch_size"]), None);
        assert_eq!(closest_match("MNIST", &["strokes", "mnist"]), Some("mnist"));
        assert_eq!(closest_match("batch-size", &["lr", "batch_size"]), Some("batch_size"));
        assert_eq!(closest_match("Xavier", &["glorot_normal", "normal"]), Some("glorot_normal"));
        assert_eq!(closest_match("e", &["b", "bn"]), None, "names of one letter have nothing in common");
        assert_eq!(closest_match("minst", &["strokes", "mnist"]), Some("mnist"));
        assert_eq!(
            (closest_match("gpu", &["cpu", "cuda"]), closest_match("gpu", &["cpu"])),
            (Some("cuda"), Some("cpu"))
        );
    }

    #[test]
    fn edit_distance_of_known_words() {
        assert_eq!((edit_distance("kitten", "sitting"), edit_distance("", "ab"), edit_distance("ab", "ba")), (3, 2, 1));
    }
}
