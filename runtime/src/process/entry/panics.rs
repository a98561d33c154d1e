//! Panics of bodies in a worker, with their message and place.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

use serde::{Deserialize, Serialize};

use crate::error::{PanicPayload, drop_quietly};

/// What is known of a panic in another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Panicked {
    pub(crate) message: String,
    /// `src/main.rs:3:5`; `None` for a panic that was raised again.
    pub(crate) location: Option<String>,
    /// The code of a value that crosses, where it was not the body's own: as a text calls it.
    pub(crate) within: Option<String>,
}

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `body`; its panic is told as usual, on stderr, and answered.
pub(crate) fn catch<T>(body: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            let place = info.location().map(ToString::to_string);
            // A panic in a destructor of the thread's own values has no place to be kept.
            let _ = PLACE.try_with(|it| *it.borrow_mut() = place);
            before(info);
        }));
    });
    PLACE.with_borrow_mut(Option::take);
    catch_unwind(AssertUnwindSafe(body))
}

impl Panicked {
    /// A payload for this process: the message, and where it was.
    pub(crate) fn into_payload(self) -> PanicPayload {
        let within = self.within.map(|it| format!("in {it}"));
        let location = self.location.map(|it| format!("at {it}, in its process"));
        let text = match (within, location) {
            (Some(within), Some(location)) => format!("{} ({within}, {location})", self.message),
            (Some(where_), None) | (None, Some(where_)) => format!("{} ({where_})", self.message),
            (None, None) => self.message,
        };
        PanicPayload::from_elsewhere(text)
    }

    /// What `payload`, which was caught just now, says.
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        let payload = PanicPayload::new(payload);
        let message = payload.message().to_owned();
        drop_quietly(payload);
        Self {
            message,
            location: PLACE.with_borrow_mut(Option::take),
            within: None,
        }
    }

    /// A panic of just now that has said `message`, in code that is no body's.
    pub(crate) fn within(message: &str, within: String) -> Self {
        Self {
            message: message.to_owned(),
            location: PLACE.with_borrow_mut(Option::take),
            within: Some(within),
        }
    }
}
