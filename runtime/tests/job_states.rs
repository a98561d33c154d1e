//! A job goes through its states, and the table shows it.

mod support;

use std::sync::mpsc::channel;
use std::time::SystemTime;

use runspace::{JobQueue, JobState, jobs, start_thread_job};
use support::{until, within};

#[test]
fn a_job_goes_from_not_started_to_completed() {
    within(60, || {
        let queue = JobQueue::new(1);
        let (go, wait) = channel::<()>();
        let first = start_thread_job!(queue = &queue, using(wait), { wait.recv().is_ok() });
        let second = start_thread_job!(queue = &queue, { 2 });
        until(|| first.state() == JobState::Running);
        assert_eq!(second.state(), JobState::NotStarted);
        assert_eq!(second.started(), None);
        assert_eq!(second.location().thread(), None);
        go.send(()).unwrap();
        assert_eq!(first.wait(), JobState::Completed);
        assert_eq!(second.wait(), JobState::Completed);
        assert!(second.state().is_finished());
    });
}

#[test]
fn times_and_place_are_kept() {
    within(60, || {
        let before = SystemTime::now();
        let line = line!() + 1;
        let job = start_thread_job!({ std::thread::current().id() });
        assert_eq!(job.location().source().line(), line);
        assert_eq!(job.location().source().file(), file!());
        job.wait();
        let (started, finished) = (job.started().unwrap(), job.finished().unwrap());
        assert!(before <= started && started <= finished && finished <= SystemTime::now());
        assert_eq!(
            job.command(),
            format!("start_thread_job! at {}:{line}", file!())
        );
        let location = job.location();
        assert_eq!(location.thread(), Some(job.join().unwrap()));
    });
}

#[test]
fn numbers_grow_and_names_follow_them() {
    within(60, || {
        let first = start_thread_job!({});
        let second = start_thread_job!(name = "resize", {});
        let third = start_thread_job!(name = format!("part {}", 3), {});
        assert!(0 < first.id() && first.id() < second.id() && second.id() < third.id());
        assert_eq!(first.name(), format!("Job{}", first.id()));
        assert_eq!(second.name(), "resize");
        assert_eq!(third.name(), "part 3");
    });
}

#[test]
fn the_table_follows_the_jobs() {
    within(60, || {
        let (go, wait) = channel::<()>();
        let queue = JobQueue::new(1);
        let job = start_thread_job!(name = "followed", queue = &queue, using(wait), {
            wait.recv().unwrap();
            1
        });
        let entry = jobs().find("followed").unwrap().clone();
        assert_eq!(entry.id(), job.id());
        assert!(jobs().get(job.id()).is_some());
        assert!(jobs().iter().any(|it| it.id() == job.id()));
        until(|| entry.state() == JobState::Running);
        assert!(!entry.has_more_data());
        go.send(()).unwrap();
        assert_eq!(entry.wait(), JobState::Completed);
        assert!(entry.has_more_data());
        assert_eq!(job.receive(), [1]);
        assert!(!entry.has_more_data());
        assert!(job.remove().is_ok());
        assert!(jobs().get(entry.id()).is_none());
        assert_eq!(
            entry.state(),
            JobState::Completed,
            "what was listed still tells"
        );
    });
}

#[test]
fn only_a_finished_job_can_be_removed() {
    within(60, || {
        let (go, wait) = channel::<()>();
        let queue = JobQueue::new(1);
        let job = start_thread_job!(name = "kept", queue = &queue, using(wait), {
            let _ = wait.recv();
            8
        });
        let error = job.remove().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("`kept`") && text.contains("remove_force"),
            "{text}"
        );
        let job = error.into_job();
        assert!(jobs().get(job.id()).is_some());
        drop(go);
        job.wait();
        let id = job.id();
        job.remove().unwrap();
        assert!(jobs().get(id).is_none());
    });
}

#[test]
fn a_job_removed_by_force_is_stopped_and_gone() {
    within(60, || {
        let (ended, end) = channel();
        let queue = JobQueue::new(1);
        let job = start_thread_job!(queue = &queue, using(ended), {
            while !runspace::stopping() {
                std::thread::yield_now();
            }
            ended.send(()).unwrap();
        });
        until(|| job.state() == JobState::Running);
        let id = job.id();
        let entry = jobs().get(id).unwrap().clone();
        job.remove_force();
        assert!(jobs().get(id).is_none());
        end.recv().unwrap();
        assert_eq!(entry.wait(), JobState::Stopped);
        assert!(jobs().get(id).is_none());
    });
}

#[test]
fn the_table_prints_in_columns() {
    within(60, || {
        let short = start_thread_job!(name = "a", { 1 });
        let long = start_thread_job!(name = "a much longer name\nin two lines", { panic!("no") });
        let long: runspace::Job<()> = long;
        short.wait();
        long.wait();
        let text = jobs().to_string();
        let lines: Vec<&str> = text.lines().collect();
        let column = |head: &str| lines[0].find(head).unwrap();
        assert!(lines[0].starts_with("Id "));
        assert!(lines[1].starts_with("-- "));
        let row = |id: u64| {
            let start = format!("{id} ");
            *lines.iter().find(|it| it.starts_with(&start)).unwrap()
        };
        for (id, name, state, more) in [
            (short.id(), "a ", "Completed ", "True "),
            (
                long.id(),
                "a much longer name in two lines ",
                "Failed ",
                "False ",
            ),
        ] {
            let row = row(id);
            assert!(row[column("Name")..].starts_with(name), "{text}");
            assert!(row[column("State")..].starts_with(state), "{text}");
            assert!(row[column("HasMoreData")..].starts_with(more), "{text}");
            assert!(row[column("Location")..].starts_with(file!()), "{text}");
            assert!(
                row[column("Command")..].starts_with("start_thread_job! at "),
                "{text}"
            );
        }
        assert!(lines.iter().all(|it| it.trim_end() == *it));
    });
}

#[test]
fn a_thread_job_cannot_be_suspended() {
    within(60, || {
        let job = start_thread_job!({ 1 });
        assert!(
            job.suspend()
                .unwrap_err()
                .to_string()
                .contains("condition variable")
        );
        assert!(job.resume().is_err());
        assert_eq!(job.wait(), JobState::Completed);
    });
}

#[test]
fn records_are_kept_in_order() {
    within(60, || {
        use runspace::{Level, record};
        let job = start_thread_job!(name = "talks", |job| {
            job.warning("one");
            job.information("two");
            job.verbose(format!("{} {}", job.name(), job.id()));
            job.debug("four");
            record(Level::Error, "five");
            job.emit(());
        });
        job.wait();
        record(Level::Error, "outside of a job this goes nowhere");
        let records = job.records();
        let said: Vec<_> = records
            .iter()
            .map(|it| (it.level, it.text.as_str()))
            .collect();
        let third = format!("talks {}", job.id());
        assert_eq!(
            said,
            [
                (Level::Warning, "one"),
                (Level::Information, "two"),
                (Level::Verbose, third.as_str()),
                (Level::Debug, "four"),
                (Level::Error, "five"),
            ]
        );
        assert!(records.is_sorted_by_key(|it| it.time));
        assert_eq!(jobs().get(job.id()).unwrap().records(), records);
    });
}
