//! The heat map of a sweep with two axes: the best validation accuracy of each arm at each point.

use super::comparison::ComparedRun;
use super::sweep::SweptKey;
use super::without_empty_panels;
use crate::artifacts::{RoundGroup, arms};
use crate::base::stats::SummaryStats;
use crate::plot::{Axis, ChartPoint, Figure, HeatMap, Panel};
use crate::report::overview::BestRound;
use crate::report::run::Run;

/// Returns a figure with a heat map for each arm; `None` unless the runs differ in exactly two keys, `keys`, and each
/// combination of their values is one run at most.
pub(crate) fn sweep_heat_map(runs: &[ComparedRun<'_>], keys: &[SweptKey]) -> Option<Figure> {
    let [row_key, column_key] = keys else { return None };
    let [rows, columns] = [row_key, column_key].map(SweptKey::distinct);
    let mut positions: Vec<(usize, usize)> =
        (0..runs.len()).map(|run| (row_key.rank(run), column_key.rank(run))).collect();
    let map = |arm: &str| {
        let mut cells = vec![vec![None; columns.len()]; rows.len()];
        for (compared, &(row, column)) in runs.iter().zip(&positions) {
            cells[row][column] = best_point(compared.run, arm);
        }
        let rows = rows.iter().map(|value| format!("{} {value}", row_key.name)).collect();
        HeatMap { columns: columns.iter().map(|&value| value.to_owned()).collect(), rows, cells }
    };
    let panel = |arm: &str| Panel {
        title: arm.to_owned(),
        x: Axis { title: column_key.name.clone(), column: "x", ..Axis::default() },
        heat_map: Some(map(arm)),
        ..Panel::default()
    };
    let panels = arms(runs.iter().flat_map(|compared| &compared.run.rounds)).into_iter().map(panel).collect();
    positions.sort_unstable();
    let is_grid = rows.len() > 1 && columns.len() > 1 && positions.windows(2).all(|pair| pair[0] != pair[1]);
    let figure = Figure {
        name: "sweep_best_validation".to_owned(),
        title: "Best validation accuracy (%) of each point".to_owned(),
        caption:
            "Of each arm the round with the best validation accuracy at early stop: its mean over the training runs. \
                  The best cell of an arm has a frame. Test accuracy plays no part."
                .to_owned(),
        panels,
    };
    without_empty_panels(figure).filter(|_| is_grid)
}

/// Returns the validation accuracies at early stop of the best round of an arm.
fn best_point(run: &Run, arm: &str) -> Option<ChartPoint> {
    let best = BestRound::of_arm(run, arm)?;
    let groups = RoundGroup::by_arm_and_round(&run.rounds);
    let group = groups.iter().find(|group| group.arm == arm && group.round == best.round)?;
    let SummaryStats { n, mean, min, max, .. } =
        SummaryStats::of(&group.values(|row| row.early_stop_validation_accuracy))?;
    Some(ChartPoint { x: 0.0, mean, low: min, high: max, n, is_lower_bound: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::LastEvaluations;
    use crate::report::checkpoints::Checkpoints;
    use crate::report::test_fixtures::rows;
    use crate::system::paths::RunDir;

    #[test]
    fn cells_are_the_points_of_two_keys() {
        let run = |accuracy: f64| {
            let mut rounds = [rows("t", 1, &[(100, 0.0)]), rows("t", 2, &[(100, 0.0)])].concat();
            rounds[0].early_stop_validation_accuracy = Some(accuracy);
            rounds[1].early_stop_validation_accuracy = Some(accuracy / 2.0);
            Run { dir: RunDir("a".into()), rounds, manifest: None }
        };
        let runs = [0.5, 0.6, 0.7].map(run);
        let checkpoints = Checkpoints::default();
        let end = LastEvaluations::new(&runs[0].rounds, None);
        let compared: Vec<ComparedRun<'_>> =
            runs.iter().map(|run| ComparedRun { label: "", run, checkpoints: &checkpoints, end }).collect();
        let key = |name: &str, values: [&str; 3]| SweptKey {
            name: name.to_owned(),
            values: values.map(str::to_owned).to_vec(),
        };
        let keys = [key("lr", ["0.1", "0.1", "0.2"]), key("rate", ["0.2", "0.4", "0.2"])];
        let figure = sweep_heat_map(&compared, &keys).unwrap();
        let map = figure.panels[0].heat_map.as_ref().unwrap();
        assert_eq!((map.rows.join(" "), map.columns.join(" ")), ("lr 0.1 lr 0.2".to_owned(), "0.2 0.4".to_owned()));
        let means: Vec<Vec<Option<f64>>> =
            map.cells.iter().map(|row| row.iter().map(|cell| Some((*cell)?.mean)).collect()).collect();
        assert_eq!(means, [vec![Some(0.5), Some(0.6)], vec![Some(0.7), None]]);
        let csv = String::from_utf8(figure.to_csv().unwrap()).unwrap();
        assert_eq!(csv.lines().nth(1), Some("t,lr 0.1,0.2,0.5,0.5,0.5,1"));
        assert!(sweep_heat_map(&compared, &keys[..1]).is_none());
        let same = [keys[0].clone(), key("rate", ["0.2", "0.2", "0.4"])];
        assert!(sweep_heat_map(&compared, &same).is_none(), "two runs in one cell");
    }
}
