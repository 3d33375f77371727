//! Who does what: the state of every training, and which one is next. Knows no file and no thread.

mod keeping;
mod lanes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Error, Result};

pub(super) use self::keeping::Keeping;
use self::lanes::Lanes;
pub(super) use self::lanes::{Assignment, Task, Work};
use super::store::Finished;
use crate::base::key::Key;
use crate::base::outcome::Outcome;
use crate::config::Keep;
use crate::lottery::{AuditError, Need, Plan, Training, groups};

/// What broke a training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// With its causes.
    pub(super) cause: String,
    /// Whether it is the audit that found it.
    pub(super) by_audit: bool,
}

impl Failure {
    pub(super) fn new(error: &Error) -> Self {
        Self { cause: format!("{error:#}"), by_audit: error.is::<AuditError>() }
    }
}

/// The state of a training.
#[derive(Clone, Debug)]
enum State {
    /// Not begun.
    Open,
    /// Done, but its final weights are needed and are not there: to be run again for them.
    Restore(Arc<Finished>),
    /// A worker of this process has it; with what is known of it, where it is run again.
    Taken(Option<Arc<Finished>>),
    /// Another process had it when last looked at.
    Elsewhere(Option<Arc<Finished>>),
    /// In the store.
    Ended(Arc<Finished>),
    /// Broken; if it was run again for its final weights, what is known of it still stands.
    Failed(Failure, Option<Arc<Finished>>),
    /// In the store, but for final weights that cannot be made again because of another training.
    Lost(Arc<Finished>),
    /// Needs a training that did not end well.
    Blocked(Key),
}

impl State {
    /// What is known of the training, if it is in the store.
    fn finished(&self) -> Option<Arc<Finished>> {
        match self {
            Self::Restore(finished) | Self::Ended(finished) | Self::Lost(finished) => Some(Arc::clone(finished)),
            Self::Taken(known) | Self::Elsewhere(known) | Self::Failed(_, known) => known.clone(),
            Self::Open | Self::Blocked(_) => None,
        }
    }
}

/// How a plan stands: trainings that share a key are one. Inside, trainings go by number, in the plan's order, and so do
/// the groups that train in lockstep.
pub(super) struct Board<'a> {
    nodes: Vec<Node<'a>>,
    by_key: BTreeMap<&'a Key, usize>,
    /// Of each training of the plan, its number.
    of_plan: Vec<usize>,
    groups: Vec<Lanes>,
    /// The numbers of the groups by how much work hangs on them, longest chain first, then in the plan's order.
    order: Vec<usize>,
    /// The group that a worker asks another process about, and how many were asked about before.
    asking: Option<usize>,
    asked: usize,
    keep: Keep,
}

struct Node<'a> {
    training: &'a Training,
    /// The group it trains in.
    group: usize,
    state: State,
    /// The trainings that must be done before this one, and what it needs of each.
    parents: Vec<(usize, Need)>,
    /// The trainings that need something of this one, and what.
    children: Vec<(usize, Need)>,
    /// Whether its final weights have been freed.
    freed: bool,
    /// Where it is run again: the iteration after which all that is wanted of it is there, if that is not the last.
    until: Option<u64>,
}

impl Node<'_> {
    fn is_to_run(&self) -> bool {
        matches!(self.state, State::Open | State::Restore(_))
    }

    /// The steps that work on it takes; `last` is the last iteration of a whole training.
    fn steps(&self, last: u64) -> u64 {
        self.until.unwrap_or(last).saturating_sub(self.training.start.iteration())
    }
}

/// How many trainings ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// In the store, trained to the end.
    pub done: usize,
    /// In the store, diverged.
    pub diverged: usize,
    /// Broken.
    pub failed: usize,
    /// Need one that did not end well.
    pub blocked: usize,
    /// Not ended.
    pub open: usize,
    /// Of the done: could not be run again for their final weights.
    pub lost: usize,
}

