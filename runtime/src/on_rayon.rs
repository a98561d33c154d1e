//! `on = rayon`: workers on rayon's threads.
//!
//! A worker there holds a thread only while it has items, and never sleeps on it: when the input
//! is behind it leaves, and is spawned again when there is more. So bodies share the pool with whatever
//! else runs there, and rayon calls inside a body use the same pool. A consumer that waits on a
//! thread of the pool runs items of its own call meanwhile. It does not run other work of the
//! pool, as rayon's own waits do: a lock that it holds may be wanted there.

use std::io;
use std::sync::{Arc, OnceLock};

use rayon::ThreadPool;

use crate::context;
use crate::foreach::Place;
use crate::foreach::executor::{Desk, Target};
use crate::per_process::Owner;
use crate::threads::Task;

/// A pool of rayon's to run on.
#[derive(Debug)]
enum Rayon {
    /// The global pool: rayon has no handle to the pool of the current thread.
    Global,
    Given(Arc<ThreadPool>),
}

impl Target for Rayon {
    fn spawn(&self, task: Task, desk: &Arc<Desk>) -> io::Result<()> {
        if let Self::Global = self {
            static OWNER: OnceLock<Owner> = OnceLock::new();
            OWNER
                .get_or_init(Owner::this)
                .check("rayon's global pool")?;
        }
        crate::harness::prepare();
        desk.put(task);
        let desk = Arc::clone(desk);
        let serve = move || desk.run_one();
        match self {
            Self::Global => rayon::spawn(serve),
            Self::Given(pool) => pool.spawn(serve),
        }
        Ok(())
    }

    fn title(&self) -> String {
        match self {
            Self::Global => "rayon's global pool".to_owned(),
            Self::Given(_) => "a pool of rayon's".to_owned(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Global => rayon::current_num_threads(),
            Self::Given(pool) => pool.current_num_threads(),
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn key(&self) -> Option<usize> {
        static GLOBAL: u8 = 0;
        Some(match self {
            Self::Global => std::ptr::from_ref(&GLOBAL).addr(),
            Self::Given(pool) => Arc::as_ptr(pool).addr(),
        })
    }

    /// On a thread of the pool, or where one of them may wait for this thread: for a call that its item has made, a
    /// job, an invocation.
    fn is_here(&self) -> bool {
        let is_on_it = match self {
            Self::Global => rayon::current_thread_index().is_some(),
            Self::Given(pool) => pool.current_thread_index().is_some(),
        };
        is_on_it || self.key().is_some_and(context::is_on_pool)
    }
}

/// `on = rayon`.
#[must_use]
pub fn on_rayon() -> Place {
    Place(Arc::new(Rayon::Global))
}

/// `on = rayon(&pool)`.
#[must_use]
pub fn on_rayon_pool(pool: &Arc<ThreadPool>) -> Place {
    Place(Arc::new(Rayon::Given(Arc::clone(pool))))
}
