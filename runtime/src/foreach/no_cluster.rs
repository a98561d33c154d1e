//! What stands in for `on = cluster(..)` without the feature: a compile error that names it.

use super::Options;

/// What `on = cluster(..)` takes: nothing, without the feature.
#[diagnostic::on_unimplemented(
    message = "`on = cluster(..)` needs the feature `cluster` of the crate `runspace`, which is off",
    label = "write `runspace = {{ version = \"..\", features = [\"cluster\"] }}` in Cargo.toml"
)]
pub trait IntoCluster {}

impl Options {
    /// Cannot be called.
    pub fn on_cluster(self, _: impl IntoCluster) -> Self {
        self
    }
}
