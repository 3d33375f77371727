//! The evaluations of a run, read row by row, since a large run has a million of them; those of chosen rounds brought
//! together.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, anyhow};

use super::run::{Run, damaged};
use crate::system::paths::RunDir;

/// What is measured on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CurvePoint {
    /// Optimizer steps taken.
    pub(crate) iteration: u64,
    /// Test accuracy of each training.
    pub(crate) test_accuracy: Vec<f64>,
    /// Validation loss of each training.
    pub(crate) validation_loss: Vec<f64>,
}

/// An arm at a round.
pub(crate) type ArmRound = (String, u32);

/// The evaluations of arms at rounds, each by iteration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curves(BTreeMap<ArmRound, BTreeMap<u64, CurvePoint>>);

/// A row of `curves.csv`: the fields of the columns that were asked for.
pub(crate) struct CsvRecord<'a, const N: usize> {
    row: &'a csv::ByteRecord,
    columns: [usize; N],
}

impl<const N: usize> CsvRecord<'_, N> {
    fn bytes(&self, field: usize) -> &[u8] {
        &self.row[self.columns[field]]
    }

    /// A field as it is.
    pub(crate) fn text(&self, field: usize) -> String {
        String::from_utf8_lossy(self.bytes(field)).into_owned()
    }

    /// A field that is a number.
    ///
    /// # Errors
    /// One that is none: in what line, and what stands there.
    pub(crate) fn number<T: std::str::FromStr>(&self, field: usize) -> Result<T> {
        let text = String::from_utf8_lossy(self.bytes(field));
        let line = self.row.position().map_or(1, csv::Position::line);
        text.parse().map_err(|_| anyhow!("line {line} is no row: `{text}` is no number"))
    }
}

/// Gives `take` each row of a run's `curves.csv`; a run that has no curves has none to show.
///
/// # Errors
/// A file that is damaged: which, in what line, and how.
pub(crate) fn for_each_record<const N: usize>(
    run: &Run,
    columns: [&str; N],
    take: impl FnMut(&CsvRecord<'_, N>) -> Result<()>,
) -> Result<()> {
    let path = run.view.file(RunDir::CURVES);
    let Some(reader) = open(&path)? else { return Ok(()) };
    for_each_record_of(reader, columns, take).with_context(|| damaged(&path))
}

fn open(path: &Path) -> Result<Option<csv::Reader<File>>> {
    if !path.exists() {
        return Ok(None);
    }
    let file = File::open(path).with_context(|| format!("could not read `{}`", path.display()))?;
    Ok(Some(csv::Reader::from_reader(file)))
}

fn for_each_record_of<const N: usize>(
    mut reader: csv::Reader<impl std::io::Read>,
    names: [&str; N],
    mut take: impl FnMut(&CsvRecord<'_, N>) -> Result<()>,
) -> Result<()> {
    let header = reader.byte_headers()?.clone();
    let mut columns = [0; N];
    for (column, name) in columns.iter_mut().zip(names) {
        let found = header.iter().position(|column| column == name.as_bytes());
        *column = found.ok_or_else(|| anyhow!("it has no column `{name}`"))?;
    }
    let mut row = csv::ByteRecord::new();
    while reader.read_byte_record(&mut row)? {
        take(&CsvRecord { row: &row, columns })?;
    }
    Ok(())
}

/// The columns that curves are made from.
const COLUMNS: [&str; 5] = ["arm", "round", "iteration", "test_accuracy", "validation_loss"];

impl Curves {
    /// Reads those of `wanted`.
    ///
    /// # Errors
    /// A file that is damaged: which, in what line, and how.
    pub(crate) fn read(run: &Run, wanted: &[ArmRound]) -> Result<Self> {
        let path = run.view.file(RunDir::CURVES);
        match open(&path)? {
            Some(reader) if !wanted.is_empty() => Self::of(reader, wanted).with_context(|| damaged(&path)),
            _ => Ok(Self::default()),
        }
    }

    fn of(reader: csv::Reader<impl std::io::Read>, wanted: &[ArmRound]) -> Result<Self> {
        let mut places: BTreeMap<(&[u8], &[u8]), &ArmRound> = BTreeMap::new();
        let rounds: Vec<String> = wanted.iter().map(|(_, round)| round.to_string()).collect();
        for (place, round) in wanted.iter().zip(&rounds) {
            places.insert((place.0.as_bytes(), round.as_bytes()), place);
        }
        let mut curves: BTreeMap<ArmRound, BTreeMap<u64, CurvePoint>> = BTreeMap::new();
        for_each_record_of(reader, COLUMNS, |row| {
            let Some(&place) = places.get(&(row.bytes(0), row.bytes(1))) else { return Ok(()) };
            let at: u64 = row.number(2)?;
            let curve = match curves.get_mut(place) {
                Some(curve) => curve,
                None => curves.entry(place.clone()).or_default(),
            };
            let evaluation = curve.entry(at).or_insert_with(|| CurvePoint { iteration: at, ..CurvePoint::default() });
            evaluation.test_accuracy.push(row.number(3)?);
            evaluation.validation_loss.push(row.number(4)?);
            Ok(())
        })?;
        Ok(Self(curves))
    }

    /// The evaluations of an arm at a round, by iteration.
    pub(crate) fn at(&self, arm: &str, round: u32) -> impl Iterator<Item = &CurvePoint> {
        self.0.get(&(arm.to_owned(), round)).into_iter().flat_map(BTreeMap::values)
    }
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
