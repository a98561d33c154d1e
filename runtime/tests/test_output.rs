//! A test that fails of a panic elsewhere shows its message and its place: what the harness keeps back for it, not for another.

mod support;

use std::process::Command;

use support::within;

const RUN: &str = "TESTS_THAT_FAIL";

/// Whether this is the process for that: elsewhere nobody expects them to fail.
fn is_run() -> bool {
    std::env::var_os(RUN).is_some()
}

/// What the harness shows of each test of `mod failing` that fails, run one after the other in a process of their own.
fn sections() -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "failing::", "--test-threads=1"])
        .env_remove("RUST_TEST_NOCAPTURE")
        .env(RUN, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn section<'a>(all: &'a str, name: &str) -> &'a str {
    let head = format!("---- failing::{name} stdout ----\n");
    let (_, rest) = all
        .split_once(&head)
        .unwrap_or_else(|| panic!("{name} is not in\n{all}"));
    let ends = ["\n---- ", "\nfailures:\n"].into_iter();
    let end = ends.filter_map(|it| rest.find(it)).min();
    &rest[..end.unwrap_or(rest.len())]
}

/// The line of this file that panics with this message.
fn line_of(message: &str) -> usize {
    let panics = format!("panic!(\"{message}");
    let mut lines = include_str!("test_output.rs").lines();
    1 + lines.position(|it| it.contains(&panics)).expect(message)
}

#[test]
fn a_test_that_fails_shows_the_panic_it_fails_of() {
    within(120, || {
        let all = sections();
        assert!(all.contains("test failing::a_first_one ... ok"), "{all}");
        let file = file!();
        for &(name, message) in failing::EXPECTED {
            let text = section(&all, name);
            assert!(
                text.contains(message),
                "{message:?} is not in {text:?} of\n{all}"
            );
            let place = format!("{file}:{}:", line_of(message));
            assert!(
                text.contains(&place),
                "{place:?} is not in {text:?} of\n{all}"
            );
        }
        let count = all.matches("\n---- failing::").count();
        assert_eq!(count, failing::EXPECTED.len(), "{all}");
    });
}

/// Where it is nobody's test, there is one report and no more.
#[test]
fn outside_of_a_test_there_is_one_report() {
    const MARK: &str = "NO_TEST";
    if std::env::var_os(MARK).is_some() {
        let results = runspace::foreach_parallel!(0..1, |_| -> u8 { panic!("told once") });
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| results.count()));
        assert!(caught.is_err());
        return;
    }
    within(60, || {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let name = "outside_of_a_test_there_is_one_report";
        let output = Command::new(program)
            .args(["--exact", name, "--nocapture"])
            .env(MARK, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.matches("told once").count(), 1, "{said}");
    });
}

/// Tests that fail, for the test above to run. The threads that they find were started by the first.
mod failing {
    use std::sync::OnceLock;

    use runspace::{Runspace, RunspacePool, foreach_parallel, invoke, start_thread_job};

    /// The test, and what it has to show.
    pub(super) const EXPECTED: &[(&str, &str)] = &[
        ("b_thread", "broken item"),
        ("c_bare", "broken bare"),
        ("d_job", "broken job"),
        ("e_job_iter", "broken iter"),
        ("f_invocation", "broken invocation"),
        ("g_input", "broken input"),
        ("h_pool", "broken pool"),
        ("i_sequential", "broken here"),
        ("j_init", "broken init"),
        ("k_retried", "broken often"),
        ("l_call_as_job", "broken call"),
        ("m_scope", "broken scope"),
        #[cfg(feature = "rayon")]
        ("n_rayon", "broken rayon"),
        #[cfg(feature = "process")]
        ("o_process", "broken there"),
        #[cfg(feature = "process")]
        ("p_process_job", "broken far"),
    ];

