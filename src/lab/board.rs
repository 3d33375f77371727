//! Who does what: the state of every training, and which one is next. Knows no file and no thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use super::store::Finished;
use crate::base::key::Key;
use crate::base::outcome::Outcome;
use crate::config::Keep;
use crate::lottery::{MaskRule, Plan, Training};

/// What broke a training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// With its causes.
    pub(super) cause: String,
    /// Whether it is the audit that found it.
    pub(super) by_audit: bool,
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

/// How a plan stands, by key: trainings that share a key are one.
pub(super) struct Board<'a> {
    nodes: BTreeMap<&'a Key, Node<'a>>,
    /// The keys by how much work hangs on them, longest chain first, then in the plan's order.
    order: Vec<&'a Key>,
    /// The training that a worker asks another process about, and how many were asked about before.
    asking: Option<Key>,
    asked: usize,
    keep: Keep,
}

struct Node<'a> {
    training: &'a Training,
    state: State,
    /// Children that prune by its final weights.
    children: Vec<&'a Key>,
    /// Whether its final weights have been freed.
    freed: bool,
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
    /// This training; `restore` where only its final weights are wanted.
    Train { training: &'a Training, restore: bool },
    /// Nothing just now: others are at work that this waits for.
    Wait,
    /// Nothing but to look whether another process is done with this one.
    Ask { training: &'a Training, restore: bool },
    /// Nothing any more.
    Over,
}

impl<'a> Board<'a> {
    /// The board of `plan`, given which final weights are to be kept, what is in the store and which final weights are
    /// there.
    pub(super) fn new(
        plan: &'a Plan,
        keep: Keep,
        mut stored: impl FnMut(&Training) -> Result<Option<Finished>>,
        has_last: impl Fn(&Key) -> bool,
    ) -> Result<Self> {
        let mut nodes: BTreeMap<&Key, Node<'_>> = BTreeMap::new();
        let mut keys = Vec::new();
        for training in &plan.trainings {
            if nodes.contains_key(&training.key) {
                continue;
            }
            let state = stored(training)?.map_or(State::Open, |finished| State::Ended(Arc::new(finished)));
            nodes.insert(&training.key, Node { training, state, children: Vec::new(), freed: false });
            keys.push(&training.key);
            if let Some(parent) = training.prunes().and_then(|parent| nodes.get_mut(parent)) {
                parent.children.push(&training.key);
            }
        }
        let mut board = Self { order: by_chain(&keys, &nodes), nodes, asking: None, asked: 0, keep };
        board.want_back(&keys, has_last);
        board.block();
        Ok(board)
    }

    /// Final weights that are wanted and not there are made again. They are wanted by a child that is to be trained,
    /// and by `run.keep`; where they were freed, the training runs again, and so on up the chain: children stand behind
    /// their parents, so one pass from the end finds all.
    fn want_back(&mut self, keys: &[&'a Key], has_last: impl Fn(&Key) -> bool) {
        for key in keys.iter().rev() {
            let node = &self.nodes[key];
            let runs = |key| matches!(self.nodes[key].state, State::Open | State::Restore(_));
            let is_wanted = node.children.iter().any(|child| runs(*child)) || self.keeps_for_good(node.training);
            let Some(node) = self.nodes.get_mut(key).filter(|_| is_wanted) else { continue };
            if let State::Ended(finished) = &node.state
                && finished.outcome == Outcome::Done
                && !has_last(key)
            {
                node.state = State::Restore(Arc::clone(finished));
            }
        }
    }

    /// What to do next; a training that is given out counts as taken.
    pub(super) fn next(&mut self) -> Next<'a> {
        let ready = self.order.iter().copied().find(|key| {
            let node = &self.nodes[key];
            matches!(node.state, State::Open | State::Restore(_)) && self.is_ready(node.training)
        });
        if let Some((training, restore)) = ready.and_then(|key| self.give_out(key)) {
            return Next::Train { training, restore };
        }
        if self.asking.is_none()
            && let Some(next) = self.ask()
        {
            return next;
        }
        let busy = self.nodes.values().any(|node| matches!(node.state, State::Taken(_)));
        if busy { Next::Wait } else { Next::Over }
    }

    /// Gives out one of the trainings that other processes have, each in turn, to look whether it is done.
    fn ask(&mut self) -> Option<Next<'a>> {
        let is_elsewhere = |key: &&&Key| matches!(self.nodes[**key].state, State::Elsewhere(_));
        let elsewhere: Vec<&'a Key> = self.order.iter().filter(is_elsewhere).copied().collect();
        let key = *elsewhere.get(self.asked % elsewhere.len().max(1))?;
        self.asked += 1;
        self.asking = Some(*key);
        let (training, restore) = self.give_out(key)?;
        Some(Next::Ask { training, restore })
    }

    /// Marks a training as taken; tells whether it is in the store and only its final weights are wanted.
    fn give_out(&mut self, key: &Key) -> Option<(&'a Training, bool)> {
        let node = self.nodes.get_mut(key)?;
        let known = node.state.finished();
        let restore = known.is_some();
        node.state = State::Taken(known);
        Some((node.training, restore))
    }

    /// A training needs the entries it refers to, and of the one it prunes the final weights too.
    fn is_ready(&self, training: &Training) -> bool {
        let is_done = |key: &Key| self.finished(key).is_some_and(|finished| finished.outcome == Outcome::Done);
        let has_weights = |key: &Key| self.nodes.get(key).is_some_and(|node| matches!(node.state, State::Ended(_)));
        training.after().into_iter().all(is_done) && training.prunes().is_none_or(has_weights)
    }

    /// Records that work on a training has begun: whoever asked about it asks no more.
    pub(super) fn began(&mut self, key: &Key) {
        if self.asking == Some(*key) {
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
        if let Some(node) = self.nodes.get_mut(key) {
            node.state = state;
        }
        if ended_badly {
            self.block();
        }
    }

    /// Blocks what needs a training that did not end well, or final weights that cannot be had.
    fn block(&mut self) {
        // Parents stand before children in the order of chains as well: a parent's chain is longer by itself.
        for i in 0..self.order.len() {
            let node = &self.nodes[self.order[i]];
            if !matches!(node.state, State::Open | State::Restore(_)) {
                continue;
            }
            let ended_badly = |key: &&&Key| self.outcome(key).is_some_and(|outcome| outcome != Outcome::Done);
            let is_lost =
                |key: &&Key| self.nodes.get(key).is_some_and(|n| matches!(n.state, State::Failed(..) | State::Lost(_)));
            let after = node.training.after();
            let culprit = after.iter().find(ended_badly).copied().or(node.training.prunes().filter(is_lost));
            if let Some(&culprit) = culprit
                && let Some(node) = self.nodes.get_mut(self.order[i])
            {
                let known = node.state.finished();
                node.state = known.map_or(State::Blocked(culprit), State::Lost);
            }
        }
    }

    /// What is known of a training, if it is in the store.
    pub(super) fn finished(&self, key: &Key) -> Option<Arc<Finished>> {
        self.nodes.get(key)?.state.finished()
    }

    /// How a training ended; `None` where it has not. One that is in the store has ended as it did, whatever became of
    /// running it again.
    pub(super) fn outcome(&self, key: &Key) -> Option<Outcome> {
        match &self.nodes.get(key)?.state {
            State::Failed(failure, None) => Some(Outcome::Failed { cause: failure.cause.clone() }),
            State::Blocked(by) => Some(Outcome::Blocked { by: *by }),
            state => state.finished().map(|finished| finished.outcome.clone()),
        }
    }

    /// What broke a training, running it again included.
    pub(super) fn failure(&self, key: &Key) -> Option<&Failure> {
        match &self.nodes.get(key)?.state {
            State::Failed(failure, _) => Some(failure),
            _ => None,
        }
    }

    /// Whether the final weights of a training are written when it ends: unless `run.keep` is `all`, of the dense
    /// training and of every round of a chain. With `needed` those in between are freed when their children are done;
    /// what is the last round for one experiment is in between for another that goes on from it.
    pub(super) fn keeps_last(&self, training: &Training) -> bool {
        self.keep == Keep::All || training.mask == MaskRule::Dense || training.prunes().is_some()
    }

    /// Whether they are not freed either: `run.keep` asks for more than is needed.
    pub(super) fn keeps_for_good(&self, training: &Training) -> bool {
        self.keep != Keep::Needed && self.keeps_last(training)
    }

    /// The trainings whose final weights nobody needs any more, each told once.
    pub(super) fn take_needless(&mut self) -> Vec<Key> {
        if self.keep != Keep::Needed {
            return Vec::new();
        }
        let ended = |key: &&Key| matches!(self.nodes[*key].state, State::Ended(_));
        let needless = |node: &&Node<'_>| {
            let between = node.training.mask != MaskRule::Dense && !node.children.is_empty() && !node.freed;
            between && matches!(node.state, State::Ended(_)) && node.children.iter().all(ended)
        };
        let keys: Vec<Key> = self.nodes.values().filter(needless).map(|node| node.training.key).collect();
        for key in &keys {
            self.nodes.get_mut(key).into_iter().for_each(|node| node.freed = true);
        }
        keys
    }

    /// Trainings that are to be run, those for their final weights included.
    pub(super) fn to_run(&self) -> usize {
        self.nodes.values().filter(|node| matches!(node.state, State::Open | State::Restore(_))).count()
    }

    /// The most trainings that must be run one after the other.
    pub(super) fn longest_chain(&self) -> usize {
        let mut chain: BTreeMap<&Key, usize> = BTreeMap::new();
        // From the end: the order has parents before their children.
        for key in self.order.iter().rev() {
            let node = &self.nodes[key];
            let own = chain.get(key).copied().unwrap_or(0)
                + usize::from(matches!(node.state, State::Open | State::Restore(_)));
            chain.insert(key, own);
            for parent in node.training.after() {
                let longest = chain.entry(parent).or_insert(0);
                *longest = (*longest).max(own);
            }
        }
        chain.into_values().max().unwrap_or(0)
    }

    /// How many of `plan`'s trainings ended how.
    pub(super) fn summary(&self, plan: &Plan) -> Summary {
        let mut summary = Summary::default();
        for training in &plan.trainings {
            let node = self.nodes.get(&training.key);
            let is_lost = node.is_some_and(|n| matches!(n.state, State::Failed(_, Some(_)) | State::Lost(_)));
            summary.lost += usize::from(is_lost);
            let count = match self.outcome(&training.key) {
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

/// The keys by the number of trainings in the longest chain that begins with each: what holds up most goes first.
fn by_chain<'a>(keys: &[&'a Key], nodes: &BTreeMap<&'a Key, Node<'a>>) -> Vec<&'a Key> {
    let mut chain: BTreeMap<&Key, usize> = BTreeMap::new();
    for key in keys.iter().rev() {
        let own = *chain.entry(key).or_insert(1);
        for parent in nodes[key].training.after() {
            let longest = chain.entry(parent).or_insert(1);
            *longest = (*longest).max(own + 1);
        }
    }
    let mut order = keys.to_vec();
    order.sort_by_cached_key(|key| std::cmp::Reverse(chain[key]));
    order
}

#[cfg(test)]
mod tests;
