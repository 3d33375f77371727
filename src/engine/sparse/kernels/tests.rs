//! The products compared with plain loops, on small whole numbers, whose sums are exact in any order of additions.

use super::*;
use crate::base::rng::mix;
use crate::compute::simd::SimdLevel;
use crate::compute::spin_pool::parts;

/// Columns of the pattern: 3 tiles if it is dense enough for tiles.
const COLUMNS: u32 = 300;

/// Weights of each row: the lengths at which one of the kernels' loops begins or ends.
const LENGTHS: [u64; 10] = [0, 1, 3, 4, 15, 16, 17, 129, 300, 20];

/// Returns a whole number in −3..=3.
fn number(key: u64, i: usize) -> f32 {
    (mix(key, i as u64) % 7) as f32 - 3.0
}

/// Returns activations [n, images] of whole numbers.
fn features(key: u64, n: usize) -> Vec<Feature> {
    let feature = |f: usize| {
        let mut feature = Feature::ZERO;
        feature.images_mut().iter_mut().enumerate().for_each(|(j, x)| *x = number(key, f * IMAGES + j));
        feature
    };
    (0..n).map(feature).collect()
}

/// Returns the positions (row, column) of weights in rows of [`LENGTHS`] weights, at arbitrary columns.
fn positions() -> Vec<(u32, u32)> {
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
    let all_positions = positions();
    // First enough weights for three tiles, then so few that all columns are one tile.
    for positions in
        [all_positions.clone(), all_positions.into_iter().filter(|position| position.1 % 20 == 0).collect()]
    {
        let rows = LENGTHS.len();
        let (pattern, order) = TiledCsr::new(rows, COLUMNS as usize, &positions);
        // Numbers in the result's memory, which the product must overwrite.
        let garbage = features(1, 1)[0];
        let initial = [2.0; LENGTHS.len()];
        let weights: Vec<f32> = (0..positions.len()).map(|k| number(2, k)).collect();
        let ordered: Vec<f32> = order.iter().map(|&k| weights[k as usize]).collect();
        let x = features(3, COLUMNS as usize);
        let outputs = features(4, rows);
        let mut expected = vec![[2.0_f32; IMAGES]; rows];
        for (&(row, column), &weight) in positions.iter().zip(&weights) {
            for (y, x) in expected[row as usize].iter_mut().zip(x[column as usize].images()) {
                *y += weight * x;
            }
        }
        let after_epilogue = |index: usize, row: usize, j: usize, y: f32| match index {
            1 if y < 0.0 => 0.0,
            2 if outputs[row].images()[j] <= 0.0 => 0.0,
            _ => y,
        };
        for simd in SimdLevel::all() {
            for thread_count in 1..=3 {
                let epilogues = [Epilogue::Nothing, Epilogue::Relu, Epilogue::ReluBackward(&outputs)];
                for (index, epilogue) in epilogues.into_iter().enumerate() {
                    let mut y = vec![garbage; rows];
                    for (rows, y) in parts(&mut y, &pattern.split_rows(thread_count)) {
                        let epilogue = match epilogue {
                            Epilogue::ReluBackward(outputs) => Epilogue::ReluBackward(&outputs[rows.clone()]),
                            other => other,
                        };
                        let initial = &initial[rows.clone()];
                        let (pattern, x) = (&pattern, x.as_slice());
                        // Weights in another order once, else in the pattern's order.
                        if index == 0 {
                            let weights = IndirectWeights { weights: &weights, positions: &order };
                            simd.run(SpmmKernel { pattern, rows, weights, initial, x, y, epilogue });
                        } else {
                            let weights = ordered.as_slice();
                            simd.run(SpmmKernel { pattern, rows, weights, initial, x, y, epilogue });
                        }
                    }
                    for (row, (y, expected)) in y.iter().zip(&expected).enumerate() {
                        for (j, (&y, &expected)) in y.images().iter().zip(expected).enumerate() {
                            assert_eq!(
                                y,
                                after_epilogue(index, row, j, expected),
                                "{simd:?}, {thread_count} threads, row {row}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_equal_plain_loops() {
    let positions = positions();
    let (pattern, order) = TiledCsr::new(LENGTHS.len(), COLUMNS as usize, &positions);
    let (x, delta) = (features(5, COLUMNS as usize), features(6, LENGTHS.len()));
    let sum = |k: &u32| -> f32 {
        let (row, column) = positions[*k as usize];
        let products = delta[row as usize].images().iter().zip(x[column as usize].images()).map(|(d, x)| d * x);
        products.sum()
    };
    let expected: Vec<f32> = order.iter().map(sum).collect();
    let biases: Vec<f32> = delta.iter().map(|delta| delta.images().iter().sum()).collect();
    for simd in SimdLevel::all() {
        for thread_count in 1..=3 {
            let segments = pattern.split_segments(thread_count);
            let ranges: Vec<_> = segments.iter().map(|s| pattern.start(s.start)..pattern.start(s.end)).collect();
            let mut gradient = vec![99.0; pattern.len()];
            for add in [false, true] {
                for ((_, gradient), segments) in parts(&mut gradient, &ranges).zip(&segments) {
                    let (pattern, segments) = (&pattern, segments.clone());
                    simd.run(WeightGradientKernel { pattern, segments, delta: &delta, x: &x, gradient, add });
                }
                let times = if add { 2.0 } else { 1.0 };
                let expected: Vec<f32> = expected.iter().map(|g| times * g).collect();
                assert_eq!(gradient, expected, "{simd:?}, {thread_count} threads, add {add}");
            }
        }
        let mut gradient = vec![99.0; LENGTHS.len()];
        simd.run(BiasGradientKernel { delta: &delta, gradient: &mut gradient, add: false });
        assert_eq!(gradient, biases, "{simd:?}");
        simd.run(BiasGradientKernel { delta: &delta, gradient: &mut gradient, add: true });
        assert_eq!(gradient, biases.iter().map(|b| 2.0 * b).collect::<Vec<f32>>(), "{simd:?}");
    }
}
