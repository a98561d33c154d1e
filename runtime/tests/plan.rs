//! `on = plan`: what chooses the back end, and what it comes to. Each test is in a process of its
//! own, for a plan is that of the process.

mod support;

use std::collections::HashSet;
use std::panic::catch_unwind;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use runspace::{Plan, Throttle, foreach_parallel};

fn alone(plan: Option<&str>, body: fn()) {
    support::alone("RUNSPACE_PLAN", plan, body);
}

/// A process and a thread of it, as another process can be told.
type Place = (u32, String);

fn here() -> Place {
    (std::process::id(), format!("{:?}", thread::current().id()))
}

/// Where items run that take a while.
fn places() -> HashSet<Place> {
    foreach_parallel!(0..8, on = plan, |_n| {
        thread::sleep(Duration::from_millis(10));
        here()
    })
    .collect()
}

#[test]
fn what_the_program_sets_holds_from_then_on() {
    alone(None, || {
        assert_eq!(runspace::plan(Plan::Sequential), Plan::default());
        assert_eq!(places(), HashSet::from([here()]));
        assert_eq!(runspace::plan(Plan::Threads(Some(2))), Plan::Sequential);
        let places = places();
        assert!(places.len() <= 2 && !places.contains(&here()), "{places:?}");
    });
}

#[test]
fn an_automatic_throttle_begins_with_no_more_than_the_plan_has() {
    alone(Some("sequential"), || {
        for _ in 0..200 {
            let counts = foreach_parallel!(
                0..8,
                on = plan,
                throttle = Throttle::auto_at_most(4),
                init(count = 0),
                |_n, job| {
                    thread::sleep(Duration::from_millis(1));
                    count += 1;
                    job.emit(count);
                }
            );
            let mut counts: Vec<u32> = counts.collect();
            counts.sort_unstable();
            assert!((1..=8).eq(counts), "one worker has all items");
        }
    });
}

#[test]
fn the_variable_is_stronger() {
    alone(Some("sequential"), || {
        runspace::plan(Plan::Threads(Some(3)));
        assert_eq!(places(), HashSet::from([here()]));
    });
}

#[test]
fn an_empty_variable_says_nothing() {
    alone(Some(""), || {
        runspace::plan(Plan::Sequential);
        assert_eq!(places(), HashSet::from([here()]));
    });
}

#[test]
fn a_variable_that_is_no_plan_is_told_what_is_one() {
    alone(Some("treads:8"), || {
        let raised = catch_unwind(|| foreach_parallel!(0..3, on = plan, |n| n).count());
        let text = *raised.unwrap_err().downcast::<String>().unwrap();
        let start = "RUNSPACE_PLAN: `treads:8` is no plan; write threads, threads:8, ";
        assert!(text.starts_with(start), "{text}");
    });
}

#[test]
fn the_number_is_the_throttle_of_calls_that_set_none() {
    alone(Some("threads:1"), || {
        assert_eq!(places().len(), 1);
        static THREE: Barrier = Barrier::new(3);
        let three = foreach_parallel!(0..3, on = plan, throttle = 3, |_n| {
            THREE.wait();
            here()
        });
        assert_eq!(three.collect::<HashSet<_>>().len(), 3);
    });
}

#[test]
fn a_call_on_a_plan_is_an_iterator_and_a_stage_like_others() {
    alone(Some("threads:2"), || {
        let offset = 10;
        let doubled = runspace::pipeline!(
            0..20_u64
                | foreach_parallel(ordered = true, |n| n * 2)
                | filter(|n| n % 4 == 0)
                | foreach_parallel(on = plan, ordered = true, using(offset), |n| n + offset)
        );
        assert!(doubled.eq((0..10).map(|n| n * 4 + 10)));
    });
}

#[cfg(all(target_os = "linux", feature = "process"))]
mod in_processes {
    use std::time::Instant;

    use runspace::Cause;
    use runspace::policy::{self, Policy};

    use super::*;

    fn pids(places: &HashSet<Place>) -> HashSet<u32> {
        places.iter().map(|(pid, _)| *pid).collect()
    }

    #[test]
    fn items_run_in_at_most_so_many_others() {
        alone(Some("process:2"), || {
            let pids = pids(&places());
            assert!((1..=2).contains(&pids.len()), "{pids:?}");
            assert!(!pids.contains(&std::process::id()));
        });
    }

