//! The replacement of a value of the wrong type: only a value that was tried, and that the configuration accepts.

use serde_json::Value;

use super::diagnostic::{Diagnostic, DiagnosticKind};
use super::replacement::{Syntax, replacements};
use crate::config::deserialize::is_accepted;
use crate::config::set::set_value;
use crate::config::value_path;

/// Sets the hint of a diagnostic about a wrong type to a value that is accepted in place of the one in `root`, if there
/// is such a value.
pub(in crate::config) fn set_replacement_hint(diagnostic: &mut Diagnostic, root: &Value) {
    if diagnostic.kind != DiagnosticKind::WrongType {
        return;
    }
    let mut root = root.clone();
    let Some(value) = value_path::get_mut(&mut root, &diagnostic.key).map(|value| value.clone()) else { return };
    for (candidate, hint) in candidates(&value) {
        if let Some(slot) = value_path::get_mut(&mut root, &diagnostic.key) {
            *slot = candidate;
        }
        if is_accepted(&root, &diagnostic.key) {
            diagnostic.hint = Some(hint);
            return;
        }
    }
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
