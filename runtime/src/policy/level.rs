//! The policies, by strictness.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt;

use super::source::PolicySource;

/// What a process lets itself start. The order is by strictness.
///
/// ```
/// use runspace::policy::Policy;
///
/// assert!(Policy::Deny > Policy::ApprovedOnly);
/// assert_eq!(Policy::default(), Policy::Allow);
/// assert_eq!(Policy::ApprovedOnly.to_string(), "ApprovedOnly");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// Everything.
    #[default]
    Allow,
    /// Everything; each start is recorded, and whether [`ApprovedOnly`](Self::ApprovedOnly) would have
    /// refused it. See [`audit`](super::audit).
    Audit,
    /// Approved jobs and files only.
    ApprovedOnly,
    /// Nothing.
    Deny,
}

impl Policy {
    const ALL: [Self; 4] = [Self::Allow, Self::Audit, Self::ApprovedOnly, Self::Deny];

    /// As in the environment. Case does not matter, nor does the hyphen.
    pub(super) fn parse(word: &OsStr) -> Option<Self> {
        let plain = |text: &str| {
            let kept = text.trim().chars().filter(|it| !matches!(it, '-' | '_'));
            kept.collect::<String>().to_ascii_lowercase()
        };
        let word = plain(word.to_str()?);
        Self::ALL.into_iter().find(|it| plain(it.word()) == word)
    }

    /// The word for the environment.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Audit => "audit",
            Self::ApprovedOnly => "approved-only",
            Self::Deny => "deny",
        }
    }

    pub(super) fn number(self) -> u8 {
        self as u8
    }

    pub(super) fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allow => "Allow",
            Self::Audit => "Audit",
            Self::ApprovedOnly => "ApprovedOnly",
            Self::Deny => "Deny",
        })
    }
}

/// A policy that was not set, because a stricter one holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoosenError {
    pub(super) wanted: Policy,
    pub(super) current: Policy,
    pub(super) source: PolicySource,
}

impl LoosenError {
    /// The policy that was not set.
    #[must_use]
    pub fn wanted(&self) -> Policy {
        self.wanted
    }

    /// The policy that holds.
    #[must_use]
    pub fn current(&self) -> Policy {
        self.current
    }

    /// Where the policy that holds was set.
    #[must_use]
    pub fn set_by(&self) -> &PolicySource {
        &self.source
    }
}

impl fmt::Display for LoosenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            wanted,
            current,
            source,
        } = self;
        write!(
            f,
            "the policy of this process cannot be loosened to {wanted}: it is {current}, set {source}"
        )
    }
}

impl Error for LoosenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_case_and_unknown_ones_are_not() {
        for policy in Policy::ALL {
            let word = policy.word();
            let spellings = [word.to_owned(), word.to_uppercase(), policy.to_string()];
            for spelling in spellings {
                assert_eq!(
                    Policy::parse(OsStr::new(&spelling)),
                    Some(policy),
                    "{spelling}"
                );
            }
            assert_eq!(Policy::of_number(policy.number()), Some(policy));
        }
        assert_eq!(
            Policy::parse(OsStr::new(" approved_only ")),
            Some(Policy::ApprovedOnly)
        );
        for word in ["", "none", "den", "allowed", "allow,deny"] {
            assert_eq!(Policy::parse(OsStr::new(word)), None, "{word}");
        }
        assert_eq!(Policy::of_number(4), None);
    }
}
