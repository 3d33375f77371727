//! Measures the speed of a study's training on this machine: builds its trainers, and takes real steps and evaluates real
//! images for about two seconds.

use std::sync::Arc;

use anyhow::{Error, Result};

use super::context::TrainerFactory;
use super::cost_model::CostModel;
use super::jobs::JobPlan;
use super::recorded_timings::recorded_timings;
use super::store::Store;
use super::time_estimate::{TimingSample, Timings};
use crate::base::mask::{LayerMask, Mask};
use crate::base::rng::{Purpose, Stream};
use crate::base::tensors::Snapshot;
use crate::base::units::Iteration;
use crate::data::{Dataset, Split};
use crate::engine::{EngineKind, Trainer};
use crate::lottery::{Study, TrainingSpec};
use crate::network::{init_buffers, init_weights};
use crate::prune::random_mask;
use crate::system::clock::Stopwatch;
use crate::system::parallel::run_in_parallel;
use crate::train::{BatchSampler, LaneInput, TrainingLoop};

/// The seconds of steps that are measured, for all engines together.
const STEP_SECONDS: f64 = 1.5;
/// The seconds of steps before the measurement, in which caches and thread pools fill; at least one step is taken.
const WARM_UP_SECONDS: f64 = 0.1;
/// The largest number of images that are evaluated.
const MAX_EVALUATED: usize = 1000;
/// The largest number of multiply-adds of the evaluation.
const MAX_EVALUATION_MACS: u64 = 4_000_000_000;

/// The measured speed of a study's training on this machine.
#[derive(Clone, Debug)]
pub struct Calibration(pub(super) Timings);

impl Calibration {
    /// Measures the speed of the training runs that are missing in `store`: one of each engine, in as many threads as
    /// `workers` of a run would train at a time. Returns `None` if nothing is missing.
    ///
    /// # Errors
    /// Fails if the store or the data cannot be read, or a trainer fails.
    pub fn measure(
        study: &Study,
        store: &Store,
        trainers: &dyn TrainerFactory,
        workers: usize,
    ) -> Result<Option<Self>> {
        let jobs = store.jobs_of(study)?;
        let groups = typical_groups(&jobs, CostModel::new(study));
        if groups.is_empty() {
            return Ok(None);
        }
        let dataset = Arc::new(with_few_evaluated(trainers.dataset()?, study));
        let watch = Stopwatch::start();
        let budget = STEP_SECONDS / groups.len() as f64;
        let mut samples = Vec::new();
        for lanes in &groups {
            let measure = || measure_group(study, lanes, trainers, &dataset, budget);
            let threads = workers.min(jobs.groups_to_run().count());
            for sample in run_in_parallel((0..threads).map(|_| measure)) {
                samples.push(sample.map_err(|error: Error| trainers.explain(error, lanes.len()))?);
            }
        }
        Ok(Some(Self(Timings { samples, measured_in: Some(watch.seconds()) })))
    }
}

/// Returns, for each engine with a job, the lanes of the group whose cost is the median.
fn typical_groups<'a>(jobs: &JobPlan<'a>, costs: CostModel<'_>) -> Vec<Vec<&'a TrainingSpec>> {
    let typical = |engine: EngineKind| {
        let mut groups: Vec<Vec<&TrainingSpec>> =
            jobs.groups_to_run().map(|(group, _)| jobs.graph.lanes(group)).collect();
        groups.retain(|lanes| lanes[0].engine == engine);
        groups.sort_by(|a, b| costs.group_nanoseconds(a, 1).total_cmp(&costs.group_nanoseconds(b, 1)));
        let middle = groups.len() / 2;
        (middle < groups.len()).then(|| groups.swap_remove(middle))
    };
    EngineKind::ALL.into_iter().filter_map(typical).collect()
}

/// Returns the data set with fewer validation images, so that an evaluation takes a fraction of a second.
fn with_few_evaluated(mut dataset: Dataset, study: &Study) -> Dataset {
    let network = &study.resolved.network;
    let macs_per_image = network.macs(network.weight_counts()).max(1);
    let affordable = (MAX_EVALUATION_MACS / macs_per_image).max(16) as usize;
    dataset.validation.truncate(affordable.min(MAX_EVALUATED));
    dataset
}

