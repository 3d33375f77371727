//! `lth ticket bench`: the time of inference with a ticket, dense and sparse, measured side by side.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;

use super::super::folders;
use super::file::read_ticket;
use super::json::TicketBenchResult;
use crate::artifacts::{InferenceTiming, InputMap, Ticket};
use crate::base::rng::{Purpose, Stream};
use crate::base::tensors::TensorMap;
use crate::config::Augment;
use crate::data::{Dataset, Normalization, Split};
use crate::engine::torch::DenseInference;
use crate::engine::{EngineKind, Trainer, TrainerSpec};
use crate::system::clock::Stopwatch;
use crate::system::exit::Exit;
use crate::system::machine;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// The file of the ticket.
    #[arg(value_parser = folders::path_parser())]
    file: PathBuf,
    /// Number of measurements of each kind, which take turns.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u16).range(3..=1000))]
    samples: u16,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The numbers of images that are classified at a time.
const BATCHES: [usize; 3] = [1, 64, 1000];
/// The shortest time of a measurement in seconds: a batch is repeated until it is reached.
const SAMPLE_SECONDS: f64 = 0.02;

/// Runs `lth ticket bench` and returns its exit code.
///
/// # Errors
/// Fails if the ticket cannot be read, or an engine fails.
pub(super) fn run(args: &BenchArgs) -> Result<Exit> {
    let ticket = read_ticket(&args.file)?;
    let mut timings = Vec::new();
    for batch in BATCHES {
        let dataset = Arc::new(random_images(&ticket, batch));
        let mut variants = variants(&ticket, &dataset)?;
        timings.extend(measure(&mut variants, batch, args.samples.into())?);
    }
    let result = TicketBenchResult {
        file: args.file.clone(),
        processor: machine::processor(),
        libtorch: crate::engine::torch::LIBTORCH,
        samples: args.samples.into(),
        conclusions: ui::inference_conclusions(&timings),
        timings,
    };
    let text = if args.json {
        serde_json::to_string_pretty(&result)? + "\n"
    } else {
        let machine = format!("one thread of {}, libtorch {}", result.processor, result.libtorch);
        ui::inference_timings(&result.timings, &result.conclusions, &machine)
    };
    ui::print_result(&text)?;
    Ok(Exit::Success)
}

/// A way to compute the logits of the images of a data set.
struct Variant {
    name: &'static str,
    infer: Box<dyn FnMut() -> Result<()>>,
}

/// Returns random images of the shape that a ticket takes, all of them test images. What they show has no effect on the
/// time.
fn random_images(ticket: &Ticket, count: usize) -> Dataset {
    let shape = ticket.network.input;
    let bytes = count * shape.iter().product::<usize>();
    let mut generator = Stream::of_replicate(1, 1, Purpose::Split).generator(0);
    let images: Vec<u8> = (0..bytes).map(|_| (generator.normal() * 64.0 + 128.0) as u8).collect();
    let normalization = match &ticket.info.inputs {
        InputMap::Affine { scale, offset } => {
            Normalization::PerChannel(scale.iter().copied().zip(offset.iter().copied()).collect())
        }
        InputMap::UnitNorm {} => Normalization::PerImage(vec![1e-4; count]),
    };
    let test = (0..count as u32).collect();
    let (train, validation) = (Vec::new(), Vec::new());
    let labels = vec![0; count];
    Dataset { shape, classes: ticket.network.classes, images, labels, train, validation, test, normalization }
}

/// Returns the ways to compute the logits: every weight of the network as it was before pruning, the same with pruned
/// weights at 0, the compact network, and only the kept weights, where the sparse engine supports the network.
fn variants(ticket: &Ticket, dataset: &Arc<Dataset>) -> Result<Vec<Variant>> {
    let (small, _) = ticket.compact();
    let mut dense = ticket.trained.clone();
    // The values of pruned weights have no effect on the time, unless the processor is slower with them.
    dense.0.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|value| {
        if *value == 0.0 {
            *value = 1e-3;
        }
    });
    let torch = |name, network, tensors: &TensorMap| -> Result<Variant> {
        let inference = DenseInference::new(network, tensors, dataset)?;
        let images = dataset.test.clone();
        Ok(Variant { name, infer: Box::new(move || inference.logits(&images).map(|_| ())) })
    };
    let mut variants = vec![
        torch(InferenceTiming::DENSE, &ticket.network, &dense)?,
        torch(InferenceTiming::MASKED, &ticket.network, &ticket.trained)?,
        torch("compact", &small.network, &small.trained)?,
    ];
    if let Some(mut trainer) = sparse_trainer(&small, dataset)? {
        let infer = Box::new(move || trainer.evaluate(Split::Test).map(|_| ()));
        variants.push(Variant { name: InferenceTiming::SPARSE, infer });
    }
    Ok(variants)
}

/// Returns a trainer of the sparse engine that holds a ticket; `None` if the engine does not support its network.
fn sparse_trainer(ticket: &Ticket, dataset: &Arc<Dataset>) -> Result<Option<Box<dyn Trainer>>> {
    let mut experiment = ticket.experiment()?;
    experiment.data.augment = Augment::default();
    let spec = TrainerSpec::new(ticket.network.clone(), &experiment, None);
    let engine = EngineKind::Sparse.engine();
    if engine.supports(&spec, 1).is_err() {
        return Ok(None);
    }
    let mut trainer = engine.build(&spec, dataset, 1)?;
    trainer.set_threads(1);
    trainer.load(0, &ticket.trained_state(), &ticket.mask)?;
    Ok(Some(trainer))
}

/// Measures variants in turns on `batch` images at a time.
fn measure(variants: &mut [Variant], batch: usize, samples: usize) -> Result<Vec<InferenceTiming>> {
    let mut repeats = Vec::new();
    for variant in variants.iter_mut() {
        (variant.infer)()?;
        let watch = Stopwatch::start();
        (variant.infer)()?;
        repeats.push((SAMPLE_SECONDS / watch.seconds().max(1e-7)).ceil() as usize);
    }
    let mut seconds = vec![Vec::new(); variants.len()];
    for sample in 0..samples {
        for turn in 0..variants.len() {
            // Another variant begins each time, because the one before may leave caches and clock in another state.
            let index = (turn + sample) % variants.len();
            let infer = &mut variants[index].infer;
            infer()?;
            let watch = Stopwatch::start();
            for _ in 0..repeats[index] {
                infer()?;
            }
            seconds[index].push(watch.seconds() / repeats[index] as f64);
        }
    }
    let dense = seconds[0].clone();
    let timing = |(variant, seconds): (&Variant, &Vec<f64>)| InferenceTiming::new(variant.name, batch, seconds, &dense);
    Ok(variants.iter().zip(&seconds).map(timing).collect())
}
