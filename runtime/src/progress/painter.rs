//! The thread that shows all calls of the process.
//!
//! It alone draws: a thread that panics cannot (indicatif keeps quiet there), and an item should not
//! have to. Who ends a call waits until its bar is gone, so that what is printed next stands below
//! its last line.

use std::cell::Cell;
use std::panic;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use super::estimate::Estimate;
use super::meter::{Counts, Gauge};
use super::mode::{Mode, mode};
use super::screen::{self, Bar};
use super::text;
use crate::per_process::PerProcess;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::threads;

/// How often it looks.
const STEP: Duration = Duration::from_millis(100);

/// How long it stays when there is nothing to show.
const KEEP: Duration = Duration::from_secs(1);

/// The longest that anybody waits for it. It may hang in a terminal that takes nothing (Ctrl-S).
const PATIENCE: Duration = Duration::from_secs(1);

/// When a call has its first line, where there are lines; each next one after twice the time, but not
/// later than [`SELDOM`] after the one before.
const FIRST: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(30);

static PAINTER: PerProcess<Painter> = PerProcess::new(Painter::default);

#[derive(Default)]
struct Painter {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    shown: Vec<Shown>,
    /// The thread runs, or is about to.
    is_there: bool,
    /// Those who want to see no bars for a moment.
    withdrawals: usize,
    is_hidden: bool,
}

/// A call, and what is to be seen of it.
struct Shown {
    gauge: Arc<Gauge>,
    estimate: Estimate,
    face: Face,
}

enum Face {
    /// The next line comes after this time.
    Lines(Duration),
    /// None before it is drawn first: on the thread that draws.
    Bar(Option<Bar>),
}

/// Shows a call from now on.
pub(super) fn show(gauge: Arc<Gauge>) {
    let face = match mode() {
        Mode::Off => return,
        Mode::Plain => Face::Lines(FIRST),
        Mode::Bar => Face::Bar(None),
    };
    let shown = Shown {
        gauge,
        estimate: Estimate::default(),
        face,
    };
    let mut state = PAINTER.state.lock();
    state.shown.push(shown);
    if state.is_there {
        PAINTER.changed.notify_all();
        return;
    }
    state.is_there = true;
    drop(state);
    if threads::spawn(Box::new(paint)).is_err() {
        // Then there is a line at the end, and nothing before it.
        PAINTER.state.lock().is_there = false;
    }
}

/// Waits until the call is not shown any more, its last line included.
pub(super) fn take_away(gauge: &Arc<Gauge>) {
    let is_it = |it: &Shown| Arc::ptr_eq(&it.gauge, gauge);
    let end = Instant::now() + PATIENCE;
    let mut state = PAINTER.state.lock();
    PAINTER.changed.notify_all();
    while let Some(at) = state.shown.iter().position(is_it) {
        let left = end.saturating_duration_since(Instant::now());
        if !state.is_there {
            let shown = state.shown.remove(at);
            drop(state);
            return shown.end();
        }
        if left.is_zero() {
            return;
        }
        state = PAINTER.changed.wait_timeout(state, left).0;
    }
}

/// Has no bar on the terminal until the guard is dropped.
pub(crate) fn withdraw() -> Withdrawal {
    let end = Instant::now() + PATIENCE;
    let mut state = PAINTER.state.lock();
    state.withdrawals += 1;
    PAINTER.changed.notify_all();
    while state.is_there && !state.is_hidden && state.has_bars() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        state = PAINTER.changed.wait_timeout(state, left).0;
    }
    Withdrawal(())
}

/// See [`withdraw`].
pub(crate) struct Withdrawal(());

impl Drop for Withdrawal {
    fn drop(&mut self) {
        PAINTER.state.lock().withdrawals -= 1;
    }
}

thread_local! {
    static IS_PAINTER: Cell<bool> = const { Cell::new(false) };
}

