//! Robustness, calibration and accuracy by class of tickets in files, whose data sets have the same test images.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};

use super::super::events::EventSink;
use super::super::measuring::{Measurement, Measurer, measure_in_parallel};
use super::check_accuracy;
use super::rows::add_rows;
use crate::artifacts::{RobustnessData, RobustnessRow, Ticket, TicketScore};
use crate::data::{Dataset, Split};
use crate::engine::Probe;
use crate::system::cancel::CancelToken;
use crate::train::robustness::{
    CleanMeasurement, ConditionMeasurement, EvaluatedNetwork, EvaluationDefinition, TestImages,
};

/// A ticket and the data set that it was trained on.
pub struct EvaluatedTicket {
    /// Name of the file in messages.
    pub name: String,
    /// Name of the arm in rows.
    pub arm: String,
    /// The ticket.
    pub ticket: Ticket,
    /// The data set, whose normalization the network needs.
    pub dataset: Arc<Dataset>,
}

/// The evaluation of tickets.
pub struct TicketEvaluation<'a> {
    /// The tickets.
    pub tickets: &'a [EvaluatedTicket],
    /// What is measured.
    pub definition: &'a EvaluationDefinition,
    /// Builds the probe of a ticket's network, in the thread that will use it.
    pub probe: &'a (dyn Fn(&EvaluatedTicket) -> Result<Box<dyn Probe>> + Sync),
    /// Receives a message for each ticket.
    pub sink: &'a dyn EventSink,
    /// The flag that stops the evaluation.
    pub cancel: &'a CancelToken,
}

impl TicketEvaluation<'_> {
    /// Measures all tickets in `workers` threads, and returns the rows in the order of the tickets, those that were
    /// measured until the evaluation is stopped.
    ///
    /// # Errors
    /// Fails if a ticket has not the accuracy that was recorded after training, or the device fails.
    pub fn data(&self, workers: usize) -> Result<RobustnessData> {
        let Some(first) = self.tickets.first() else { return Ok(RobustnessData::default()) };
        let images = TestImages::new(&first.dataset);
        let items: Vec<TicketItem<'_>> =
            self.tickets.iter().map(|ticket| TicketItem { ticket, measured: Mutex::default() }).collect();
        measure_in_parallel(&items, workers, self.sink, || TicketMeasurer { evaluation: self, images: &images })?;
        let mut data = RobustnessData::default();
        for TicketItem { ticket, measured } in items {
            if let Some((clean, conditions)) = measured.into_inner().unwrap_or_else(PoisonError::into_inner) {
                add_rows(&mut data, ticket.place(), ticket.recorded_accuracy()?, &clean, &conditions);
            }
        }
        Ok(data)
    }
}

impl EvaluatedTicket {
    /// Returns the columns of a row that say which network it is.
    fn place(&self) -> RobustnessRow {
        let origin = &self.ticket.info.training;
        RobustnessRow {
            experiment: origin.experiment.clone(),
            arm: self.arm.clone(),
            replicate: origin.replicate,
            repeat: origin.repeat,
            round: origin.round,
            weights_remaining: origin.weights_kept as f64 / origin.weights_total as f64,
            key: origin.key.to_string(),
            ..RobustnessRow::default()
        }
    }

    /// Returns the accuracy on test images that was recorded after training.
    fn recorded_accuracy(&self) -> Result<f64> {
        let score = TicketScore::of_final(&self.ticket.info.scores, Split::Test);
        Ok(score.with_context(|| format!("`{}` has no test accuracy", self.name))?.accuracy)
    }
}

/// A ticket, and what was measured of it.
struct TicketItem<'a> {
    ticket: &'a EvaluatedTicket,
    measured: Mutex<Option<(CleanMeasurement, Vec<ConditionMeasurement>)>>,
}

/// Measures tickets, in one thread.
struct TicketMeasurer<'a> {
    evaluation: &'a TicketEvaluation<'a>,
    images: &'a TestImages<'a>,
}

impl<'a> Measurer for TicketMeasurer<'a> {
    type Item = TicketItem<'a>;

    fn measure(&mut self, item: &TicketItem<'a>) -> Result<Measurement> {
        let TicketEvaluation { definition, probe, cancel, .. } = self.evaluation;
        let ticket = item.ticket;
        let probe = probe(ticket)?;
        let snapshot = ticket.ticket.trained_state();
        let network = EvaluatedNetwork { probe: probe.as_ref(), snapshot: &snapshot, mask: &ticket.ticket.mask };
        let should_stop = || cancel.is_cancelled();
        let Some(clean) = network.measure_clean(self.images, &should_stop)? else { return Ok(Measurement::Cancelled) };
        check_accuracy(&ticket.name, ticket.recorded_accuracy()?, &clean)?;
        let mut conditions = Vec::new();
        for condition in definition.conditions() {
            let Some(measured) = network.measure(condition, self.images, &should_stop)? else {
                return Ok(Measurement::Cancelled);
            };
            conditions.push(measured);
        }
        *item.measured.lock().unwrap_or_else(PoisonError::into_inner) = Some((clean, conditions));
        Ok(Measurement::Stored)
    }

    fn name(item: &TicketItem<'a>) -> String {
        item.ticket.name.clone()
    }
}
