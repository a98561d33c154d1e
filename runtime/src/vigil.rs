//! Staying awake for what is about to come.
//!
//! To go to sleep and to be woken costs some microseconds on either side: more than an item whose
//! process waits for it. Where what was waited for came at once the last time, a vigil looks for it for a
//! moment before it sleeps. A thread that is given one short piece of work after the other is awake for the
//! next, and so is the one that waits for it. It gives way to whoever wants the processor, and ends when somebody has
//! taken it: a sleeper is woken with some precedence, one that gives way has none.

use std::cell::Cell;
#[cfg(not(loom))]
use std::time::{Duration, Instant};

/// How long it looks: about what sleep would cost, a few times over.
#[cfg(not(loom))]
const MOMENT: Duration = Duration::from_micros(50);

/// What has come so soon is expected to do so again. What needed a sleep has come a little later.
#[cfg(not(loom))]
const SOON: Duration = Duration::from_micros(60);

/// Giving way takes less than this when nobody has use for it.
#[cfg(not(loom))]
const TAKEN: Duration = Duration::from_micros(15);

thread_local! {
    static HERE: Cell<Vigil> = Cell::default();
}

/// Like [`Vigil::keep`], for the waits of this thread for what others do for it.
pub(crate) fn keep<V, F: FnMut() -> Option<V>>(look: F, sleep: impl FnOnce(F) -> V) -> V {
    // At the end of a thread there is none any more.
    let mut vigil = HERE.try_with(Cell::take).unwrap_or_default();
    let value = vigil.keep(look, sleep);
    let _ = HERE.try_with(|it| it.set(vigil));
    value
}

/// Like [`keep`], if there is `hope` that it will not be long.
pub(crate) fn keep_if<V, F: FnMut() -> Option<V>>(
    hope: bool,
    look: F,
    sleep: impl FnOnce(F) -> V,
) -> V {
    match hope {
        true => keep(look, sleep),
        false => sleep(look),
    }
}

/// Who waits for one thing after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vigil {
    is_hopeful: bool,
}

impl Vigil {
    /// What `look` finds: in a moment, or when `sleep`, which is given it, says so.
    #[cfg(not(loom))]
    pub(crate) fn keep<V, F: FnMut() -> Option<V>>(
        &mut self,
        mut look: F,
        sleep: impl FnOnce(F) -> V,
    ) -> V {
        let start = Instant::now();
        let found = if self.is_hopeful {
            watch(start, &mut look)
        } else {
            None
        };
        let value = found.unwrap_or_else(|| sleep(look));
        self.is_hopeful = start.elapsed() < SOON;
        value
    }

    /// Time does not pass in a model: it would only look the same again.
    #[cfg(loom)]
    pub(crate) fn keep<V, F: FnMut() -> Option<V>>(
        &mut self,
        look: F,
        sleep: impl FnOnce(F) -> V,
    ) -> V {
        self.is_hopeful = false;
        sleep(look)
    }
}

#[cfg(not(loom))]
fn watch<V>(start: Instant, look: &mut impl FnMut() -> Option<V>) -> Option<V> {
    let mut before = start;
    loop {
        let found = look();
        if found.is_some() {
            return found;
        }
        std::thread::yield_now();
        let now = Instant::now();
        if now - start > MOMENT || now - before > TAKEN {
            return None;
        }
        before = now;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A wait that ends after a sleep of `time`; answers how often it looked before.
    fn looks(vigil: &mut Vigil, time: Duration) -> u32 {
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            None::<()>
        };
        vigil.keep(look, |_| std::thread::sleep(time));
        looks.get()
    }

    #[test]
    fn one_that_waited_for_long_goes_to_sleep_at_once() {
        let mut vigil = Vigil::default();
        assert_eq!(looks(&mut vigil, Duration::from_millis(1)), 0);
        assert_eq!(looks(&mut vigil, Duration::from_millis(1)), 0);
        // Now something is there at once.
        vigil.keep(|| None, |_| ());
        while !vigil.is_hopeful {
            vigil.keep(|| None, |_| ());
        }
        assert!(looks(&mut vigil, Duration::from_millis(1)) > 0);
        assert_eq!(looks(&mut vigil, Duration::from_millis(1)), 0);
    }

    #[test]
    fn the_waits_of_a_thread_learn_from_each_other() {
        let looks = || {
            let looks = Cell::new(0);
            let look = || {
                looks.set(looks.get() + 1);
                (looks.get() > 1).then_some(())
            };
            keep(look, |_| ());
            looks.get()
        };
        // A wait of which nothing is known, and others until one was short.
        while looks() == 0 {}
        keep(|| None, |_| std::thread::sleep(Duration::from_millis(1)));
        assert_eq!(looks(), 0);
    }

    #[test]
    fn what_is_found_needs_no_sleep() {
        let mut vigil = Vigil { is_hopeful: true };
        let found = vigil.keep(|| Some(1), |_| unreachable!("it is there"));
        assert_eq!(found, 1);
    }
}