    /// A pool that serves one test after the other.
    fn pool() -> &'static RunspacePool {
        static POOL: OnceLock<RunspacePool> = OnceLock::new();
        POOL.get_or_init(|| RunspacePool::builder().max(1).open().unwrap())
    }

    fn runspace() -> &'static Runspace {
        static RUNSPACE: OnceLock<Runspace> = OnceLock::new();
        RUNSPACE.get_or_init(|| Runspace::open().unwrap())
    }

    #[test]
    #[ignore = "another test runs it"]
    fn a_first_one() {
        if !super::is_run() {
            return;
        }
        assert_eq!(foreach_parallel!(0..9, |n| n).count(), 9);
        assert_eq!(foreach_parallel!(0..9, on = pool(pool()), |n| n).count(), 9);
        assert_eq!(invoke!(runspace(), { 1 }).end().unwrap(), 1);
        #[cfg(feature = "rayon")]
        assert_eq!(foreach_parallel!(0..9, on = rayon, |n| n).count(), 9);
        #[cfg(feature = "process")]
        assert_eq!(foreach_parallel!(0..9, on = process, |n| n).count(), 9);
    }

    #[test]
    #[ignore = "another test runs it"]
    fn b_thread() {
        if !super::is_run() {
            return;
        }
        let all: Vec<u8> = foreach_parallel!(0..1, |n| panic!("broken item {n}")).collect();
        drop(all);
    }

    #[test]
    #[ignore = "another test runs it"]
    fn c_bare() {
        if !super::is_run() {
            return;
        }
        foreach_parallel!(0..1, |_| {
            panic!("broken bare");
        });
    }

    #[test]
    #[ignore = "another test runs it"]
    fn d_job() {
        if !super::is_run() {
            return;
        }
        let job = start_thread_job!({
            panic!("broken job");
        });
        job.join()
            .unwrap_or_else(|it: runspace::JobError| it.resume())
    }

    #[test]
    #[ignore = "another test runs it"]
    fn e_job_iter() {
        if !super::is_run() {
            return;
        }
        let job = start_thread_job!(|job| {
            job.emit(1);
            panic!("broken iter");
        });
        let _ = job.iter().count();
    }

    #[test]
    #[ignore = "another test runs it"]
    fn f_invocation() {
        if !super::is_run() {
            return;
        }
        let invocation = invoke!(runspace(), {
            panic!("broken invocation");
        });
        invocation.end().unwrap_or_else(|it| it.resume())
    }

    #[test]
    #[ignore = "another test runs it"]
    fn g_input() {
        if !super::is_run() {
            return;
        }
        let input = (0..3).map(|n| if n < 1 { n } else { panic!("broken input") });
        assert_eq!(foreach_parallel!(input, |n| n).count(), 3);
    }

    #[test]
    #[ignore = "another test runs it"]
    fn h_pool() {
        if !super::is_run() {
            return;
        }
        foreach_parallel!(0..1, on = pool(pool()), |_| panic!("broken pool")).wait();
    }

    #[test]
    #[ignore = "another test runs it"]
    fn i_sequential() {
        if !super::is_run() {
            return;
        }
        foreach_parallel!(0..1, on = sequential, |_| panic!("broken here")).wait();
    }

    fn no_state() -> i32 {
        panic!("broken init")
    }

    #[test]
    #[ignore = "another test runs it"]
    fn j_init() {
        if !super::is_run() {
            return;
        }
        foreach_parallel!(0..1, init(state = no_state()), |n| n + state).wait();
    }

    #[test]
    #[ignore = "another test runs it"]
    fn k_retried() {
        if !super::is_run() {
            return;
        }
        foreach_parallel!(0..1, retry = 2, |n| -> i32 { panic!("broken often {n}") }).wait();
    }

    #[test]
    #[ignore = "another test runs it"]
    fn l_call_as_job() {
        if !super::is_run() {
            return;
        }
        let job = foreach_parallel!(0..1, |_| panic!("broken call")).into_job();
        job.iter().for_each(|()| ());
    }

    #[test]
    #[ignore = "another test runs it"]
    fn m_scope() {
        if !super::is_run() {
            return;
        }
        let number = 1;
        foreach_parallel!(0..1, using(&number), |n| if n != *number {
            panic!("broken scope")
        });
    }

    #[cfg(feature = "rayon")]
    #[test]
    #[ignore = "another test runs it"]
    fn n_rayon() {
        if !super::is_run() {
            return;
        }
        foreach_parallel!(0..1, on = rayon, |_| panic!("broken rayon")).wait();
    }

    #[cfg(feature = "process")]
    #[test]
    #[ignore = "another test runs it"]
    fn o_process() {
        if !super::is_run() {
            return;
        }
        foreach_parallel!(0..1, on = process, |n| -> u8 { panic!("broken there {n}") }).wait();
    }

    #[cfg(feature = "process")]
    #[test]
    #[ignore = "another test runs it"]
    fn p_process_job() {
        if !super::is_run() {
            return;
        }
        let job = runspace::start_job!(|job| {
            job.emit(1);
            panic!("broken far");
        });
        job.iter().for_each(|it| assert_eq!(it, 1));
    }
}
