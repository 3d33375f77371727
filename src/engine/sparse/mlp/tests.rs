//! Properties beyond those of every trainer: instruction sets, threads, batches of more than a block, and idle weights.

use super::*;
use crate::base::mask::LayerMask;
use crate::base::rng::{Purpose, Stream, mix};
use crate::base::tensors::NamedTensor;
use crate::data::Normalization;
use crate::engine::optim::{Adam, Optimizer, Sgd};
use crate::engine::torch;
use crate::network::{Layer, Network};

/// Images of a batch: a block and a part of one.
const BATCH: usize = 90;

fn spec() -> TrainerSpec {
    let layers = vec![
        Layer::Flatten,
        Layer::Dropout { rate: 0.1 },
        Layer::Linear { inputs: 144, outputs: 37 },
        Layer::Relu,
        Layer::Linear { inputs: 37, outputs: 21 },
        Layer::Dropout { rate: 0.3 },
        Layer::Relu,
        Layer::Linear { inputs: 21, outputs: 10 },
    ];
    let optimizer = Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 1e-3, decoupled: false });
    let network = Network::new([1, 12, 12], 10, layers);
    TrainerSpec::plain(network, optimizer, BATCH)
}

/// Specifications without and with label smoothing and gradient clipping.
fn specs() -> [TrainerSpec; 2] {
    [spec(), TrainerSpec { label_smoothing: 0.1, clip_norm: Some(0.3), ..spec() }]
}

fn dataset() -> Arc<Dataset> {
    let images: Vec<u32> = (0..200).collect();
    Arc::new(Dataset {
        shape: [1, 12, 12],
        classes: 10,
        images: (0..200 * 144).map(|i| (mix(1, i) & 255) as u8).collect(),
        labels: (0..200).map(|i| (mix(2, i) % 10) as u8).collect(),
        train: images.clone(),
        validation: images[..70].to_vec(),
        test: images,
        normalization: Normalization::Affine { scale: 0.01, offset: -1.0 },
    })
}

/// Returns a network and a mask that keeps `percent` % of the weights.
fn start(spec: &TrainerSpec, percent: u64) -> (Snapshot, Mask) {
    let mut state = Vec::new();
    let mut mask = Vec::new();
    for (index, parameter) in spec.network.parameters().iter().enumerate() {
        let number = |i: usize| mix(index as u64 + 10, i as u64);
        let values = (0..parameter.len()).map(|i| (number(i) >> 40) as f32 / 8_388_608.0 - 1.0).map(|v| v * 0.2);
        let values = values.collect();
        if index % 2 == 0 {
            let kept = (0..parameter.len()).map(|i| number(i) % 100 < percent).collect();
            mask.push(LayerMask { name: parameter.name.clone(), shape: parameter.shape.clone(), kept });
        }
        state.push(NamedTensor { name: parameter.name.clone(), shape: parameter.shape.clone(), values });
    }
    (Snapshot::initial(TensorMap(state)), Mask(mask))
}

/// Takes six steps, one of them with a smaller batch, with evaluations after each.
fn train(trainer: &mut dyn Trainer, (start, mask): &(Snapshot, Mask)) -> (Snapshot, Vec<Score>) {
    trainer.load(0, start, mask).unwrap();
    let elementwise = Stream::of_replicate(1, 1, Purpose::Elementwise).counter_rng();
    let mut scores = Vec::new();
    for iteration in 0..6 {
        let n = if iteration == 3 { 11 } else { BATCH };
        let images = (0..n as u64).map(|j| (mix(iteration, j) % 200) as u32).collect();
        trainer.step(&[Batch { images, iteration, elementwise }], &[0.01]).unwrap();
        for split in Split::ALL {
            scores.extend(trainer.evaluate(split).unwrap());
        }
    }
    (trainer.snapshot(0).unwrap(), scores)
}

