//! Whether what a body answered is a success.

/// What a value says of its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It has succeeded.
    Good,
    /// It has failed, and another try would not help.
    Bad,
    /// It is worth another try; with none left it has failed.
    Again,
}

impl Judgement {
    /// Without `retry_if`: what has failed is worth another try.
    #[must_use]
    pub fn of(failed: bool) -> Self {
        if failed { Self::Again } else { Self::Good }
    }

    /// With `retry_if`, which has said `again` of `value`.
    #[must_use]
    pub fn asked<R>(failed: bool, value: &R, again: impl FnOnce(&R) -> bool) -> Self {
        match (again(value), failed) {
            (true, _) => Self::Again,
            (false, true) => Self::Bad,
            (false, false) => Self::Good,
        }
    }
}

/// A value that may be a `Result`. The macro calls `failed` on it: method look-up comes to
/// [`OfResult`] first, and to [`OfAny`] only where the value is something else.
#[derive(Debug)]
pub struct Value<'a, R>(pub &'a R);

/// An `Err` is a failure.
pub trait OfResult {
    /// Whether the item has failed.
    fn failed(&self) -> bool;
}

impl<T, E> OfResult for Value<'_, Result<T, E>> {
    fn failed(&self) -> bool {
        self.0.is_err()
    }
}

/// Anything else is not.
pub trait OfAny {
    /// Whether the item has failed.
    fn failed(&self) -> bool;
}

impl<R> OfAny for &Value<'_, R> {
    fn failed(&self) -> bool {
        false
    }
}
