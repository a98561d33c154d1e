//! What a process inherits when it is started, and one that is kept ready has inherited earlier.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustix::process::{Resource, Rlimit};

use super::entry::Setup;
use super::sys::environ::Places;
use super::sys::limits;
use super::sys::own::Identity;

/// All variables.
type Environment = Vec<(OsString, OsString)>;

/// The environment when it was last copied, and where it was then.
static LAST: ArcSwapOption<(Places, Arc<Environment>)> = ArcSwapOption::const_empty();

/// What a process inherits, as far as it can be told cheaply.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Surroundings {
    fixed: Fixed,
    environment: Arc<Environment>,
    /// Its path, and the directory itself, which may have been moved.
    directory: Option<(PathBuf, u64, u64)>,
}

/// What a process cannot be given, or should not be, once it has been started.
#[derive(Clone, Debug, PartialEq)]
struct Fixed {
    identity: Identity,
    limits: [Limit; LIMITS.len()],
    policy: Vec<u8>,
}

/// A limit, if the system tells.
#[derive(Clone, Debug)]
struct Limit(Option<Rlimit>);

/// A limit that nobody can see may have been changed: it is equal to none, so that no process that was started
/// earlier is taken for one that is started now.
impl PartialEq for Limit {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_some() && self.0 == other.0
    }
}

const LIMITS: [Resource; 10] = [
    Resource::Cpu,
    Resource::Fsize,
    Resource::Data,
    Resource::Stack,
    Resource::Core,
    Resource::Nproc,
    Resource::Nofile,
    Resource::Memlock,
    Resource::As,
    Resource::Rtprio,
];

impl Surroundings {
    /// Those of the calling thread.
    pub(crate) fn now() -> Self {
        let place = rustix::fs::stat(c".").ok();
        let path = std::env::current_dir().ok();
        Self {
            fixed: Fixed {
                identity: Identity::of_this_thread(),
                limits: LIMITS.map(|it| Limit(limits::get(it).ok())),
                policy: crate::policy::hand_on(),
            },
            environment: environment(),
            directory: path
                .zip(place)
                .map(|(path, it)| (path, it.st_dev, it.st_ino)),
        }
    }

    /// Whose rights they come with.
    pub(crate) fn identity(&self) -> &Identity {
        &self.fixed.identity
    }

    /// What the policy hands on.
    pub(crate) fn policy(&self) -> &[u8] {
        &self.fixed.policy
    }

    /// Has a process start in these, should those of this process have changed since they were looked at.
    pub(crate) fn keep(&self, command: &mut Command) {
        if let Some((path, device, number)) = &self.directory {
            let now = rustix::fs::stat(c".").ok();
            // By its path only then: it may have been moved, or gone, and can be inherited all the same.
            if now.is_none_or(|it| (it.st_dev, it.st_ino) != (*device, *number)) {
                command.current_dir(path);
            }
        }
        if environment() != self.environment {
            command.env_clear().envs(self.environment.iter().cloned());
        }
    }

    /// What a process that was started in these surroundings has to be told to be like one that is
    /// started in `wanted`: perhaps nothing. `None` if it can never be.
    pub(crate) fn changes_to(&self, wanted: &Self) -> Option<Option<Setup>> {
        if self == wanted && self.directory.is_some() {
            return Some(None);
        }
        if self.fixed != wanted.fixed {
            return None;
        }
        let mut setup = Setup::default();
        if wanted.environment != self.environment {
            setup.environment = Some(wanted.environment.to_vec());
        }
        if wanted.directory.is_none() || wanted.directory != self.directory {
            // A directory that has no path any more can only be inherited.
            setup.directory = Some(wanted.directory.as_ref()?.0.clone());
        }
        Some(Some(setup))
    }
}

/// The environment of this process, copied if it has changed.
fn environment() -> Arc<Environment> {
    if let Some(last) = &*LAST.load()
        && last.0.are_the_same()
    {
        return Arc::clone(&last.1);
    }
    let before = Places::now();
    let environment = Arc::new(std::env::vars_os().collect());
    // Not if another thread has changed it meanwhile.
    if let Some(places) = before.filter(Places::are_the_same) {
        LAST.store(Some(Arc::new((places, Arc::clone(&environment)))));
    }
    environment
}
