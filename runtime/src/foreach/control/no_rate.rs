//! What stands in for `rate` without the feature: a compile error that names it.

/// What `rate = ..` takes: nothing, without the feature.
#[diagnostic::on_unimplemented(
    message = "`rate` needs the feature `rate` of the crate `runspace`, which is off",
    label = "write `runspace = {{ version = \"..\", features = [\"rate\"] }}` in Cargo.toml"
)]
pub trait IntoRate {}

/// Numbers of items in a given time, which come to nothing without the feature.
pub trait PerTime: Sized {
    /// So many a second.
    fn per_second(self) -> Unknown {
        Unknown
    }

    /// So many a minute.
    fn per_minute(self) -> Unknown {
        Unknown
    }

    /// So many an hour.
    fn per_hour(self) -> Unknown {
        Unknown
    }
}

impl PerTime for u32 {}

/// A rate that is none.
#[derive(Debug)]
pub struct Unknown;
