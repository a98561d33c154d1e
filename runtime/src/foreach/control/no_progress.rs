//! What stands in for `progress` without the feature: a compile error that names it.

/// What `progress = ..` takes: nothing, without the feature.
#[diagnostic::on_unimplemented(
    message = "`progress` needs the feature `progress` of the crate `runspace`, which is off",
    label = "write `runspace = {{ version = \"..\", features = [\"progress\"] }}` in Cargo.toml"
)]
pub trait IntoProgress {}
