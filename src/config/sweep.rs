//! Sweeps: the axes of `[sweep]` and `--sweep`, and the points that they span. Each point is an experiment of its own:
//! the configuration without `[sweep]`, with a value of each axis set as `--set` sets it.

use serde_json::Value;

use super::document::ConfigDocument;
use super::effective::inline;
use super::mistakes::diagnostic::Diagnostic;
use super::mistakes::render::UsageError;
use super::set::split;
use super::value_path::join;

/// The section of the axes.
pub const SWEEP: &str = "sweep";
/// The key of the section that combines the axes value by value.
const ZIP: &str = "zip";
/// Largest number of points. Arbitrary, far above practical values.
const MAX_POINTS: usize = 10_000;

/// A setting and its values in a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepAxis {
    /// The path of the setting, such as `train.lr`.
    pub key: String,
    /// The values, each as the text after the `=` of a `--set`; at least one.
    pub values: Vec<String>,
}

/// The axes of a sweep, and how their values are combined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The axes in the order of the configuration, then those of the command line; at least one.
    pub axes: Vec<SweepAxis>,
    /// Whether the first values of all axes make the first point, the second ones the second, and so on. Otherwise each
    /// combination of values is a point.
    pub zip: bool,
}

impl Sweep {
    /// Returns the sweep of a configuration: the axes of its section `[sweep]`, and those of `options`, each the text of
    /// a `--sweep` (`KEY=VALUE,VALUE,…`). An option replaces the axis of the section with the same key. Returns `None`
    /// if there is no axis.
    ///
    /// # Errors
    /// Fails with every mistake found: an axis without a value, a value that is no list, axes of different lengths with
    /// `zip`, and more than 10,000 points.
    pub fn of(document: &ConfigDocument, options: &[String]) -> Result<Option<Self>, UsageError> {
        let mut mistakes = Vec::new();
        let mut sweep = Self { axes: Vec::new(), zip: false };
        match document.root.get(SWEEP) {
            Some(Value::Object(section)) => {
                for (key, value) in section {
                    match value {
                        Value::Bool(zip) if key == ZIP => sweep.zip = *zip,
                        _ if key == ZIP => mistakes.push(Diagnostic::new("sweep.zip", "expected true or false")),
                        _ => sweep.add_section(key, value, &mut mistakes),
                    }
                }
            }
            Some(_) => {
                mistakes.push(Diagnostic::new(SWEEP, "expected a table of settings, each with a list of values"));
            }
            None => {}
        }
        for option in options {
            match axis_of(option) {
                Ok(axis) => sweep.put(axis),
                Err(message) => return Err(UsageError::from_text(&message)),
            }
        }
        if sweep.axes.is_empty() && mistakes.is_empty() && document.root.get(SWEEP).is_some() {
            mistakes.push(Diagnostic::new(SWEEP, "the section has no axis").hint("such as `train.lr = [0.01, 0.1]`"));
        }
        mistakes.extend(sweep.check());
        if mistakes.is_empty() {
            Ok((!sweep.axes.is_empty()).then_some(sweep))
        } else {
            Err(UsageError::new(&mistakes, document))
        }
    }

    /// Adds the axes of one key of the section; a table has those of its keys.
    fn add_section(&mut self, key: &str, value: &Value, mistakes: &mut Vec<Diagnostic>) {
        match value {
            Value::Object(table) => {
                table.iter().for_each(|(inner, value)| self.add_section(&join(key, inner), value, mistakes));
            }
            Value::Array(values) if values.is_empty() => {
                mistakes.push(Diagnostic::new(format!("{SWEEP}.{key}"), "the axis has no value"));
            }
            Value::Array(values) => {
                self.put(SweepAxis { key: key.to_owned(), values: values.iter().map(inline).collect() });
            }
            _ => {
                let message = "expected a list of values";
                mistakes.push(
                    Diagnostic::new(format!("{SWEEP}.{key}"), message).hint(format!("such as `[{}]`", inline(value))),
                );
            }
        }
    }

    /// Adds an axis, or replaces the one with the same key.
    fn put(&mut self, axis: SweepAxis) {
        match self.axes.iter_mut().find(|present| present.key == axis.key) {
            Some(present) => *present = axis,
            None => self.axes.push(axis),
        }
    }

    /// Returns the mistakes of the axes together.
    fn check(&self) -> Option<Diagnostic> {
        let lengths: Vec<usize> = self.axes.iter().map(|axis| axis.values.len()).collect();
        if self.zip && lengths.windows(2).any(|pair| pair[0] != pair[1]) {
            let lengths: Vec<String> =
                self.axes.iter().map(|axis| format!("`{}` has {}", axis.key, axis.values.len())).collect();
            let message = format!("with `zip`, all axes need as many values: {}", lengths.join(", "));
            return Some(Diagnostic::new("sweep.zip", message));
        }
        let count = self.point_count();
        (count > MAX_POINTS as u128)
            .then(|| Diagnostic::new(SWEEP, format!("the sweep has {count} points; at most {MAX_POINTS} are allowed")))
    }

