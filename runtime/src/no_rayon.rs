//! What `on = rayon` says where the feature `rayon` is off.

/// What a place on rayon would be: nothing is.
#[diagnostic::on_unimplemented(
    message = "`on = rayon` needs the feature `rayon` of the crate `runspace`, which is off",
    label = "write `runspace = {{ version = \"..\", features = [\"rayon\"] }}` in Cargo.toml, or `on = thread`"
)]
pub trait FeatureRayon: Sized {}

/// Cannot be called.
#[must_use]
pub fn on_rayon<P: FeatureRayon>() -> P {
    unreachable!("nothing is a `FeatureRayon`")
}

/// Cannot be called.
#[must_use]
pub fn on_rayon_pool<P: FeatureRayon, T: ?Sized>(_: &T) -> P {
    unreachable!("nothing is a `FeatureRayon`")
}
