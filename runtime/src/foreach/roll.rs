//! The calls of this process that are alive, for an interrupt to find them.

use std::sync::{Arc, Weak};

use super::call::Call;
use crate::interrupt::flag;
use crate::per_process::PerProcess;
use crate::sync::Mutex;

static ROLL: PerProcess<Mutex<Roll>> = PerProcess::new(Mutex::default);

#[derive(Default)]
struct Roll {
    calls: Vec<Weak<Call>>,
    /// When there are so many, those that are gone are taken out.
    full: usize,
}

/// Takes a call in. One that comes after an interrupt starts no items.
pub(super) fn enlist(call: &Arc<Call>) {
    let mut roll = ROLL.lock();
    if roll.calls.len() >= roll.full {
        roll.calls.retain(|it| it.strong_count() > 0);
        roll.full = (2 * roll.calls.len()).max(16);
    }
    roll.calls.push(Arc::downgrade(call));
    drop(roll);
    // Before this look it is on the roll: an interrupt that it does not see has seen it.
    if flag::is_set() && call.is_outermost() {
        call.close();
    }
}

/// Those that are part of no item and no job, which are part of these.
fn outermost() -> Vec<Arc<Call>> {
    let calls: Vec<_> = ROLL.lock().calls.iter().filter_map(Weak::upgrade).collect();
    calls.into_iter().filter(|it| it.is_outermost()).collect()
}

/// Has none of them start an item any more. What runs comes to its end; a call that reads the results of
/// another waits for those, see [`Call::drains`].
pub(crate) fn close_all() {
    outermost().iter().for_each(|it| it.close());
}

/// Whether the results of another call are the input of this one.
pub(super) fn reads_another(call: &Call) -> bool {
    outermost().iter().any(|it| it.reader() == call.id())
}

/// The calls, in words, and how many items of each run, give or take one that is just beginning or ending.
pub(crate) fn running() -> Vec<(String, usize)> {
    let running = |it: &Arc<Call>| (it.site.to_string(), it.running());
    outermost().iter().map(running).collect()
}
