//! The products compared with plain loops, on small whole numbers, whose sums are exact in any order.

use super::*;
use crate::base::rng::mix;
use crate::compute::simd::SimdLevel;
use crate::compute::spin_pool::parts;

/// 3 tiles of columns where it is dense enough.
const COLUMNS: u32 = 300;

/// Weights of each row: every length at which a loop begins or ends.
const LENGTHS: [u64; 10] = [0, 1, 3, 4, 15, 16, 17, 129, 300, 20];

fn number(key: u64, i: usize) -> f32 {
    (mix(key, i as u64) % 7) as f32 - 3.0
}

fn features(key: u64, n: usize) -> Vec<Feature> {
    let feature = |f: usize| {
        let mut feature = Feature::ZERO;
        feature.images_mut().iter_mut().enumerate().for_each(|(j, x)| *x = number(key, f * IMAGES + j));
        feature
    };
    (0..n).map(feature).collect()
}

/// Returns the positions of weights in rows of [`LENGTHS`] weights, at arbitrary columns.
fn places() -> Vec<(u32, u32)> {
    let row = |(row, &length): (usize, &u64)| {
        let mut columns: Vec<u32> = (0..COLUMNS).collect();
        columns.sort_by_key(|&column| mix(row as u64, u64::from(column)));
        columns.truncate(length as usize);
        columns.into_iter().map(move |column| (row as u32, column))
    };
    LENGTHS.iter().enumerate().flat_map(row).collect()
}

#[test]
fn spmm_equals_plain_loops() {
    let all_places = places();
    // Enough weights for tiles, and so few that all columns are one tile.
    for places in [all_places.clone(), all_places.into_iter().filter(|place| place.1 % 20 == 0).collect()] {
        let rows = LENGTHS.len();
        let (pattern, order) = TiledCsr::new(rows, COLUMNS as usize, &places);
        let (stored, start) = (features(1, 1), [2.0; LENGTHS.len()]);
        let weights: Vec<f32> = (0..places.len()).map(|k| number(2, k)).collect();
        let ordered: Vec<f32> = order.iter().map(|&k| weights[k as usize]).collect();
        let (x, gate) = (features(3, COLUMNS as usize), features(4, rows));
        let mut expected = vec![[2.0_f32; IMAGES]; rows];
        for (&(row, column), &weight) in places.iter().zip(&weights) {
            for (y, x) in expected[row as usize].iter_mut().zip(x[column as usize].images()) {
                *y += weight * x;
            }
        }
        let after = |after: usize, row: usize, j: usize, y: f32| match after {
            1 if y < 0.0 => 0.0,
            2 if gate[row].images()[j] <= 0.0 => 0.0,
            _ => y,
        };
        for path in SimdLevel::all() {
            for members in 1..=3 {
                for (n, how) in [Epilogue::Nothing, Epilogue::Relu, Epilogue::Gate(&gate)].into_iter().enumerate() {
                    let mut y = vec![stored[0]; rows];
                    for (rows, y) in parts(&mut y, &pattern.split_rows(members)) {
                        let how =
                            if let Epilogue::Gate(gate) = how { Epilogue::Gate(&gate[rows.clone()]) } else { how };
                        let start = &start[rows.clone()];
                        let (pattern, x) = (&pattern, x.as_slice());
                        // Weights through an index, and in the pattern's order.
                        if n == 0 {
                            let weights = IndirectWeights(&weights, &order);
                            path.run(Spmm { pattern, rows, weights, start, x, y, after: how });
                        } else {
                            let weights = ordered.as_slice();
                            path.run(Spmm { pattern, rows, weights, start, x, y, after: how });
                        }
                    }
                    for (row, (y, expected)) in y.iter().zip(&expected).enumerate() {
                        for (j, (&y, &expected)) in y.images().iter().zip(expected).enumerate() {
                            assert_eq!(y, after(n, row, j, expected), "{path:?}, {members} members, row {row}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_equal_plain_loops() {
    let places = places();
    let (pattern, order) = TiledCsr::new(LENGTHS.len(), COLUMNS as usize, &places);
    let (x, delta) = (features(5, COLUMNS as usize), features(6, LENGTHS.len()));
    let sum = |k: &u32| -> f32 {
        let (row, column) = places[*k as usize];
        let products = delta[row as usize].images().iter().zip(x[column as usize].images()).map(|(d, x)| d * x);
        products.sum()
    };
    let expected: Vec<f32> = order.iter().map(sum).collect();
    let biases: Vec<f32> = delta.iter().map(|delta| delta.images().iter().sum()).collect();
    for path in SimdLevel::all() {
        for members in 1..=3 {
            let segments = pattern.split_segments(members);
            let ranges: Vec<_> = segments.iter().map(|s| pattern.start(s.start)..pattern.start(s.end)).collect();
            let mut gradient = vec![99.0; pattern.len()];
            for add in [false, true] {
                for ((_, gradient), segments) in parts(&mut gradient, &ranges).zip(&segments) {
                    let (pattern, segments) = (&pattern, segments.clone());
                    path.run(WeightGradient { pattern, segments, delta: &delta, x: &x, gradient, add });
                }
                let times = if add { 2.0 } else { 1.0 };
                let expected: Vec<f32> = expected.iter().map(|g| times * g).collect();
                assert_eq!(gradient, expected, "{path:?}, {members} members, add {add}");
            }
        }
        let mut gradient = vec![99.0; LENGTHS.len()];
        path.run(BiasGradient { delta: &delta, gradient: &mut gradient, add: false });
        assert_eq!(gradient, biases, "{path:?}");
        path.run(BiasGradient { delta: &delta, gradient: &mut gradient, add: true });
        assert_eq!(gradient, biases.iter().map(|b| 2.0 * b).collect::<Vec<f32>>(), "{path:?}");
    }
}
