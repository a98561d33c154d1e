//! What the options of `invoke!` become.

use std::sync::Arc;

/// The options of an invocation: its name.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct InvokeOptions {
    pub(super) name: Option<Arc<str>>,
}

impl InvokeOptions {
    /// No name.
    pub fn new() -> Self {
        Self::default()
    }

    /// A name for errors. Without one it is `Invocation` and the invocation's number. Two invocations
    /// may have the same.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }
}
