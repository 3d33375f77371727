//! Evaluations of a run. `curves.csv` is read record by record, because a large run has a million of them; only the
//! evaluations of chosen arms and rounds are kept.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};

use super::arm_round::ArmRound;
use super::run::Run;
use crate::artifacts::{damaged, open_run_file};
use crate::system::paths::RunDir;

/// The evaluations of the training runs of an arm at a round, at one iteration.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CurvePoint {
    /// The iteration.
    pub(crate) iteration: u64,
    /// Test accuracy of each training run, 0..=1.
    pub(crate) test_accuracy: Vec<f64>,
    /// Validation loss of each training run, in nats.
    pub(crate) validation_loss: Vec<f64>,
}

/// The evaluations of arms at rounds, each by iteration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curves<'a>(BTreeMap<ArmRound<'a>, BTreeMap<u64, CurvePoint>>);

/// A record of `curves.csv`, restricted to `N` columns.
pub(crate) struct CsvRecord<'a, const N: usize> {
    /// The fields of all columns.
    record: &'a csv::ByteRecord,
    /// Indices of the columns in the file.
    columns: [usize; N],
}

impl<const N: usize> CsvRecord<'_, N> {
    /// Returns the field of one of the `N` columns.
    fn bytes(&self, column: usize) -> &[u8] {
        &self.record[self.columns[column]]
    }

    /// Returns the field of one of the `N` columns as text.
    pub(crate) fn text(&self, column: usize) -> String {
        String::from_utf8_lossy(self.bytes(column)).into_owned()
    }

    /// Returns the field of one of the `N` columns as a number.
    ///
    /// # Errors
    /// Fails if the field is no number; the error names the line and the field.
    pub(crate) fn number<T: std::str::FromStr>(&self, column: usize) -> Result<T> {
        let text = String::from_utf8_lossy(self.bytes(column));
        let line = self.record.position().map_or(1, csv::Position::line);
        text.parse().map_err(|_| anyhow!("line {line} is no row: `{text}` is no number"))
    }
}

/// Calls `visit` with each record of a run's `curves.csv`, restricted to `columns`. A run without the file has no
/// records.
///
/// # Errors
/// Fails if `visit` fails or the file is damaged; the error names the file, the line and the cause.
pub(crate) fn for_each_record<const N: usize>(
    run: &Run,
    columns: [&str; N],
    visit: impl FnMut(&CsvRecord<'_, N>) -> Result<()>,
) -> Result<()> {
    let Some(file) = open_run_file(&run.dir, RunDir::CURVES)? else { return Ok(()) };
    for_each_record_of(csv::Reader::from_reader(file), columns, visit)
        .with_context(|| damaged(&run.dir, RunDir::CURVES))
}

/// Like [`for_each_record`], but from a reader; `names` are the names of the columns.
fn for_each_record_of<const N: usize>(
    mut reader: csv::Reader<impl std::io::Read>,
    names: [&str; N],
    mut visit: impl FnMut(&CsvRecord<'_, N>) -> Result<()>,
) -> Result<()> {
    let header = reader.byte_headers()?.clone();
    let mut columns = [0; N];
    for (column, name) in columns.iter_mut().zip(names) {
        let index = header.iter().position(|field| field == name.as_bytes());
        *column = index.ok_or_else(|| anyhow!("it has no column `{name}`"))?;
    }
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        visit(&CsvRecord { record: &record, columns })?;
    }
    Ok(())
}

/// The columns that [`Curves`] are made from.
const COLUMNS: [&str; 5] = ["arm", "round", "iteration", "test_accuracy", "validation_loss"];

impl<'a> Curves<'a> {
    /// Reads the evaluations of `wanted` from a run's `curves.csv`.
    ///
    /// # Errors
    /// Fails if the file is damaged; the error names the file, the line and the cause.
    pub(crate) fn read(run: &Run, wanted: &[ArmRound<'a>]) -> Result<Self> {
        if wanted.is_empty() {
            return Ok(Self::default());
        }
        let Some(file) = open_run_file(&run.dir, RunDir::CURVES)? else { return Ok(Self::default()) };
        Self::read_from(csv::Reader::from_reader(file), wanted).with_context(|| damaged(&run.dir, RunDir::CURVES))
    }

    /// Like [`read`](Self::read), but from a reader.
    fn read_from(reader: csv::Reader<impl std::io::Read>, wanted: &[ArmRound<'a>]) -> Result<Self> {
        // Arms and rounds are compared as bytes: most records are of other arms and rounds, and are skipped unparsed.
        let round_texts: Vec<String> = wanted.iter().map(|arm_round| arm_round.round.to_string()).collect();
        let by_fields: BTreeMap<(&[u8], &[u8]), ArmRound<'a>> = wanted
            .iter()
            .zip(&round_texts)
            .map(|(arm_round, round)| ((arm_round.arm.as_bytes(), round.as_bytes()), *arm_round))
            .collect();
        let mut curves: BTreeMap<ArmRound<'a>, BTreeMap<u64, CurvePoint>> = BTreeMap::new();
        for_each_record_of(reader, COLUMNS, |record| {
            let Some(&arm_round) = by_fields.get(&(record.bytes(0), record.bytes(1))) else { return Ok(()) };
            let iteration: u64 = record.number(2)?;
            let curve = curves.entry(arm_round).or_default();
            let point = curve.entry(iteration).or_insert_with(|| CurvePoint { iteration, ..CurvePoint::default() });
            point.test_accuracy.push(record.number(3)?);
            point.validation_loss.push(record.number(4)?);
            Ok(())
        })?;
        Ok(Self(curves))
    }

    /// Returns the evaluations of an arm at a round, by iteration.
    pub(crate) fn points(&self, arm_round: ArmRound<'a>) -> impl Iterator<Item = &CurvePoint> {
        self.0.get(&arm_round).into_iter().flat_map(BTreeMap::values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "arm,round,iteration,test_accuracy,test_loss,validation_loss\n\
                        dense,0,0,0.1,9,2.5\ndense,0,100,0.9,9,0.5\ndense,0,0,0.2,9,inf\nother,0,0,x,x,x\n";

    const DENSE_NETWORK: ArmRound<'_> = ArmRound { arm: "dense", round: 0 };

    fn read(text: &str) -> Result<Curves<'static>> {
        Curves::read_from(csv::Reader::from_reader(text.as_bytes()), &[DENSE_NETWORK])
    }

    #[test]
    fn curves_group_training_runs_by_iteration() {
        let curves = read(TEXT).unwrap();
        let accuracies: Vec<_> =
            curves.points(DENSE_NETWORK).map(|point| (point.iteration, point.test_accuracy.clone())).collect();
        assert_eq!(accuracies, [(0, vec![0.1, 0.2]), (100, vec![0.9])]);
        let others = [ArmRound::new("dense", 1), ArmRound::new("other", 0)];
        assert!(others.iter().all(|other| curves.points(*other).next().is_none()), "the others are not read");
    }

    #[test]
    fn damaged_records_are_named_by_their_line() {
        let error = |text: String| read(&text).unwrap_err().to_string();
        assert_eq!(error(TEXT.replace("0.9", "much")), "line 3 is no row: `much` is no number");
        assert_eq!(error(TEXT.replacen("arm", "leg", 1)), "it has no column `arm`");
        assert!(error(format!("{TEXT}dense,0\n")).contains("line: 6"), "{}", error(format!("{TEXT}dense,0\n")));
    }
}
