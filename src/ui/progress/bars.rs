//! The event sink for a terminal: a bar for each training run in progress, a bar for the whole run, and above them a
//! permanent line for each finished training run.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::layout::ProgressView;
use super::painter::{Painter, Terminal};
use super::text;
use crate::runner::{Event, EventSink};

/// Time between two frames.
const FRAME_INTERVAL: Duration = Duration::from_millis(100);

/// Bars on a terminal, from the start of the run to its end.
pub(super) struct Bars {
    shared: Arc<SharedBars>,
    /// The thread that draws the frames.
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// State shared with the drawing thread.
struct SharedBars {
    state: Mutex<BarsState>,
    /// Notified at the end of the run.
    finished: Condvar,
}

/// The state of the bars.
struct BarsState {
    view: ProgressView,
    painter: Painter,
    is_finished: bool,
}

impl Bars {
    /// Returns bars that are shown from [`Event::RunStarted`] on.
    pub(super) fn new(terminal: Box<dyn Terminal>) -> Self {
        let state = BarsState { view: ProgressView::default(), painter: Painter::new(terminal), is_finished: false };
        let shared = SharedBars { state: Mutex::new(state), finished: Condvar::new() };
        Self { shared: Arc::new(shared), thread: Mutex::new(None) }
    }

    /// Starts the thread that draws the frames. Workers only update the state, so that drawing does not slow them down.
    fn start(&self) {
        let shared = Arc::clone(&self.shared);
        let draw = move || {
            let mut state = shared.lock();
            while !state.is_finished {
                state.draw();
                state = shared.finished.wait_timeout(state, FRAME_INTERVAL).unwrap_or_else(PoisonError::into_inner).0;
            }
        };
        // If the thread cannot be started, there are no bars, but permanent lines are still printed.
        let thread = std::thread::Builder::new().name("bars".to_owned()).spawn(draw).ok();
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = thread;
    }

    /// Clears the bars and ends the thread.
    fn finish(&self) {
        let mut state = self.shared.lock();
        state.is_finished = true;
        state.painter.clear();
        drop(state);
        self.shared.finished.notify_all();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the thread has been printed already.
            let _ = thread.join();
        }
    }
}

impl Drop for Bars {
    /// Clears the bars of a run that ends without [`Event::RunFinished`].
    fn drop(&mut self) {
        self.finish();
    }
}

impl SharedBars {
    /// Locks the state.
    fn lock(&self) -> MutexGuard<'_, BarsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BarsState {
    /// Draws a frame.
    fn draw(&mut self) {
        self.painter.draw(self.view.lines(self.painter.size()));
    }

    /// Prints a permanent line above the bars.
    fn print(&mut self, text: &str) {
        let block = if self.is_finished { Vec::new() } else { self.view.lines(self.painter.size()) };
        self.painter.print(text, block);
    }
}

impl EventSink for Bars {
    fn on_event(&self, event: &Event<'_>) {
        let mut state = self.shared.lock();
        state.view.update(event);
        let (width, _) = state.painter.size();
        match event {
            Event::RunStarted { iterations, .. } => {
                state.print(&text::wrapped(&text::header(event).unwrap_or_default(), width));
                drop(state);
                if *iterations > 0 {
                    self.start();
                }
            }
            Event::Ended { id, result, .. } => {
                state.print(&text::ended_within(width, &text::count(event), id, result));
            }
            Event::Message(text) => state.print(&text::wrapped(text, width)),
            Event::RunFinished => {
                drop(state);
                self.finish();
            }
            Event::Started { .. } | Event::Stepped { .. } | Event::Waiting { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
