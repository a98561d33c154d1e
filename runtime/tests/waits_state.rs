//! State that reaches its own runspace or pool as it is dropped: the end comes all the same, and no thread stays.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runspace::{Runspace, RunspacePool, RunspaceState, foreach_parallel, invoke, start_thread_job};
use support::{until, within};

/// Does something to its host when it goes; counts that.
struct AtEnd<F: FnMut()>(Arc<AtomicUsize>, F);

impl<F: FnMut()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.1)();
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

type Kept = AtEnd<Box<dyn FnMut()>>;

fn at_end(count: &Arc<AtomicUsize>, act: impl FnMut() + 'static) -> Kept {
    AtEnd(Arc::clone(count), Box::new(act))
}

fn keep_on(runspace: &Runspace, count: &Arc<AtomicUsize>, act: impl FnMut() + Send + 'static) {
    let (act, count) = (Box::new(act), Arc::clone(count));
    invoke!(runspace, using(act, count), |rs| {
        drop(rs.set_state::<Kept>(at_end(&count, act)));
    })
    .end()
    .unwrap();
}

#[test]
fn state_that_closes_its_own_runspace() {
    within(60, || {
        let count = Arc::new(AtomicUsize::new(0));
        let runspace = Runspace::open().unwrap();
        let inside = runspace.clone();
        keep_on(&runspace, &count, move || inside.close());
        runspace.close();
        assert_eq!(runspace.state(), RunspaceState::Closed);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn state_that_closes_its_own_runspace_by_way_of_others() {
    within(60, || {
        let count = Arc::new(AtomicUsize::new(0));
        let runspace = Runspace::open().unwrap();
        let inside = runspace.clone();
        keep_on(&runspace, &count, move || {
            let job = start_thread_job!(using(inside.clone()), { inside.close() });
            assert!(job.join().is_ok());
            foreach_parallel!([()], using(inside.clone()), |()| inside.close()).wait();
            let other = Runspace::open().unwrap();
            let end = invoke!(&other, using(inside.clone()), { inside.close() }).end();
            assert!(end.is_ok());
        });
        runspace.close();
        assert_eq!(runspace.state(), RunspaceState::Closed);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn state_of_a_pool_that_closes_it_and_has_a_clone_of_it() {
    within(60, || {
        let count = Arc::new(AtomicUsize::new(0));
        let pool = RunspacePool::builder().max(3).open().unwrap();
        let barrier = Arc::new(std::sync::Barrier::new(3));
        let all: Vec<_> = (0..3)
            .map(|_| {
                let (inside, count, barrier) = (pool.clone(), count.clone(), barrier.clone());
                invoke!(&pool, using(inside, count, barrier), |rs| {
                    let kept = at_end(&count, move || inside.close());
                    drop(rs.set_state::<Kept>(kept));
                    barrier.wait();
                })
            })
            .collect();
        all.into_iter().for_each(|it| it.end().unwrap());
        pool.close();
        assert_eq!(pool.state(), RunspaceState::Closed);
        assert_eq!(count.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn the_last_clone_of_a_pool_goes_with_its_own_state() {
    within(60, || {
        let count = Arc::new(AtomicUsize::new(0));
        let pool = RunspacePool::builder()
            .min(0)
            .max(2)
            .idle_timeout(Duration::from_millis(20))
            .name("selfish")
            .open()
            .unwrap();
        let (inside, counted) = (pool.clone(), Arc::clone(&count));
        invoke!(&pool, using(inside, counted), |rs| {
            let kept = at_end(&counted, move || assert!(!inside.name().is_empty()));
            drop(rs.set_state::<Kept>(kept));
        })
        .end()
        .unwrap();
        drop(pool);
        until(|| count.load(Ordering::SeqCst) == 1);
        #[cfg(target_os = "linux")]
        until(|| !support_threads().iter().any(|it| it.starts_with("selfish")));
    });
}

#[test]
fn state_that_invokes_on_its_own_runspace_is_told_that_it_is_closed() {
    within(60, || {
        let count = Arc::new(AtomicUsize::new(0));
        let runspace = Runspace::open().unwrap();
        let inside = runspace.clone();
        keep_on(&runspace, &count, move || {
            assert!(invoke!(&inside, { 1 }).end().is_err());
        });
        runspace.close();
        assert_eq!(count.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn state_that_is_replaced_may_close_too() {
    within(60, || {
        let count = Arc::new(AtomicUsize::new(0));
        let runspace = Runspace::open().unwrap();
        let inside = runspace.clone();
        keep_on(&runspace, &count, move || inside.close());
        invoke!(&runspace, |rs| drop(rs.take_state::<Kept>()))
            .end()
            .unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 1);
        runspace.close();
        assert_eq!(runspace.state(), RunspaceState::Closed);
    });
}

/// The names of the threads of this process.
#[cfg(target_os = "linux")]
fn support_threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |it: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(it.ok()?.path().join("comm")).ok()
    };
    tasks.filter_map(name).collect()
}