/// What a worker may do.
#[derive(Debug)]
pub(super) enum Next<'a> {
    /// These trainings, in lockstep.
    Train(Assignment<'a>),
    /// Nothing just now: others are at work that this waits for.
    Wait,
    /// Nothing but to look whether another process is done with these.
    Ask(Assignment<'a>),
    /// Nothing any more.
    Over,
}

impl<'a> Board<'a> {
    /// The board of `plan`, given how many lanes a group has at most, which final weights are to be kept, what each training
    /// costs, what is in the store, and whether what somebody needs of a training that is done is there.
    pub(super) fn new(
        plan: &'a Plan,
        lanes: usize,
        keep: Keep,
        cost: impl Fn(&Training) -> f64,
        mut stored: impl FnMut(&Training) -> Result<Option<Finished>>,
        has: impl Fn(&Key, Need) -> bool,
    ) -> Result<Self> {
        let mut by_key: BTreeMap<&Key, usize> = BTreeMap::new();
        let mut nodes: Vec<Node<'_>> = Vec::new();
        let mut of_plan = Vec::with_capacity(plan.trainings.len());
        for training in &plan.trainings {
            let number = *by_key.entry(&training.key).or_insert(nodes.len());
            of_plan.push(number);
            if number < nodes.len() {
                continue;
            }
            let state = stored(training)?.map_or(State::Open, |finished| State::Ended(Arc::new(finished)));
            let parent = |(key, need)| Some((*by_key.get(key)?, need));
            let parents: Vec<(usize, Need)> = training.needs().into_iter().filter_map(parent).collect();
            for &(parent, need) in &parents {
                nodes[parent].children.push((number, need));
            }
            nodes.push(Node { training, group: 0, state, parents, children: Vec::new(), freed: false, until: None });
        }
        let groups: Vec<Lanes> = groups(plan, lanes).iter().map(|group| Lanes::new(group, &by_key)).collect();
        for (number, group) in groups.iter().enumerate() {
            group.members.iter().for_each(|&member| nodes[member].group = number);
        }
        let mut board = Self { nodes, by_key, of_plan, groups, order: Vec::new(), asking: None, asked: 0, keep };
        board.order = board.by_chain(cost);
        board.want_back(has);
        board.block();
        Ok(board)
    }

    /// Records that work on a training has begun: whoever asked about it asks no more.
    pub(super) fn began(&mut self, key: &Key) {
        let group = self.number(key).map(|number| self.nodes[number].group);
        if self.asking.is_some() && self.asking == group {
            self.asking = None;
        }
    }

    /// Records that a training has ended, here or elsewhere.
    pub(super) fn end(&mut self, key: &Key, finished: Finished) {
        self.set(key, State::Ended(Arc::new(finished)));
    }

    /// Records that a training broke; what was known of it before stands.
    pub(super) fn fail(&mut self, key: &Key, failure: Failure) {
        let known = self.finished(key);
        self.set(key, State::Failed(failure, known));
    }

    /// Records that another process has a training.
    pub(super) fn leave(&mut self, key: &Key) {
        let known = self.finished(key);
        self.set(key, State::Elsewhere(known));
    }

    /// Records that a training was not done after all.
    pub(super) fn put_back(&mut self, key: &Key) {
        let state = self.finished(key).map_or(State::Open, State::Restore);
        self.set(key, state);
    }

    fn set(&mut self, key: &Key, state: State) {
        self.began(key);
        let ended_badly = match &state {
            State::Ended(finished) => finished.outcome != Outcome::Done,
            other => matches!(other, State::Failed(..)),
        };
        if let Some(number) = self.number(key) {
            self.nodes[number].state = state;
        }
        if ended_badly {
            self.block();
        }
    }

    /// Blocks what needs a training that did not end well, or weights that cannot be had.
    fn block(&mut self) {
        // Parents stand before children in the plan's order.
        for number in 0..self.nodes.len() {
            let node = &self.nodes[number];
            if !node.is_to_run() {
                continue;
            }
            let is_culprit = |&&(parent, need): &&(usize, Need)| {
                let ended_badly = outcome(&self.nodes[parent].state).is_some_and(|outcome| outcome != Outcome::Done);
                let is_lost = matches!(self.nodes[parent].state, State::Failed(..) | State::Lost(_));
                ended_badly || need != Need::Entry && is_lost
            };
            if let Some(&(culprit, _)) = node.parents.iter().find(is_culprit) {
                let culprit = self.nodes[culprit].training.key;
                let known = node.state.finished();
                self.nodes[number].state = known.map_or(State::Blocked(culprit), State::Lost);
            }
        }
    }

    fn number(&self, key: &Key) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    fn state(&self, key: &Key) -> Option<&State> {
        Some(&self.nodes[self.number(key)?].state)
    }

    /// Whether each training of the plan is in the store, in its order.
    pub(super) fn are_stored(&self) -> impl Iterator<Item = bool> {
        self.of_plan.iter().map(|&number| self.nodes[number].state.finished().is_some())
    }

    /// Every training once, with what is known of it where it is in the store, and what stays of it when all is done.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'a Training, Option<Arc<Finished>>, Keeping)> {
        let stays = |node| Keeping { last: self.keeps_to_the_end(node), ..self.keeping(node) };
        self.nodes.iter().map(move |node| (node.training, node.state.finished(), stays(node)))
    }

    /// What is known of a training, if it is in the store.
    pub(super) fn finished(&self, key: &Key) -> Option<Arc<Finished>> {
        self.state(key)?.finished()
    }

    /// How a training ended; `None` where it has not.
    pub(super) fn outcome(&self, key: &Key) -> Option<Outcome> {
        outcome(self.state(key)?)
    }

    /// What broke a training, running it again included.
    pub(super) fn failure(&self, key: &Key) -> Option<&Failure> {
        match self.state(key)? {
            State::Failed(failure, _) => Some(failure),
            _ => None,
        }
    }

    /// Each training that is to be run and its steps, those included that are run again for what was not kept; `last` is
    /// the last iteration of a whole training.
    pub(super) fn to_run(&self, last: u64) -> impl Iterator<Item = (&'a Training, u64)> {
        self.nodes.iter().filter(|node| node.is_to_run()).map(move |node| (node.training, node.steps(last)))
    }

    /// How many of the plan's trainings ended how.
    pub(super) fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for &number in &self.of_plan {
            let state = &self.nodes[number].state;
            summary.lost += usize::from(matches!(state, State::Failed(_, Some(_)) | State::Lost(_)));
            let count = match outcome(state) {
                Some(Outcome::Done) => &mut summary.done,
                Some(Outcome::Diverged { .. }) => &mut summary.diverged,
                Some(Outcome::Failed { .. }) => &mut summary.failed,
                Some(Outcome::Blocked { .. }) => &mut summary.blocked,
                None => &mut summary.open,
            };
            *count += 1;
        }
        summary
    }
}

/// How a training in this state ended. One that is in the store has ended as it did, whatever became of running it
/// again.
fn outcome(state: &State) -> Option<Outcome> {
    match state {
        State::Failed(failure, None) => Some(Outcome::Failed { cause: failure.cause.clone() }),
        State::Blocked(by) => Some(Outcome::Blocked { by: *by }),
        state => state.finished().map(|finished| finished.outcome.clone()),
    }
}