/// The thread.
fn paint() {
    /// Another thread paints after one that has panicked: calls do not wait at their end for one that is gone.
    struct Leaves;
    impl Drop for Leaves {
        fn drop(&mut self) {
            if std::thread::panicking() {
                PAINTER.state.lock().is_there = false;
                PAINTER.changed.notify_all();
            }
            IS_PAINTER.set(false);
        }
    }
    // Declared before the lock is taken, and so dropped after it is let go of.
    let _leaves = Leaves;
    IS_PAINTER.set(true);
    let mut state = PAINTER.state.lock();
    let mut idle_since = Instant::now();
    loop {
        state = turn(state);
        if !state.shown.is_empty() {
            idle_since = Instant::now();
        } else if idle_since.elapsed() >= KEEP {
            break;
        }
        let pause = if state.shown.is_empty() { KEEP } else { STEP };
        state = PAINTER.changed.wait_timeout(state, pause).0;
    }
    state.is_there = false;
}

/// Draws what there is to draw. Bars are drawn under the lock, which nobody needs who runs items.
fn turn(mut state: MutexGuard<'static, State>) -> MutexGuard<'static, State> {
    let wants_hidden = state.withdrawals > 0;
    if wants_hidden != state.is_hidden {
        match wants_hidden {
            true => screen::hide(),
            false => screen::reveal(),
        }
        state.is_hidden = wants_hidden;
        PAINTER.changed.notify_all();
    }
    if wants_hidden {
        return state;
    }
    let (over, shown) = std::mem::take(&mut state.shown)
        .into_iter()
        .partition(|it: &Shown| it.gauge.is_over());
    state.shown = shown;
    if !over.is_empty() {
        over.into_iter().for_each(Shown::end);
        PAINTER.changed.notify_all();
    }
    state.shown.iter_mut().for_each(Shown::draw);
    state
}

impl State {
    fn has_bars(&self) -> bool {
        let is_drawn = |it: &Shown| matches!(it.face, Face::Bar(Some(_)));
        self.shown.iter().any(is_drawn)
    }
}

impl Shown {
    fn draw(&mut self) {
        let counts = self.gauge.read();
        let words = words(&mut self.estimate, &counts);
        let title = &self.gauge.title;
        match &mut self.face {
            Face::Lines(due) if counts.elapsed < *due => {}
            Face::Lines(due) => {
                super::eprintln(format_args!("{title}: {words}"));
                *due = after(counts.elapsed);
            }
            Face::Bar(bar) => {
                install_hook();
                let bar = bar.get_or_insert_with(|| Bar::new(title, counts.total));
                bar.draw(&counts, &words);
            }
        }
    }

    fn end(self) {
        let counts = self.gauge.read();
        let title = &self.gauge.title;
        match self.face {
            Face::Bar(Some(bar)) => bar.end(title, &counts),
            _ => super::eprintln(format_args!("{title}: {}", text::end(&counts))),
        }
    }
}

fn words(estimate: &mut Estimate, counts: &Counts) -> String {
    let (ended, total) = counts.run();
    let left = total.zip(counts.working);
    let left = left.and_then(|(total, working)| estimate.look(working, ended, total));
    text::state(counts, left)
}

/// When the next line comes after one at `elapsed`.
fn after(elapsed: Duration) -> Duration {
    elapsed + elapsed.clamp(FIRST, SELDOM)
}

/// Has the messages of panics come out whole: they go to stderr, and a thread that panics cannot
/// clear the bars away itself. What was there as hook is called as it would have been.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // The painter would wait for itself.
            let withdrawn = (!IS_PAINTER.get()).then(withdraw);
            before(info);
            drop(withdrawn);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_known_before_says_nothing_of_the_time_that_is_left() {
        let counts = Counts {
            good: 91,
            known: 90,
            failed: 1,
            not_run: 0,
            total: Some(100),
            elapsed: Duration::from_secs(10),
            working: Some(Duration::from_secs(10)),
        };
        let words = words(&mut Estimate::default(), &counts);
        assert_eq!(words, " 92 of 100 done, 1 failed, 40 s left");
    }

    #[test]
    fn lines_become_seldom() {
        let mut due = FIRST;
        let mut lines = Vec::new();
        for _ in 0..8 {
            lines.push(due.as_secs());
            due = after(due);
        }
        assert_eq!(lines, [1, 2, 4, 8, 16, 32, 62, 92]);
    }
}
