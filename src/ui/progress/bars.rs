//! On a terminal: a bar for each training at work, one for all, and a permanent line per finished training above them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::layout::ProgressView;
use super::painter::{Painter, Terminal};
use super::text;
use crate::runner::{Event, EventSink};

/// How long a change, of the work or of the window, may go unseen.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// Bars on a terminal, from the moment that work begins until it is over.
pub(super) struct Bars {
    shared: Arc<SharedBars>,
    drawing: Mutex<Option<JoinHandle<()>>>,
}

struct SharedBars {
    state: Mutex<BarsState>,
    over: Condvar,
}

struct BarsState {
    block: ProgressView,
    screen: Painter,
    is_over: bool,
}

impl Bars {
    /// Bars that are not shown before work begins.
    pub(super) fn new(terminal: Box<dyn Terminal>) -> Self {
        let state = BarsState { block: ProgressView::default(), screen: Painter::new(terminal), is_over: false };
        let shared = SharedBars { state: Mutex::new(state), over: Condvar::new() };
        Self { shared: Arc::new(shared), drawing: Mutex::new(None) }
    }

    /// Draws now and then, in a thread of its own: the workers only say how far they are.
    fn begin(&self) {
        let shared = Arc::clone(&self.shared);
        let draw = move || {
            let mut state = shared.lock();
            while !state.is_over {
                state.draw();
                state = shared.over.wait_timeout(state, DRAW_EVERY).unwrap_or_else(PoisonError::into_inner).0;
            }
        };
        // Without the thread there are no bars, but still the lines.
        let thread = std::thread::Builder::new().name("bars".to_owned()).spawn(draw).ok();
        *self.drawing.lock().unwrap_or_else(PoisonError::into_inner) = thread;
    }

    fn end(&self) {
        let mut state = self.shared.lock();
        state.is_over = true;
        state.screen.clear();
        drop(state);
        self.shared.over.notify_all();
        if let Some(thread) = self.drawing.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It cannot have panicked but by a slip of ours, which has been told then.
            let _ = thread.join();
        }
    }
}

impl Drop for Bars {
    /// What stops a run halfway must not leave bars behind.
    fn drop(&mut self) {
        self.end();
    }
}

impl SharedBars {
    fn lock(&self) -> MutexGuard<'_, BarsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BarsState {
    fn draw(&mut self) {
        self.screen.draw(self.block.lines(self.screen.size()));
    }

    fn print(&mut self, text: &str) {
        let block = if self.is_over { Vec::new() } else { self.block.lines(self.screen.size()) };
        self.screen.print(text, block);
    }
}

impl EventSink for Bars {
    fn on_event(&self, event: &Event<'_>) {
        let mut state = self.shared.lock();
        state.block.tell(event);
        let (width, _) = state.screen.size();
        match event {
            Event::RunStarted { iterations, .. } => {
                state.print(&text::wrapped(&text::header(event).unwrap_or_default(), width));
                drop(state);
                if *iterations > 0 {
                    self.begin();
                }
            }
            Event::Ended { label, result, ended, trainings, .. } => {
                state.print(&text::ended_within(width, label, result, *ended, *trainings));
            }
            Event::Message(text) => state.print(&text::wrapped(text, width)),
            Event::RunFinished => {
                drop(state);
                self.end();
            }
            Event::Started { .. } | Event::Stepped { .. } | Event::Waiting { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