/// Trains the networks of a lockstep group from fresh weights for about `budget` seconds, with random masks of the sizes
/// of `lanes`, and evaluates them on the validation images.
fn measure_group(
    study: &Study,
    lanes: &[&TrainingSpec],
    trainers: &dyn TrainerFactory,
    dataset: &Arc<Dataset>,
    budget: f64,
) -> Result<TimingSample> {
    let engine = lanes[0].engine;
    let costs = CostModel::new(study);
    let mut trainer = trainers.build(engine, lanes.len(), dataset)?;
    let starts: Vec<(Mask, Snapshot)> = lanes.iter().map(|spec| start(study, &costs.effective_counts(spec))).collect();
    let step_seconds = time_steps(study, trainer.as_mut(), &starts, dataset, budget)?;
    let watch = Stopwatch::start();
    trainer.evaluate(Split::Validation)?;
    let seconds_per_image = watch.seconds() / dataset.validation.len() as f64;
    let seconds = step_seconds + seconds_per_image * costs.images_evaluated_per_step();
    let estimated = costs.group_nanoseconds(lanes, 1);
    Ok(TimingSample { engine, lanes: lanes.len(), ratio: 1e9 * seconds / estimated })
}

/// Returns a random mask that keeps `kept` weights of each layer, and initial weights under it.
fn start(study: &Study, kept: &[u64]) -> (Mask, Snapshot) {
    let network = &study.resolved.network;
    let layers = network.weights().iter().zip(kept).map(|(weight, &kept)| LayerMask {
        name: weight.parameter.name.clone(),
        shape: weight.parameter.shape.clone(),
        kept: (0..weight.parameter.len() as u64).map(|index| index < kept).collect(),
    });
    let generator = |purpose| Stream::of_replicate(study.experiment.seed, 1, purpose).generator(0);
    let mask = random_mask(&Mask(layers.collect()), &mut generator(Purpose::Mask));
    let config = &study.experiment.network;
    let mut weights = init_weights(network, config.init, config.init_std(), &mut generator(Purpose::Init));
    mask.apply(&mut weights);
    (mask, Snapshot { buffers: init_buffers(network), ..Snapshot::initial(weights) })
}

/// Returns the mean seconds of a step of all lanes, over about `budget` seconds.
fn time_steps(
    study: &Study,
    trainer: &mut dyn Trainer,
    starts: &[(Mask, Snapshot)],
    dataset: &Dataset,
    budget: f64,
) -> Result<f64> {
    let train = &study.experiment.train;
    let stream = |purpose| Stream::of_replicate(study.experiment.seed, 1, purpose);
    let inputs = starts.iter().map(|(mask, start)| LaneInput {
        order: BatchSampler::new(stream(Purpose::Order), &dataset.train, train.batch_size as usize, train.drop_last),
        elementwise: stream(Purpose::Elementwise).counter_rng(),
        start,
        mask,
        updates: None,
        learns_mask: false,
        lr_factor: 1.0,
        snapshots_at: &[],
    });
    let mut training = TrainingLoop::start(trainer, train, inputs.collect(), Iteration(u64::MAX))?;
    seconds_per_step(&mut training, WARM_UP_SECONDS)?;
    seconds_per_step(&mut training, budget)
}

/// Takes steps for `budget` seconds, and at least one. Returns the mean seconds of a step.
fn seconds_per_step(training: &mut TrainingLoop<'_>, budget: f64) -> Result<f64> {
    let watch = Stopwatch::start();
    let mut steps = 0;
    while steps == 0 || watch.seconds() < budget {
        training.step()?;
        steps += 1;
    }
    // A step does not wait for the device; reading its state does.
    training.loaded(0)?;
    Ok(watch.seconds() / f64::from(steps))
}

/// Returns the timings of a study: those measured for it, else those of stored training runs.
///
/// # Errors
/// Fails if the store cannot be listed.
pub(super) fn timings(
    study: &Study,
    store: &Store,
    costs: CostModel<'_>,
    measured: Option<Calibration>,
) -> Result<Timings> {
    match measured {
        Some(Calibration(timings)) => Ok(timings),
        None => Ok(Timings { samples: recorded_timings(study, store, costs)?, measured_in: None }),
    }
}
