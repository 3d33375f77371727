//! The line that answers a stop signal at once, while the current step is still running.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::runner::{Event, EventSink};
use crate::system::cancel::CancelToken;
use crate::system::exit::Exit;

/// The time between two looks at the flag: short enough that the notice seems to come at once.
const INTERVAL: Duration = Duration::from_millis(50);

/// Returns the result of `work`. If a signal raises `cancel` meanwhile, tells `sink` what happens next.
pub(super) fn with_stop_notice<T>(cancel: &CancelToken, sink: &dyn EventSink, work: impl FnOnce() -> T) -> T {
    let has_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = || {
            while !has_ended.load(Ordering::Relaxed) {
                if let Some(exit) = cancel.exit_code() {
                    return sink.on_event(&Event::Message(notice(exit)));
                }
                std::thread::sleep(INTERVAL);
            }
        };
        // Where the system allows no more threads, the notice is left out.
        let _ = std::thread::Builder::new().spawn_scoped(scope, watch);
        let _end = EndOnDrop(&has_ended);
        work()
    })
}

fn notice(exit: Exit) -> &'static str {
    match exit {
        Exit::Interrupted => "stopping after the current step, and saving progress; Ctrl-C again stops at once",
        _ => "stopping after the current step, and saving progress",
    }
}

/// Ends the watch, also if the work panics: the scope waits for its thread.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
