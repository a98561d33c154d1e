//! What stands in for `journal` without the feature: a compile error that names it.

/// What `journal = ..` takes: nothing, without the feature.
#[diagnostic::on_unimplemented(
    message = "`journal` needs the feature `journal` of the crate `runspace`, which is off",
    label = "write `runspace = {{ version = \"..\", features = [\"journal\"] }}` in Cargo.toml"
)]
pub trait IntoJournal {}
