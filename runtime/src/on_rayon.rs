//! `on = rayon`: workers on rayon's threads.
//!
//! A worker there holds a thread only while it has items, and never sleeps on it: when the input
//! is behind it leaves, and is spawned again when there is more. So bodies share the pool with whatever
//! else runs there, and rayon calls inside a body use the same pool. A consumer that waits on a
//! thread of the pool runs items of its own call meanwhile. It does not run other work of the
//! pool, as rayon's own waits do: a lock that it holds may be wanted there.

use std::error::Error as _;
use std::io;
use std::panic::catch_unwind;
use std::sync::{Arc, OnceLock};

use rayon::{ThreadPool, ThreadPoolBuilder};

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
            global_pool()?;
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
            // Without a pool the first worker fails, in words; to ask such a pool for its size panics.
            Self::Global if global_pool().is_err() => 1,
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

/// Sees to it that rayon has a global pool.
///
/// # Errors
/// Not all of its threads could be started. Rayon tries once, and each use of the pool after that panics, in whatever
/// thread uses it.
fn global_pool() -> io::Result<()> {
    static STARTED: OnceLock<Result<(), (io::ErrorKind, String)>> = OnceLock::new();
    if rayon::current_thread_index().is_some() {
        return Ok(());
    }
    let started = STARTED.get_or_init(|| {
        let Err(error) = ThreadPoolBuilder::new().build_global() else {
            return Ok(());
        };
        let refused = error.source().and_then(|it| it.downcast_ref::<io::Error>());
        if let Some(refused) = refused {
            return Err((refused.kind(), refused.to_string()));
        }
        // There is one already, or the one try was made by other code and has failed; rayon tells that by a panic.
        let size = catch_unwind(rayon::current_num_threads);
        size.map(drop).map_err(|_| {
            (
                io::ErrorKind::Other,
                "it could not be started before".to_owned(),
            )
        })
    });
    let Err((kind, reason)) = started else {
        return Ok(());
    };
    let text = format!("rayon's global pool could not be started: {reason}");
    Err(io::Error::new(*kind, text))
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
