//! What to write in place of a value of the wrong type: only what was tried and is understood there.

use serde_json::Value;

use super::diagnostic::Diagnostic;
use super::read::is_accepted;
use super::repair::{Syntax, proposals};
use super::set::set_value;
use super::walk;

/// Adds to `problem` the value that would be accepted in place of the one in `root`, if there is one.
pub(super) fn propose(problem: &mut Diagnostic, root: &Value) {
    let is_of_type = problem.message.contains(": expected ") && !problem.at_key;
    if !is_of_type {
        return;
    }
    let mut root = root.clone();
    let Some(value) = walk::get_mut(&mut root, &problem.key).map(|value| value.clone()) else { return };
    for (value, hint) in candidates(&value) {
        if let Some(slot) = walk::get_mut(&mut root, &problem.key) {
            *slot = value;
        }
        if is_accepted(&root, &problem.key) {
            problem.hint = Some(hint);
            return;
        }
    }
}

/// What may be meant by a value, the likeliest first, each with the words that propose it.
fn candidates(value: &Value) -> Vec<(Value, String)> {
    let write = |text: String| Some((set_value(&text).ok()?, format!("write `{text}`")));
    match value {
        Value::String(text) => {
            let bare = set_value(text).ok().filter(|value| !value.is_string() && !value.is_object());
            let bare = bare.map(|value| (value, format!("without quotes: `{text}`")));
            let others = proposals(text, Syntax::Toml).into_iter().filter_map(|repair| write(repair.text));
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