#[test]
fn sparse_trainer_is_bit_equal_on_every_instruction_set_and_thread_count() {
    let dataset = dataset();
    for (spec, percent) in specs().into_iter().flat_map(|spec| [100, 30, 3, 0].map(|n| (spec.clone(), n))) {
        let network = start(&spec, percent);
        let mut results = Vec::new();
        for simd in SimdLevel::all() {
            for threads in [1, 2, 3] {
                let mut trainer = SparseMlpTrainer::new(&spec, Arc::clone(&dataset), simd).unwrap();
                trainer.values_per_thread = 1;
                trainer.set_threads(threads);
                results.push((format!("{simd:?} {threads}"), train(&mut trainer, &network)));
            }
        }
        let [(_, first), others @ ..] = &results[..] else { panic!("a result") };
        for (name, other) in others {
            assert!(first == other, "{percent} %: {name} gives other numbers");
        }
    }
}

#[test]
fn thread_count_may_change_during_training() {
    let (spec, dataset) = (spec(), dataset());
    let (start, mask) = start(&spec, 40);
    let run = |change: bool| {
        let mut trainer = SparseMlpTrainer::new(&spec, Arc::clone(&dataset), SimdLevel::best()).unwrap();
        trainer.values_per_thread = 1;
        trainer.load(0, &start, &mask).unwrap();
        for iteration in 0..8_u64 {
            if change {
                trainer.set_threads(1 + iteration as usize % 4);
            }
            let images = (0..60).map(|j| (mix(iteration, j) % 200) as u32).collect();
            trainer.step(&[Batch { images, iteration, ..Batch::default() }], &[0.01]).unwrap();
        }
        trainer.snapshot(0).unwrap()
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn sparse_trainer_agrees_with_dense_on_batches_of_several_blocks() {
    let dataset = dataset();
    for (spec, percent) in specs().into_iter().flat_map(|spec| [100, 30, 3, 0].map(|n| (spec.clone(), n))) {
        let network = start(&spec, percent);
        let (sparse, scores) = train(sparse_trainer(&spec, &dataset).as_mut(), &network);
        let (dense, expected) = train(torch::build(&spec, &dataset, 1).unwrap().as_mut(), &network);
        for (a, b) in sparse.weights.0.iter().zip(&dense.weights.0) {
            let worst = a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Adam's first steps are as long whatever a gradient's size; a gradient near 0 may have either sign.
            assert!(worst < 0.03, "{percent} %, {}: off by {worst}", a.name);
        }
        for (a, b) in scores.iter().zip(&expected) {
            assert!((a.loss - b.loss).abs() < 2e-3 * b.loss, "{percent} %: {a:?} {b:?}");
        }
    }
}

fn sparse_trainer(spec: &TrainerSpec, dataset: &Arc<Dataset>) -> Box<dyn Trainer> {
    Box::new(SparseMlpTrainer::new(spec, Arc::clone(dataset), SimdLevel::best()).unwrap())
}

#[test]
fn idle_weights_decay_as_in_the_dense_trainer() {
    let optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.1 });
    let spec = TrainerSpec { optimizer, ..spec() };
    let dataset = dataset();
    let (start, mask) = start(&spec, 3);
    let run = |trainer: &mut dyn Trainer| {
        trainer.load(0, &start, &mask).unwrap();
        for iteration in 0..3_u64 {
            let images = (0..BATCH as u64).map(|j| (mix(iteration, j) % 200) as u32).collect();
            trainer.step(&[Batch { images, iteration, ..Batch::default() }], &[0.01]).unwrap();
        }
        trainer.snapshot(0).unwrap()
    };
    let mut trainer = SparseMlpTrainer::new(&spec, Arc::clone(&dataset), SimdLevel::best()).unwrap();
    let sparse = run(&mut trainer);
    let idle = trainer.compact.layers.iter().map(|layer| layer.weights.len() - layer.forward.len()).sum::<usize>();
    assert!(idle > 20, "{idle} idle weights");
    let dense = run(torch::build(&spec, &dataset, 1).unwrap().as_mut());
    let states = [(&sparse.weights, &dense.weights), (&sparse.moments[0], &dense.moments[0])];
    for (sparse, dense) in states {
        for (a, b) in sparse.0.iter().zip(&dense.0) {
            let size = b.values.iter().map(|v| v * v).sum::<f32>().sqrt();
            let error = a.values.iter().zip(&b.values).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
            assert!(error <= 1e-6 * size, "{}: off by {error} of {size}", a.name);
        }
    }
    assert_ne!(sparse.weights.0[0].values, start.weights.0[0].values);
}
