//! How many runspaces there may be.

use std::error::Error;
use std::fmt;

/// The fewest runspaces that are kept and the most that there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runspace) struct Limits {
    pub(in crate::runspace) min: usize,
    pub(in crate::runspace) max: usize,
}

impl Limits {
    pub(in crate::runspace) fn check(self) -> Result<Self, LimitsError> {
        if self.max == 0 || self.min > self.max {
            return Err(LimitsError { limits: self });
        }
        Ok(self)
    }
}

/// The minimum and the maximum of a pool do not go together. Nothing was changed.
///
/// ```
/// use runspace::RunspacePool;
///
/// let pool = RunspacePool::builder().min(1).max(4).open().unwrap();
/// let error = pool.set_min(5).unwrap_err();
/// assert_eq!((error.min(), error.max()), (5, 4));
/// assert_eq!(pool.min(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsError {
    limits: Limits,
}

impl LimitsError {
    /// The minimum there would have been.
    #[must_use]
    pub fn min(&self) -> usize {
        self.limits.min
    }

    /// The maximum there would have been.
    #[must_use]
    pub fn max(&self) -> usize {
        self.limits.max
    }
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limits { min, max } = self.limits;
        if max == 0 {
            return f.write_str(
                "a pool of at most 0 runspaces would never run anything; give it a maximum of at \
                 least 1",
            );
        }
        write!(
            f,
            "a pool cannot keep at least {min} runspaces and have at most {max}; lower the minimum \
             or raise the maximum first"
        )
    }
}

impl Error for LimitsError {}
