//! Names of experiments and arms that other programs misread: they are written to every CSV file and used in shells.

use super::experiment::{Experiment, MAX_NAME_LENGTH};
use super::mistakes::diagnostic::Diagnostic;

/// Texts that pandas reads as missing values by default, among those that consist of characters allowed in names:
/// `groupby` drops such rows.
const MISSING: [&str; 3] = ["nan", "null", "-nan"];

/// Texts that pandas and R read as a boolean.
const BOOLEAN: [&str; 2] = ["true", "false"];

/// Texts that pandas, R and others read as a number, besides digits.
const INFINITE: [&str; 2] = ["inf", "infinity"];

/// Returns the mistakes of the names of the experiment and its arms that other programs misread. Not part of reading a
/// configuration, because the files of older runs may have such names.
pub fn check_names(experiment: &Experiment) -> Vec<Diagnostic> {
    let experiment_name = check_name("name", "the experiment's name", &experiment.name, "run");
    let arm_names = experiment.arms.0.iter().filter_map(|(name, _)| {
        let key = format!("arms.{name}");
        // Folders and files are named after arms too.
        let too_long = (name.len() > MAX_NAME_LENGTH)
            .then(|| Diagnostic::new(&key, format!("an arm name must not be longer than {MAX_NAME_LENGTH} letters")));
        let diagnostic = too_long.or_else(|| check_name(&key, "the arm name", name, "arm"))?;
        Some(diagnostic.on_key())
    });
    experiment_name.into_iter().chain(arm_names).collect()
}

/// Returns the mistake of a name that other programs misread. `subject`: the noun for the name; `prefix`: the prefix
/// of the name that the hint shows.
fn check_name(key: &str, subject: &str, name: &str, prefix: &str) -> Option<Diagnostic> {
    let reason = misread(name)?;
    let example = alternative(name, prefix);
    Some(Diagnostic::new(key, format!("{subject} `{name}` {reason}")).hint(format!("such as `{example}`")))
}

/// Returns how other programs misread a name; `None` if they do not.
fn misread(name: &str) -> Option<&'static str> {
    if MISSING.contains(&name) {
        Some("is a missing value to pandas, which leaves its rows out")
    } else if name.starts_with('-') {
        Some("begins with `-`, as options of a command line do")
    } else if BOOLEAN.contains(&name) {
        Some("would be read as true or false by pandas and R")
    } else if INFINITE.contains(&name) || is_number(name) {
        Some("is a number to pandas and R, and no text")
    } else {
        None
    }
}

/// Returns whether a name of lower-case letters, digits, `_` and `-` is a number: digits with or without an exponent, or
/// hexadecimal.
fn is_number(name: &str) -> bool {
    let consists_of =
        |digits: &str, is_digit: fn(&u8) -> bool| !digits.is_empty() && digits.bytes().all(|byte| is_digit(&byte));
    let is_decimal = |digits: &str| consists_of(digits, u8::is_ascii_digit);
    match (name.strip_prefix("0x"), name.split_once('e')) {
        (Some(digits), _) => consists_of(digits, u8::is_ascii_hexdigit),
        (None, Some((mantissa, exponent))) => {
            is_decimal(mantissa) && is_decimal(exponent.strip_prefix('-').unwrap_or(exponent))
        }
        (None, None) => is_decimal(name),
    }
}

/// Returns a name like `name` that no program misreads.
fn alternative(name: &str, prefix: &str) -> String {
    // Arms have no hyphens.
    let bare = name.trim_start_matches('-').replace('-', "_");
    if !bare.is_empty() && misread(&bare).is_none() { bare } else { format!("{prefix}_{bare}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_names_refuses_names_that_pandas_and_r_misread() {
        let refused =
            ["nan", "null", "-nan", "-x", "-", "true", "false", "inf", "-inf", "12", "007", "1e5", "1e-5", "0x1f"];
        for name in refused {
            assert!(misread(name).is_some(), "{name}");
            let example = alternative(name, "arm");
            assert_eq!(misread(&example), None, "{name}: {example}");
            assert!(
                !example.is_empty()
                    && example.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            );
        }
        let fine =
            ["none", "na", "n-a", "yes", "con", "nul", "lenet", "1e", "e5", "2024-05-01", "3d", "0x", "1_000", "a-"];
        for name in fine {
            assert_eq!(misread(name), None, "{name}");
        }
        assert_eq!((alternative("-x", "run"), alternative("12", "run")), ("x".into(), "run_12".into()));
    }
}
