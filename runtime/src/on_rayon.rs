//! `on = rayon`: workers on rayon's threads.
//!
//! A worker there holds a thread only while it has items, and never sleeps on it: when the input
//! is behind it leaves, and is spawned again when there is more. So bodies share the pool with whatever
//! else runs there, and rayon calls inside a body use the same pool. A consumer that waits on a
//! thread of the pool runs items of its own call meanwhile. It does not run other work of the
//! pool, as rayon's own waits do: a lock that it holds may be wanted there.
//!
//! A worker that waits for its reader in the middle of an item keeps its thread, for rayon has no other to lend. When
//! all threads of a pool stand like this, and the reader of another call waits for workers that are queued behind them,
//! they go on beyond what they may be ahead: see [`Crowd`].

use std::any::Any;
use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::context;
use crate::foreach::Place;
use crate::foreach::executor::{Backlog, Desk, Target};
use crate::per_process::{Owner, PerProcess};
use crate::threads::Task;

/// A pool of rayon's to run on, for one call.
#[derive(Debug)]
struct Rayon {
    pool: Pool,
    crowd: Arc<Crowd>,
    /// Workers of the call that are queued.
    queued: Arc<AtomicUsize>,
}

#[derive(Debug)]
enum Pool {
    /// The global pool: rayon has no handle to the pool of the current thread.
    Global,
    Given(Arc<ThreadPool>),
}

impl Pool {
    fn key(&self) -> usize {
        static GLOBAL: u8 = 0;
        match self {
            Self::Global => std::ptr::from_ref(&GLOBAL).addr(),
            Self::Given(pool) => Arc::as_ptr(pool).addr(),
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

    /// Whether this is one of its threads.
    fn is_here(&self) -> bool {
        match self {
            Self::Global => rayon::current_thread_index().is_some(),
            Self::Given(pool) => pool.current_thread_index().is_some(),
        }
    }
}

impl Rayon {
    fn on(pool: Pool) -> Place {
        let crowd = Crowd::of(&pool);
        Place(Arc::new(Self {
            pool,
            crowd,
            queued: Arc::default(),
        }))
    }
}

/// The calls that share the threads of one pool.
#[derive(Debug, Default)]
struct Crowd {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Where threads of the pool stand that wait for a reader.
    emitters: Vec<Arc<Backlog>>,
    /// The queued workers of each call whose reader waits.
    wanted: Vec<Arc<AtomicUsize>>,
}

impl Crowd {
    fn of(pool: &Pool) -> Arc<Self> {
        static CROWDS: PerProcess<Mutex<HashMap<usize, Weak<Crowd>>>> =
            PerProcess::new(Default::default);
        let mut crowds = CROWDS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(crowd) = crowds.get(&pool.key()).and_then(Weak::upgrade) {
            return crowd;
        }
        crowds.retain(|_, crowd| crowd.strong_count() > 0);
        let crowd = Arc::<Self>::default();
        crowds.insert(pool.key(), Arc::downgrade(&crowd));
        crowd
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a change that those may have to know of that wait for a reader.
    fn tell_emitters(&self, threads: usize) {
        let waiting = self.waiting();
        if waiting.emitters.len() >= threads {
            waiting.emitters.iter().for_each(|it| it.wake());
        }
    }
}

impl Target for Rayon {
    fn spawn(&self, task: Task, desk: &Arc<Desk>) -> io::Result<()> {
        if let Pool::Global = self.pool {
            global_pool()?;
            static OWNER: OnceLock<Owner> = OnceLock::new();
            OWNER
                .get_or_init(Owner::this)
                .check("rayon's global pool")?;
        }
        crate::harness::prepare();
        desk.put(task);
        let desk = Arc::clone(desk);
        let queued = Arc::clone(&self.queued);
        queued.fetch_add(1, Ordering::SeqCst);
        let serve = move || {
            queued.fetch_sub(1, Ordering::SeqCst);
            desk.run_one();
        };
        match &self.pool {
            Pool::Global => rayon::spawn(serve),
            Pool::Given(pool) => pool.spawn(serve),
        }
        self.crowd.tell_emitters(self.pool.size());
        Ok(())
    }

    fn title(&self) -> String {
        match self.pool {
            Pool::Global => "rayon's global pool".to_owned(),
            Pool::Given(_) => "a pool of rayon's".to_owned(),
        }
    }

    fn size(&self) -> usize {
        self.pool.size()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn key(&self) -> Option<usize> {
        Some(self.pool.key())
    }

    fn wait_for_reader(&self, ahead: &Arc<Backlog>) -> Option<Box<dyn Any>> {
        if !self.pool.is_here() {
            return None;
        }
        self.crowd.waiting().emitters.push(Arc::clone(ahead));
        // It may be the last of all threads.
        self.crowd.tell_emitters(self.pool.size());
        Some(Box::new(Emitter {
            crowd: Arc::clone(&self.crowd),
            ahead: Arc::clone(ahead),
        }))
    }

    fn must_go_on(&self) -> bool {
        let waiting = self.crowd.waiting();
        let is_wanted =
            |it: &Arc<AtomicUsize>| !Arc::ptr_eq(it, &self.queued) && it.load(Ordering::SeqCst) > 0;
        waiting.emitters.len() >= self.pool.size() && waiting.wanted.iter().any(is_wanted)
    }

    fn wait_for_workers(&self) -> Option<Box<dyn Any>> {
        self.crowd.waiting().wanted.push(Arc::clone(&self.queued));
        self.crowd.tell_emitters(self.pool.size());
        Some(Box::new(Wanted {
            crowd: Arc::clone(&self.crowd),
            queued: Arc::clone(&self.queued),
        }))
    }

    /// On a thread of the pool, or where one of them may wait for this thread: for a call that its item has made, a
    /// job, an invocation.
    fn is_here(&self) -> bool {
        self.pool.is_here() || self.key().is_some_and(context::is_on_pool)
    }
}

/// A thread of a pool that waits for a reader.
struct Emitter {
    crowd: Arc<Crowd>,
    ahead: Arc<Backlog>,
}

impl Drop for Emitter {
    fn drop(&mut self) {
        remove(&mut self.crowd.waiting().emitters, &self.ahead);
    }
}

/// A reader that waits for the workers of its call.
struct Wanted {
    crowd: Arc<Crowd>,
    queued: Arc<AtomicUsize>,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        remove(&mut self.crowd.waiting().wanted, &self.queued);
    }
}

fn remove<V>(all: &mut Vec<Arc<V>>, one: &Arc<V>) {
    if let Some(at) = all.iter().position(|it| Arc::ptr_eq(it, one)) {
        all.swap_remove(at);
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
    Rayon::on(Pool::Global)
}

/// `on = rayon(&pool)`.
#[must_use]
pub fn on_rayon_pool(pool: &Arc<ThreadPool>) -> Place {
    Rayon::on(Pool::Given(Arc::clone(pool)))
}
