//! What stands in for `on = process` without the feature: a compile error that names it.

use super::{Options, Results, Worker};
use crate::values::Made;

/// What the options of such a call would be: nothing is, without the feature.
#[diagnostic::on_unimplemented(
    message = "`on = process` needs the feature `process` of the crate `runspace`, which is off",
    label = "write `runspace = {{ version = \"..\", features = [\"process\"] }}` in Cargo.toml, or `on = thread`"
)]
pub trait FeatureProcess: Sized {}

impl Options {
    /// Cannot be called.
    pub fn on_process<P: FeatureProcess>(self) -> P {
        unreachable!("nothing is a `FeatureProcess`")
    }

    /// Cannot be called.
    pub fn on_process_pool<P: FeatureProcess, T: ?Sized>(self, _: &T) -> P {
        unreachable!("nothing is a `FeatureProcess`")
    }
}

/// Cannot be called: there are no options for it. Otherwise it asks for nothing, so that there is one error.
pub fn foreach_process<I, C, W, R>(_: I, _: Options, _: C, _: fn(C) -> W, _: Made<R>) -> Results<R>
where
    I: IntoIterator,
    W: Fn(&mut Worker<'_, I::Item, R>),
{
    unreachable!("nothing is a `FeatureProcess`")
}
