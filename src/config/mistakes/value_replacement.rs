//! The replacement of a value of the wrong type: only a value that was tried, and that the configuration accepts.

use serde_json::Value;

use super::diagnostic::{Diagnostic, DiagnosticKind};
use super::replacement::{Syntax, replacements};
use crate::config::deserialize::is_accepted;
use crate::config::document::{ConfigDocument, Origin};
use crate::config::set::set_value;
use crate::config::value_path;

/// Sets the hint of a diagnostic about a wrong value: to a value of another type that is accepted in its place, or, for
/// a value from `--set`, to the option or the loop that was probably meant. Other hints stay.
pub(in crate::config) fn set_replacement_hint(diagnostic: &mut Diagnostic, document: &ConfigDocument) {
    if !matches!(diagnostic.kind, DiagnosticKind::WrongType | DiagnosticKind::UnknownValue) {
        return;
    }
    let mut root = document.root.clone();
    let Some(value) = value_path::get_mut(&mut root, &diagnostic.key).map(|value| value.clone()) else { return };
    let mut accepts = |candidate: Value| {
        if let Some(slot) = value_path::get_mut(&mut root, &diagnostic.key) {
            *slot = candidate;
        }
        is_accepted(&root, &diagnostic.key)
    };
    let is_set = matches!(document.exact_origin(&diagnostic.key), Some(Origin::Set(_)));
    // `1,000` is a number with a separator, and `0,1` one with a decimal comma, rather than two values.
    let candidates = if diagnostic.kind == DiagnosticKind::WrongType { candidates(&value) } else { Vec::new() };
    let replacement = candidates.into_iter().find(|(candidate, _)| accepts(candidate.clone()));
    let hint = match replacement {
        _ if is_set && asks_for_nothing(&value) => Some(format!("`--unset {}` removes the key", diagnostic.key)),
        Some((_, hint)) => Some(hint),
        None if is_set => sweep_hint(&diagnostic.key, &value, &mut accepts),
        None => None,
    };
    if hint.is_some() {
        diagnostic.hint = hint;
    }
}

/// Returns whether a value of `--set` stands for no value, as in `key=none`.
fn asks_for_nothing(value: &Value) -> bool {
    value.as_str().is_some_and(|text| ["", "~", "nil", "none", "null"].contains(&text.to_lowercase().as_str()))
}

/// Returns the hint for several values in place of one (`key=1,2`): a loop. `None` for other values.
fn sweep_hint(key: &str, value: &Value, accepts: &mut dyn FnMut(Value) -> bool) -> Option<String> {
    let words: Vec<String> = match value {
        Value::String(text) => text.split(',').map(|word| word.trim().to_owned()).collect(),
        Value::Array(items) => items.iter().map(ToString::to_string).collect(),
        _ => return None,
    };
    if words.len() < 2 || !words.iter().all(|word| set_value(word).is_ok_and(&mut *accepts)) {
        return None;
    }
    let values = words.join(" ");
    let run = format!("for v in {values}; do lth run CONFIG --set {key}=$v; done");
    Some(format!("a run has one value; start a run for each: `{run}` (README, section \"Sweeps\")"))
}

/// Returns the values that may be meant by a value, the likeliest first, each with its hint.
fn candidates(value: &Value) -> Vec<(Value, String)> {
    let write = |text: String| Some((set_value(&text).ok()?, format!("write `{text}`")));
    match value {
        Value::String(text) => {
            let bare = set_value(text).ok().filter(|value| !value.is_string() && !value.is_object());
            let bare = bare.map(|value| (value, format!("without quotes: `{text}`")));
            let others = replacements(text, Syntax::Toml).into_iter().filter_map(|other| write(other.text));
            bare.into_iter().chain(others).collect()
        }
        Value::Number(number) => {
            let float = number.as_f64().filter(|x| x.fract() == 0.0 && (0.0..1e15).contains(x));
            let whole = float.and_then(|x| {
                let hint = format!("write it as `{x:.0}`, without point and exponent");
                Some((set_value(&format!("{x:.0}")).ok()?, hint))
            });
            let word = match number.as_u64() {
                Some(0) => write("false".to_owned()),
                Some(1) => write("true".to_owned()),
                _ => None,
            };
            whole.into_iter().chain(word).collect()
        }
        _ => Vec::new(),
    }
}
