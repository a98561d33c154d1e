//! What this process knows of its policy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use once_cell::race::OnceBox;

use super::VARIABLE;
use super::level::{LoosenError, Policy};
use super::source::PolicySource;

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// The files that may run. One with hashes has to have one of them.
pub(super) type Files = BTreeMap<PathBuf, BTreeSet<Hash>>;

#[derive(Clone)]
pub(super) struct State {
    pub(super) policy: Policy,
    pub(super) source: PolicySource,
    pub(super) jobs: BTreeSet<String>,
    pub(super) files: Files,
    /// The parent has said what is approved, and that is all.
    pub(super) is_fixed: bool,
}

/// That of this process. The environment is read when it is first asked for.
///
/// It is replaced as a whole rather than locked: a process made by `fork` has the policy of the one that
/// made it, and no lock that a thread may have held there.
fn place() -> &'static ArcSwap<State> {
    static STATE: OnceBox<ArcSwap<State>> = OnceBox::new();
    STATE.get_or_init(|| Box::new(ArcSwap::from_pointee(State::of_environment())))
}

/// What holds now.
pub(super) fn state() -> Arc<State> {
    place().load_full()
}

/// Changes it; not at all if that fails. `change` may be called more than once.
pub(super) fn change<E>(change: impl Fn(&mut State) -> Result<(), E>) -> Result<(), E> {
    let mut before = place().load();
    loop {
        let mut state = State::clone(&before);
        change(&mut state)?;
        let now = place().compare_and_swap(&*before, Arc::new(state));
        if Arc::ptr_eq(&before, &now) {
            return Ok(());
        }
        before = now;
    }
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