    /// Returns the number of points.
    fn point_count(&self) -> u128 {
        let mut lengths = self.axes.iter().map(|axis| axis.values.len() as u128);
        if self.zip { lengths.next().unwrap_or(0) } else { lengths.product() }
    }

    /// Returns the points, each as the text of a `--set` for each axis. The values of the last axis change first.
    pub fn points(&self) -> Vec<Vec<String>> {
        let set = |axis: &SweepAxis, value: &str| format!("{}={value}", axis.key);
        if self.zip {
            let points = self.axes.first().map_or(0, |axis| axis.values.len());
            return (0..points).map(|i| self.axes.iter().map(|axis| set(axis, &axis.values[i])).collect()).collect();
        }
        self.axes.iter().fold(vec![Vec::new()], |points, axis| {
            let with = |point: &Vec<String>, value: &String| [point.clone(), vec![set(axis, value)]].concat();
            points.iter().flat_map(|point| axis.values.iter().map(|value| with(point, value))).collect()
        })
    }
}

/// Returns the axis of a `--sweep`.
///
/// # Errors
/// Returns the text of a mistake.
fn axis_of(option: &str) -> Result<SweepAxis, String> {
    let wrong =
        |what: &str| format!("error: {what}\n  --> --sweep {option}\n\nhint: such as `--sweep train.lr=0.01,0.1`");
    let (key, list) = split(option).ok_or_else(|| wrong("expected `key.path=value,value,…`"))?;
    let values: Vec<String> = split_list(list).into_iter().map(|value| value.trim().to_owned()).collect();
    if values.iter().any(String::is_empty) {
        return Err(wrong("a value is empty"));
    }
    Ok(SweepAxis { key: key.to_owned(), values })
}

/// Splits a text at the commas that are in no quotes, brackets or braces.
fn split_list(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) => quote = Some(open).filter(|&open| open != c),
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(section: &str, options: &[&str]) -> Result<Option<Sweep>, String> {
        let document = ConfigDocument::parse("a.toml", section, &[]).unwrap();
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        Sweep::of(&document, &options).map_err(|error| error.to_string())
    }

    fn points(section: &str, options: &[&str]) -> Vec<String> {
        sweep(section, options).unwrap().unwrap().points().iter().map(|point| point.join(" ")).collect()
    }

    #[test]
    fn points_are_all_combinations() {
        let section = "[sweep]\n\"prune.rate.linear\" = [0.1, 0.2]\ntrain.optimizer = ['adam', 'sgd']\n";
        let expected = [
            "prune.rate.linear=0.1 train.optimizer=\"adam\"",
            "prune.rate.linear=0.1 train.optimizer=\"sgd\"",
            "prune.rate.linear=0.2 train.optimizer=\"adam\"",
            "prune.rate.linear=0.2 train.optimizer=\"sgd\"",
        ];
        assert_eq!(points(section, &[]), expected);
        assert_eq!(sweep("name = 'a'\n", &[]), Ok(None));
    }

    #[test]
    fn zip_takes_values_in_step() {
        assert_eq!(points("[sweep]\nzip = true\na = [1, 2]\nb = [3, 4]\n", &[]), ["a=1 b=3", "a=2 b=4"]);
        let error = sweep("[sweep]\nzip = true\na = [1, 2]\nb = [3]\n", &[]).unwrap_err();
        assert!(error.contains("`a` has 2, `b` has 1"), "{error}");
    }

    #[test]
    fn options_add_axes_and_replace_those_of_the_section() {
        let section = "[sweep]\na = [1, 2]\n";
        assert_eq!(points(section, &["b=x,'y,z',[1, 2]"]).len(), 6);
        assert_eq!(points(section, &["b='y,z'"]), ["a=1 b='y,z'", "a=2 b='y,z'"]);
        assert_eq!(points(section, &["a=5"]), ["a=5"]);
    }

    #[test]
    fn mistakes_name_the_axis() {
        for (section, options, part) in [
            ("[sweep]\na = []\n", &[][..], "the axis has no value"),
            ("[sweep]\na = 1\n", &[], "such as `[1]`"),
            ("sweep = 1\n", &[], "expected a table"),
            ("[sweep]\nzip = true\n", &[], "the section has no axis"),
            ("[sweep]\nzip = 1\n", &[], "expected true or false"),
            ("", &["a"], "--sweep a"),
            ("", &["a=1,,2"], "a value is empty"),
        ] {
            let error = sweep(section, options).unwrap_err();
            assert!(error.contains(part), "{section:?} {options:?}: {error}");
        }
        let digits = "0,1,2,3,4,5,6,7,8,9";
        let axes: Vec<String> = ["a", "b", "c", "d", "e", "f", "g"].map(|key| format!("{key}={digits}")).to_vec();
        let axes: Vec<&str> = axes.iter().map(String::as_str).collect();
        assert!(sweep("", &axes).unwrap_err().contains("10000000 points"));
    }
}
