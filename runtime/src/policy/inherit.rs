//! What a child is told of the policy.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::level::Policy;
use super::source::PolicySource;
use super::state::{Files, Hash, State, change, state};

/// Of the encoding. Parent and child are the same build, so it only guards against mistakes.
const VERSION: u8 = 1;

/// The policy and the approvals of this process, for a child to [`take_over`].
pub(crate) fn hand_on() -> Vec<u8> {
    state().hand_on()
}

/// Makes this process at least as strict as the one whose [`hand_on`] these bytes are. What makes no
/// sense is as strict as can be.
pub(crate) fn take_over(bytes: &[u8]) {
    let taken = change(|state| {
        state.take_over(bytes);
        Ok::<(), Infallible>(())
    });
    taken.unwrap_or_else(|never| match never {});
}

/// What `RUNSPACE_POLICY` has to be for a program that would find `given` in it, if it has to be
/// changed.
pub(crate) fn for_program(given: Option<&OsStr>) -> Option<&'static str> {
    let policy = state().policy;
    let given = given.map(|word| Policy::parse(word).unwrap_or(Policy::Deny));
    (given.unwrap_or_default() < policy).then(|| policy.word())
}

impl State {
    fn hand_on(&self) -> Vec<u8> {
        let words = match &self.source {
            PolicySource::Parent(words) => words.clone(),
            source => source.to_string(),
        };
        let mut bytes = vec![VERSION, self.policy.number()];
        put(&mut bytes, words.as_bytes());
        put_count(&mut bytes, self.jobs.len());
        self.jobs
            .iter()
            .for_each(|name| put(&mut bytes, name.as_bytes()));
        put_count(&mut bytes, self.files.len());
        for (path, hashes) in &self.files {
            put(&mut bytes, path.as_os_str().as_bytes());
            put_count(&mut bytes, hashes.len());
            hashes.iter().for_each(|hash| bytes.extend(hash));
        }
        bytes
    }

    fn take_over(&mut self, bytes: &[u8]) {
        let parents = Reader(bytes).state().unwrap_or_else(|| {
            let words = "in a way that this process cannot read".to_owned();
            State::new(Policy::Deny, PolicySource::Parent(words))
        });
        if parents.policy >= self.policy && parents.policy > Policy::Allow {
            self.policy = parents.policy;
            self.source = parents.source;
        }
        if parents.policy >= Policy::ApprovedOnly {
            self.is_fixed = true;
            self.jobs = parents.jobs;
            self.files = parents.files;
        } else {
            self.jobs.extend(parents.jobs);
            for (path, hashes) in parents.files {
                self.files.entry(path).or_default().extend(hashes);
            }
        }
    }
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    // More do not fit into the memory of any process.
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    bytes.extend(count.to_le_bytes());
}

fn put(bytes: &mut Vec<u8>, text: &[u8]) {
    put_count(bytes, text.len());
    bytes.extend(text);
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn state(mut self) -> Option<State> {
        let [version, policy] = *self.array()?;
        if version != VERSION {
            return None;
        }
        let words = self.text()?;
        let mut state = State::new(Policy::of_number(policy)?, PolicySource::Parent(words));
        for _ in 0..self.count()? {
            state.jobs.insert(self.text()?);
        }
        state.files = self.files()?;
        self.0.is_empty().then_some(state)
    }

    fn files(&mut self) -> Option<Files> {
        let mut files = Files::new();
        for _ in 0..self.count()? {
            let path = OsString::from_vec(self.bytes()?.to_vec());
            let mut hashes = BTreeSet::new();
            for _ in 0..self.count()? {
                hashes.insert(*self.array::<{ size_of::<Hash>() }>()?);
            }
            files.insert(path.into(), hashes);
        }
        Some(files)
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(array)
    }

    fn count(&mut self) -> Option<u32> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.count()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> State {
        State::new(Policy::Allow, PolicySource::Default)
    }

    fn parent(policy: Policy) -> State {
        let mut state = State::new(policy, PolicySource::Environment);
        state.jobs.extend(["resize".to_owned(), String::new()]);
        let hashes = [[1; 32], [2; 32]];
        state.files.insert("/bin/a".into(), hashes.into());
        state
            .files
            .insert(OsString::from_vec(vec![b'/', 0xff]).into(), BTreeSet::new());
        state
    }

    #[test]
    fn a_child_has_the_policy_and_the_approvals_of_its_parent() {
        let parent = parent(Policy::ApprovedOnly);
        let mut child = fresh();
        child.jobs.insert("other".to_owned());
        child.take_over(&parent.hand_on());
        assert_eq!(child.policy, Policy::ApprovedOnly);
        assert_eq!((&child.jobs, &child.files), (&parent.jobs, &parent.files));
        assert!(child.is_fixed);
        let words = "by the parent process (where it was set by RUNSPACE_POLICY)";
        assert_eq!(child.source.to_string(), words);
        // The first who set it is named, however many lie between.
        let mut grandchild = fresh();
        grandchild.take_over(&child.hand_on());
        assert_eq!(grandchild.source.to_string(), words);
    }

    #[test]
    fn a_stricter_child_stays_so_and_a_free_one_is_free() {
        let mut child = State::new(Policy::Deny, PolicySource::Environment);
        child.take_over(&parent(Policy::ApprovedOnly).hand_on());
        assert_eq!(child.policy, Policy::Deny);
        assert_eq!(child.source, PolicySource::Environment);
        let mut child = fresh();
        child.take_over(&parent(Policy::Allow).hand_on());
        assert_eq!(
            (child.policy, &child.source),
            (Policy::Allow, &PolicySource::Default)
        );
        assert!(!child.is_fixed);
        assert!(child.jobs.contains("resize"));
    }

    #[test]
    fn what_makes_no_sense_is_as_strict_as_can_be() {
        let whole = parent(Policy::ApprovedOnly).hand_on();
        let longer = [&whole[..], &[0]].concat();
        let cut = (0..whole.len()).map(|length| whole[..length].to_vec());
        let huge = vec![VERSION, 0, 0xff, 0xff, 0xff, 0xff];
        for bytes in cut.chain([longer, huge, vec![VERSION, 9], vec![2; 40]]) {
            let mut child = fresh();
            child.take_over(&bytes);
            assert_eq!(child.policy, Policy::Deny, "{bytes:?}");
            assert!(child.is_fixed);
        }
    }
}
