//! Names of experiments and arms that other programs do not read as names: they stand in every CSV file and in shells.

use super::diagnostic::Diagnostic;
use super::experiment::Experiment;

/// The texts that pandas reads as missing values by default, those that consist of characters allowed in names only:
/// `groupby` drops such rows.
const MISSING: [&str; 3] = ["nan", "null", "-nan"];

/// What pandas and R read as a truth value.
const TRUTH: [&str; 2] = ["true", "false"];

/// What pandas, R and others read as a number, besides digits.
const INFINITE: [&str; 2] = ["inf", "infinity"];

/// The names of an experiment and its arms that other programs misread. Files of older runs may have such names, so this
/// is no part of reading a configuration.
pub fn check_names(experiment: &Experiment) -> Vec<Diagnostic> {
    let of_experiment = problem("name", "the experiment's name", &experiment.name, "run").into_iter();
    let of_arm = |name: &String| {
        let problem = problem(&format!("arms.{name}"), "the arm name", name, "arm")?;
        Some(problem.on_key())
    };
    of_experiment.chain(experiment.arms.0.iter().filter_map(|(name, _)| of_arm(name))).collect()
}

fn problem(key: &str, what: &str, name: &str, prefix: &str) -> Option<Diagnostic> {
    let reason = misread(name)?;
    let instead = instead_of(name, prefix);
    Some(Diagnostic::new(key, format!("{what} `{name}` {reason}")).hint(format!("such as `{instead}`")))
}

/// How other programs misread a name; `None` where they do not.
fn misread(name: &str) -> Option<&'static str> {
    if MISSING.contains(&name) {
        Some("is a missing value to pandas, which leaves its rows out")
    } else if name.starts_with('-') {
        Some("begins with `-`, as options of a command line do")
    } else if TRUTH.contains(&name) {
        Some("would be read as true or false by pandas and R")
    } else if INFINITE.contains(&name) || is_number(name) {
        Some("is a number to pandas and R, and no text")
    } else {
        None
    }
}

/// Whether a name of small letters, digits, `_` and `-` is a number: digits with an exponent or without, or hexadecimal.
fn is_number(name: &str) -> bool {
    let all = |digits: &str, fits: fn(&u8) -> bool| !digits.is_empty() && digits.bytes().all(|byte| fits(&byte));
    let is_decimal = |digits: &str| all(digits, u8::is_ascii_digit);
    match (name.strip_prefix("0x"), name.split_once('e')) {
        (Some(digits), _) => all(digits, u8::is_ascii_hexdigit),
        (None, Some((mantissa, exponent))) => {
            is_decimal(mantissa) && is_decimal(exponent.strip_prefix('-').unwrap_or(exponent))
        }
        (None, None) => is_decimal(name),
    }
}

/// A name like `name` that no program misreads.
fn instead_of(name: &str, prefix: &str) -> String {
    // Arms have no hyphens.
    let bare = name.trim_start_matches('-').replace('-', "_");
    if !bare.is_empty() && misread(&bare).is_none() { bare } else { format!("{prefix}_{bare}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_pandas_and_r_misread() {
        let refused =
            ["nan", "null", "-nan", "-x", "-", "true", "false", "inf", "-inf", "12", "007", "1e5", "1e-5", "0x1f"];
        for name in refused {
            assert!(misread(name).is_some(), "{name}");
            let instead = instead_of(name, "arm");
            assert_eq!(misread(&instead), None, "{name}: {instead}");
            assert!(
                !instead.is_empty()
                    && instead.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            );
        }
        let fine =
            ["none", "na", "n-a", "yes", "con", "nul", "lenet", "1e", "e5", "2024-05-01", "3d", "0x", "1_000", "a-"];
        for name in fine {
            assert_eq!(misread(name), None, "{name}");
        }
        assert_eq!((instead_of("-x", "run"), instead_of("12", "run")), ("x".into(), "run_12".into()));
    }
}
