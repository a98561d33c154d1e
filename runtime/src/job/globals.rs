//! Values of the whole process; under loom, of one explored execution.

/// Declares a static that is made on first use.
macro_rules! global {
    ($(#[$meta:meta])* static $name:ident: $type:ty = $init:expr;) => {
        #[cfg(not(loom))]
        $(#[$meta])*
        static $name: std::sync::LazyLock<$type> = std::sync::LazyLock::new(|| $init);

        #[cfg(loom)]
        loom::lazy_static! {
            static ref $name: $type = $init;
        }
    };
}

pub(super) use global;