    #[test]
    fn the_program_can_choose_them_too() {
        alone(None, || {
            runspace::plan("process:1".parse().unwrap());
            let pids = pids(&places());
            assert_eq!(pids.len(), 1);
            assert!(!pids.contains(&std::process::id()));
        });
    }

    /// Where an item runs, and the items of its own call.
    fn levels() -> Vec<(Place, HashSet<Place>)> {
        foreach_parallel!(0..4, on = plan, |_n| (here(), places())).collect()
    }

    #[test]
    fn the_next_level_is_sequential() {
        alone(Some("process:2"), || {
            for (outer, inner) in levels() {
                assert_ne!(outer.0, std::process::id());
                assert_eq!(inner, HashSet::from([outer]));
            }
        });
    }

    #[test]
    fn the_next_level_is_sequential_whoever_chose_the_first() {
        alone(None, || {
            runspace::plan(Plan::Process(Some(2)));
            for (outer, inner) in levels() {
                assert_eq!(inner, HashSet::from([outer]));
            }
            // A worker that is used again is a worker of its new call.
            let explicit = foreach_parallel!(0..4, on = process, |_n| (here(), places()));
            for (outer, inner) in explicit {
                assert!(!inner.contains(&outer), "the default is threads");
            }
        });
    }

    #[test]
    fn items_emit_and_workers_have_a_state_there() {
        alone(Some("process:2"), || {
            let base = 100;
            let all: Vec<(u64, usize)> = foreach_parallel!(
                0..4_u64,
                on = plan,
                throttle = 1,
                ordered = true,
                init(seen = Vec::new()),
                using(base),
                |n, job| {
                    seen.push(n);
                    for _ in 0..n {
                        job.emit((n + base, seen.len()));
                    }
                }
            )
            .collect();
            let items: Vec<u64> = all.iter().map(|(n, _)| *n).collect();
            assert_eq!(items, [101, 102, 102, 103, 103, 103]);
            assert_eq!(all.last(), Some(&(103, 4)));
        });
    }

    #[test]
    fn a_crash_is_one_item() {
        alone(Some("process:2"), || {
            let outcomes: Vec<_> = foreach_parallel!(0..6, on = plan, ordered = true, |n| {
                if n == 3 {
                    std::process::abort();
                }
                n
            })
            .outcomes()
            .collect();
            let failed: Vec<usize> = (0..6).filter(|n| outcomes[*n].is_err()).collect();
            assert_eq!(failed, [3]);
            let error = outcomes[3].as_ref().unwrap_err();
            assert!(matches!(error.cause(), Cause::Process(_)), "{error}");
        });
    }

    #[test]
    fn a_policy_that_refuses_processes_refuses_this_one() {
        alone(Some("process:2"), || {
            policy::set(Policy::ApprovedOnly).unwrap();
            let line = line!() + 1;
            let results = foreach_parallel!(0..3, on = plan, name = "loop", |_n| here());
            let mut errors = results.outcomes().filter_map(Result::err);
            let error = errors.find(|it| !it.is_stopped()).unwrap();
            let Cause::Process(cause) = error.cause() else {
                panic!("{error}")
            };
            let denied = cause.denied().unwrap();
            assert!(denied.to_string().contains("`loop`"), "{denied}");
            assert_eq!(
                (error.location().file(), error.location().line()),
                (file!(), line)
            );
            let here = policy::audit().pop().unwrap().to_string();
            assert!(here.contains(&format!("{}:{line}", file!())), "{here}");
            runspace::plan(Plan::Threads(None));
            // The plan of the environment stays: there is no way around a policy from within.
            assert!(
                foreach_parallel!(0..3, on = plan, |n| n)
                    .outcomes()
                    .any(|it| it.is_err())
            );
        });
    }

    #[test]
    fn a_stop_reaches_them() {
        alone(Some("process:2"), || {
            let start = Instant::now();
            let mut results = foreach_parallel!(0.., on = plan, |n| {
                if n > 0 {
                    runspace::stop_token().sleep(Duration::from_secs(600));
                }
                n
            });
            assert_eq!(results.next(), Some(0));
            drop(results);
            assert!(start.elapsed() < Duration::from_secs(60));
        });
    }
}
