//! Values of the whole process; under loom, of one explored execution.

/// Declares a static that is made on first use, in each process anew.
macro_rules! global {
    ($(#[$meta:meta])* static $name:ident: $type:ty = $init:expr;) => {
        #[cfg(not(loom))]
        $(#[$meta])*
        static $name: crate::per_process::PerProcess<$type> =
            crate::per_process::PerProcess::new(|| $init);

        #[cfg(loom)]
        loom::lazy_static! {
            static ref $name: $type = $init;
        }
    };
}

pub(super) use global;
