//! The errors that the codec takes from the library, for programs that compile the codec alone.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[derive(Debug)]
pub(crate) struct PanicPayload(String);

impl PanicPayload {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().copied().map(str::to_owned);
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Self(text.unwrap_or_else(|| "a value that is not a string".to_owned()))
    }

    pub(crate) fn message(&self) -> &str {
        &self.0
    }
}

pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop(value))) {
        std::mem::forget(payload);
    }
}
