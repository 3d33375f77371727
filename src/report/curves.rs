//! The evaluations of chosen rounds, brought together: read row by row, since a large run has a million of them.

use std::collections::BTreeMap;
use std::fs::File;

use anyhow::{Context, Result, anyhow};

use super::run::{Run, damaged};
use crate::base::paths::View;

/// What is measured on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Evaluation {
    /// Optimizer steps taken.
    pub(crate) iteration: u64,
    /// Test accuracy of each training.
    pub(crate) test_accuracy: Vec<f64>,
    /// Validation loss of each training.
    pub(crate) validation_loss: Vec<f64>,
}

/// An arm at a round.
pub(crate) type Place = (String, u32);

/// The evaluations of arms at rounds, each by iteration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curves(BTreeMap<Place, BTreeMap<u64, Evaluation>>);

/// The columns that are read.
const COLUMNS: [&str; 5] = ["arm", "round", "iteration", "test_accuracy", "validation_loss"];

impl Curves {
    /// Reads those of `wanted`. A run that has no curves has none to show.
    ///
    /// # Errors
    /// A file that is damaged: which, in what line, and how.
    pub(crate) fn read(run: &Run, wanted: &[Place]) -> Result<Self> {
        let path = run.view.file(View::CURVES);
        if wanted.is_empty() || !path.exists() {
            return Ok(Self::default());
        }
        let file = File::open(&path).with_context(|| format!("could not read `{}`", path.display()))?;
        Self::of(csv::Reader::from_reader(file), wanted).with_context(|| damaged(&path))
    }

    fn of(mut reader: csv::Reader<impl std::io::Read>, wanted: &[Place]) -> Result<Self> {
        let header = reader.byte_headers()?.clone();
        let column = |name: &str| {
            let found = header.iter().position(|column| column == name.as_bytes());
            found.ok_or_else(|| anyhow!("it has no column `{name}`"))
        };
        let [arm, round, iteration, accuracy, loss] = COLUMNS.map(column);
        let (arm, round, iteration, accuracy, loss) = (arm?, round?, iteration?, accuracy?, loss?);
        let mut places: BTreeMap<(&[u8], &[u8]), &Place> = BTreeMap::new();
        let rounds: Vec<String> = wanted.iter().map(|(_, round)| round.to_string()).collect();
        for (place, round) in wanted.iter().zip(&rounds) {
            places.insert((place.0.as_bytes(), round.as_bytes()), place);
        }
        let mut curves: BTreeMap<Place, BTreeMap<u64, Evaluation>> = BTreeMap::new();
        let mut row = csv::ByteRecord::new();
        while reader.read_byte_record(&mut row)? {
            let Some(&place) = places.get(&(&row[arm], &row[round])) else { continue };
            let at: u64 = number(&row, iteration)?;
            let curve = match curves.get_mut(place) {
                Some(curve) => curve,
                None => curves.entry(place.clone()).or_default(),
            };
            let evaluation = curve.entry(at).or_insert_with(|| Evaluation { iteration: at, ..Evaluation::default() });
            evaluation.test_accuracy.push(number(&row, accuracy)?);
            evaluation.validation_loss.push(number(&row, loss)?);
        }
        Ok(Self(curves))
    }

    /// The evaluations of an arm at a round, by iteration.
    pub(crate) fn at(&self, arm: &str, round: u32) -> impl Iterator<Item = &Evaluation> {
        self.0.get(&(arm.to_owned(), round)).into_iter().flat_map(BTreeMap::values)
    }
}

fn number<T: std::str::FromStr>(row: &csv::ByteRecord, column: usize) -> Result<T> {
    let text = String::from_utf8_lossy(&row[column]);
    let line = row.position().map_or(1, csv::Position::line);
    text.parse().map_err(|_| anyhow!("line {line} is no row: `{text}` is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "arm,round,iteration,test_accuracy,test_loss,validation_loss\n\
                        dense,0,0,0.1,9,2.5\ndense,0,100,0.9,9,0.5\ndense,0,0,0.2,9,inf\nother,0,0,x,x,x\n";

    fn read(text: &str) -> Result<Curves> {
        Curves::of(csv::Reader::from_reader(text.as_bytes()), &[("dense".into(), 0)])
    }

    #[test]
    fn trainings_of_a_round_come_together_by_iteration() {
        let curves = read(TEXT).unwrap();
        let found: Vec<_> = curves.at("dense", 0).map(|e| (e.iteration, e.test_accuracy.clone())).collect();
        assert_eq!(found, [(0, vec![0.1, 0.2]), (100, vec![0.9])]);
        assert_eq!(curves.at("dense", 1).count() + curves.at("other", 0).count(), 0);
    }

    #[test]
    fn what_was_spoilt_is_told_by_its_line() {
        let said = |text: String| read(&text).unwrap_err().to_string();
        assert_eq!(said(TEXT.replace("0.9", "much")), "line 3 is no row: `much` is no number");
        assert_eq!(said(TEXT.replacen("arm", "leg", 1)), "it has no column `arm`");
        assert!(said(format!("{TEXT}dense,0\n")).contains("line: 6"), "{}", said(format!("{TEXT}dense,0\n")));
    }
}
