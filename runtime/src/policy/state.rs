//! What this process knows of its policy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::LazyLock;

use super::VARIABLE;
use super::audit::Log;
use super::level::{LoosenError, Policy};
use super::source::PolicySource;
use crate::sync::Mutex;

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// The files that may run. One with hashes has to have one of them.
pub(super) type Files = BTreeMap<PathBuf, BTreeSet<Hash>>;

pub(super) struct State {
    pub(super) policy: Policy,
    pub(super) source: PolicySource,
    pub(super) jobs: BTreeSet<String>,
    pub(super) files: Files,
    /// The parent has said what is approved, and that is all.
    pub(super) is_fixed: bool,
    pub(super) log: Log,
}

/// That of this process. The environment is read when it is first asked for.
pub(super) fn state() -> &'static Mutex<State> {
    static STATE: LazyLock<Mutex<State>> = LazyLock::new(|| Mutex::new(State::of_environment()));
    &STATE
}

impl State {
    fn of_environment() -> Self {
        let (policy, source) = match std::env::var_os(VARIABLE) {
            None => (Policy::Allow, PolicySource::Default),
            Some(word) => match Policy::parse(&word) {
                Some(policy) => (policy, PolicySource::Environment),
                None => {
                    let word = word.to_string_lossy().into_owned();
                    (Policy::Deny, PolicySource::UnknownWord(word))
                }
            },
        };
        Self::new(policy, source)
    }

    pub(super) fn new(policy: Policy, source: PolicySource) -> Self {
        Self {
            policy,
            source,
            jobs: BTreeSet::new(),
            files: Files::new(),
            is_fixed: false,
            log: Log::default(),
        }
    }

    pub(super) fn set(&mut self, policy: Policy, source: PolicySource) -> Result<(), LoosenError> {
        if policy < self.policy {
            return Err(LoosenError {
                wanted: policy,
                current: self.policy,
                source: self.source.clone(),
            });
        }
        if policy > self.policy {
            self.policy = policy;
            self.source = source;
        }
        Ok(())
    }
}
