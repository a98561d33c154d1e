//! What the policy lets start: each test in a process of its own, for a policy is never loosened.

#![cfg(all(feature = "process", target_os = "linux"))]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use runspace::__private::{ProcessJobOptions, ProgramOptions, process_job, program_job};
use runspace::policy::{self, ApproveError, Denied, Policy, PolicySource, Verdict};
use runspace::{Job, JobErrorKind, JobState, foreach_parallel, start_job, start_thread_job};
use sha2::{Digest, Sha256};

/// Runs `body` in a process of its own, in which `RUNSPACE_POLICY` is `word`.
fn alone(word: Option<&str>, body: fn()) {
    support::alone(policy::VARIABLE, word, body);
}

/// The refusal that a job has ended with.
fn denied<T>(job: Job<T>) -> Denied {
    assert_eq!(job.state(), JobState::Failed, "refused at once");
    assert_eq!(job.location().process(), None);
    let Err(error) = job.join() else {
        panic!("it ran")
    };
    let JobErrorKind::Process(process) = error.kind() else {
        panic!("{error}")
    };
    assert!(process.is_denied(), "{error}");
    process.denied().unwrap().clone()
}

fn block<T>(body: fn(()) -> T) -> Job<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
{
    process_job(ProcessJobOptions::new().name("block"), (), body)
}

fn wait<T>(job: Job<T>) -> T {
    job.join().unwrap_or_else(|error| panic!("{error}"))
}

fn run(path: &Path) -> Job<String> {
    program_job(ProgramOptions::new(path).args(["-c", "echo ran"]))
}

type Reported = (String, String, Option<String>, Option<String>);

/// What a worker thinks of its policy.
#[runspace::job(name = "report")]
fn report() -> Reported {
    let more = policy::approve_job("more").err().map(|it| it.to_string());
    let inner = block(|()| ());
    inner.wait();
    let refused = inner.join().err().map(|it| it.to_string());
    (
        policy::current().to_string(),
        policy::source().to_string(),
        more,
        refused,
    )
}

#[runspace::job(name = "twice")]
fn once() {}

#[runspace::job(name = "twice")]
fn again() {}

#[test]
fn blocks_are_refused_before_anything_starts_and_threads_are_not() {
    alone(None, || {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("made");
        let line = line!() + 1;
        policy::set(Policy::ApprovedOnly).unwrap();
        let here = format!("ApprovedOnly (set at {}:{line}:", file!());

        let refused = denied(block(|()| ()));
        assert_eq!(refused.job(), Some("block"));
        assert_eq!(refused.policy(), Policy::ApprovedOnly);
        assert!(matches!(refused.set_by(), PolicySource::Code(it) if it.line() == line));
        let text = refused.to_string();
        assert!(text.starts_with("cannot start job `block`: the policy of this process is "));
        for words in [
            &here,
            "start_thread_job!",
            "foreach_parallel!",
            "approve_job",
        ] {
            assert!(text.contains(words), "{words} is not in: {text}");
        }

        let touch = program_job(ProgramOptions::new("touch").args([made.as_os_str()]));
        let refused = denied(touch);
        let text = refused.to_string();
        assert!(
            text.contains("touch`") && text.contains("approve_file("),
            "{text}"
        );
        assert!(!made.exists());
        // What is not there is not told from what is not approved.
        denied(program_job(ProgramOptions::new("no-such-program")));

        let children =
            fs::read_to_string(format!("/proc/self/task/{0}/children", std::process::id()));
        assert_eq!(children.unwrap_or_default(), "");
        assert_eq!(wait(start_thread_job!({ 1 })), 1);
        assert_eq!(foreach_parallel!(0..9, |n: u32| n).sum::<u32>(), 36);

        let results = foreach_parallel!(0..3, on = process, name = "loop", |n: u32| n);
        let outcomes = results.outcomes().map(|it| it.unwrap_err().to_string());
        let errors: Vec<String> = outcomes.collect();
        let words = "cannot start: the policy of this process is";
        let refused = errors.iter().find(|it| it.contains(words));
        assert_eq!(refused.expect(words).matches("`loop`").count(), 1);
        let record = policy::audit().pop().unwrap();
        assert_eq!(record.location.file(), file!());

        policy::set(Policy::Deny).unwrap();
        policy::approve_job("report").unwrap();
        let text = denied(start_job!(report())).to_string();
        assert!(
            text.contains("is Deny (set at ") && !text.contains("approve"),
            "{text}"
        );
        let verdicts = policy::audit().into_iter().map(|it| it.verdict);
        assert!(verdicts.eq([Verdict::Refused; 5]));
    });
}

#[test]
fn a_policy_is_only_tightened() {
    alone(None, || {
        assert_eq!(
            (policy::current(), policy::source()),
            (Policy::Allow, PolicySource::Default)
        );
        policy::set(Policy::Allow).unwrap();
        assert_eq!(policy::source(), PolicySource::Default);
        let line = line!() + 1;
        policy::set(Policy::Audit).unwrap();
        policy::set(Policy::Audit).unwrap();
        assert!(matches!(policy::source(), PolicySource::Code(it) if it.line() == line));
        let error = policy::set(Policy::Allow).unwrap_err();
        assert_eq!(
            (error.wanted(), error.current()),
            (Policy::Allow, Policy::Audit)
        );
        assert!(
            error.to_string().contains(&format!("{}:{line}:", file!())),
            "{error}"
        );
        assert_eq!(policy::current(), Policy::Audit);
    });
}

#[test]
fn the_environment_sets_the_policy() {
    alone(Some("Approved-Only"), || {
        assert_eq!(policy::source(), PolicySource::Environment);
        let text = denied(block(|()| ())).to_string();
        assert!(
            text.contains("is ApprovedOnly (set by RUNSPACE_POLICY)"),
            "{text}"
        );
        assert!(policy::set(Policy::Allow).is_err());
    });
}

#[test]
fn an_unknown_word_is_the_strictest_policy() {
    alone(Some("alow"), || {
        assert_eq!(policy::current(), Policy::Deny);
        let text = denied(block(|()| ())).to_string();
        assert!(
            text.contains("RUNSPACE_POLICY, whose value \"alow\" is none of allow,"),
            "{text}"
        );
    });
}

#[test]
fn an_empty_word_is_unknown() {
    alone(Some(""), || assert_eq!(policy::current(), Policy::Deny));
}

#[test]
fn audit_blocks_nothing_and_records_all() {
    alone(Some("audit"), || {
        policy::approve_job("report").unwrap();
        policy::approve_file("/bin/sh").unwrap();
        assert!(wait(block(|()| policy::current() == Policy::Audit)));
        let line = line!() + 1;
        let report = wait(start_job!(report()));
        assert_eq!(
            (report.0.as_str(), report.2, report.3),
            ("Audit", None, None)
        );
        assert_eq!(wait(run("/bin/sh".as_ref())), "ran");
        assert_eq!(
            program_job(ProgramOptions::new("true")).wait(),
            JobState::Completed
        );
        let records = policy::audit();
        let verdicts = records.iter().map(|it| (it.number, it.verdict));
        use Verdict::{Started, WouldBeRefused};
        let wanted = [
            (1, WouldBeRefused),
            (2, Started),
            (3, Started),
            (4, WouldBeRefused),
        ];
        assert!(verdicts.eq(wanted), "{records:?}");
        assert_eq!(records[1].location.line(), line);
        assert_eq!(
            records[1].to_string(),
            format!("started: job `report` ({})", records[1].location)
        );
    });
}

#[test]
fn an_approved_name_starts_and_its_worker_is_as_strict() {
    alone(None, || {
        // A spare that was started before must not be laxer than the process is now.
        assert_eq!(wait(block(|()| policy::current().to_string())), "Allow");
        let line = line!() + 1;
        policy::set(Policy::ApprovedOnly).unwrap();
        let text = denied(start_job!(report())).to_string();
        assert!(text.contains("approve_job(\"report\")"), "{text}");
        policy::approve_job("report").unwrap();
        let variables = [(policy::VARIABLE, "allow")];
        for _ in 0..3 {
            let (current, source, more, inner) = wait(start_job!(env = variables, report()));
            assert_eq!(current, "ApprovedOnly");
            let place = format!("where it was set at {}:{line}:", file!());
            assert!(
                source.starts_with("by the parent process (") && source.contains(&place),
                "{source}"
            );
            assert!(more.unwrap().contains("fixed"));
            assert!(inner.unwrap().contains("set by the parent process"));
        }
    });
}

#[test]
fn the_registry_lists_names_and_refuses_to_approve_one_of_two() {
    alone(None, || {
        let known: Vec<_> = policy::known_jobs().iter().map(|it| it.name()).collect();
        assert_eq!(known, ["report", "twice", "twice"]);
        assert_eq!(policy::known_jobs()[0].location().file(), file!());
        let error = policy::approve_job("twice").unwrap_err();
        let places = policy::known_jobs();
        let text = error.to_string();
        assert!(
            places[1..]
                .iter()
                .all(|it| text.contains(&it.location().to_string())),
            "{text}"
        );
        let ApproveError::Ambiguous { name, places } = error else {
            panic!("{error}")
        };
        assert_eq!((name.as_str(), places.len()), ("twice", 2));
    });
}

/// A shell under another name, so that it can be approved alone.
fn copy_of_shell(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    fs::copy("/bin/sh", &path).unwrap();
    path
}

fn sha256(path: &Path) -> String {
    let hash = Sha256::digest(fs::read(path).unwrap());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_approved_file_is_a_file_and_not_a_name() {
    alone(Some("approved-only"), || {
        let folder = tempfile::tempdir().unwrap();
        let good = copy_of_shell(folder.path(), "good");
        let bad = copy_of_shell(folder.path(), "bad");
        let link = folder.path().join("link");
        symlink(&good, &link).unwrap();
        denied(run(&good));
        policy::approve_file(&link).unwrap();
        assert_eq!(wait(run(&good)), "ran");
        assert_eq!(wait(run(&link)), "ran");
        let search = [("PATH", folder.path())];
        let by_name = ProgramOptions::new("good")
            .env(search)
            .args(["-c", "echo $0"]);
        assert_eq!(wait(program_job(by_name)), "good");
        let text = denied(run(&bad)).to_string();
        assert!(text.contains("/bad` is not approved"), "{text}");
        fs::remove_file(&link).unwrap();
        symlink(&bad, &link).unwrap();
        denied(run(&link));
        for wrong in [folder.path(), &folder.path().join("none")] {
            let error = policy::approve_file(wrong).unwrap_err();
            assert!(matches!(error, ApproveError::NoFile { .. }), "{error}");
        }
    });
}

#[test]
fn approved_bytes_are_the_bytes_that_run() {
    alone(Some("approved-only"), || {
        let folder = tempfile::tempdir().unwrap();
        let shell = copy_of_shell(folder.path(), "shell");
        let old = sha256(&shell);
        policy::approve_file_with_sha256(&shell, &old.to_uppercase()).unwrap();
        assert_eq!(wait(run(&shell)), "ran");
        // An approval of the path alone does not lift the condition.
        policy::approve_file(&shell).unwrap();

        let script = folder.path().join("script");
        fs::write(&script, "#!/bin/sh\nsleep 0.2\necho old\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        policy::approve_file_with_sha256(&script, &sha256(&script)).unwrap();
        let job = program_job(ProgramOptions::new(&script));
        // Written into while it runs: it runs from a copy that nobody can write to.
        fs::write(&script, "#!/bin/sh\necho new; echo new; echo new\n").unwrap();
        assert_eq!(wait(job), "old");
        let text = denied(program_job(ProgramOptions::new(&script))).to_string();
        assert!(
            text.contains(&format!("its SHA-256 is {}", sha256(&script))),
            "{text}"
        );
        assert!(text.contains("approve_file_with_sha256("), "{text}");
        policy::approve_file_with_sha256(&script, &sha256(&script)).unwrap();
        assert_eq!(wait(program_job(ProgramOptions::new(&script))), "new");

        fs::remove_file(&shell).unwrap();
        fs::copy("/bin/cat", &shell).unwrap();
        denied(run(&shell));
        let error = policy::approve_file_with_sha256(&shell, "abc").unwrap_err();
        assert!(matches!(error, ApproveError::NoHash(_)), "{error}");
    });
}

#[test]
fn a_program_finds_the_policy_in_its_environment() {
    alone(None, || {
        let word = |given: Option<&str>| {
            let options =
                ProgramOptions::new("/bin/sh").args(["-c", "echo \"<$RUNSPACE_POLICY>\""]);
            let options = options.env(given.map(|word| (policy::VARIABLE, word)));
            wait(program_job(options))
        };
        assert_eq!(word(None), "<>");
        assert_eq!(word(Some("Audit")), "<Audit>");
        policy::approve_file("/bin/sh").unwrap();
        policy::set(Policy::ApprovedOnly).unwrap();
        assert_eq!(word(None), "<approved-only>");
        assert_eq!(word(Some("allow")), "<approved-only>");
        assert_eq!(word(Some("DENY")), "<DENY>");
        assert_eq!(word(Some("what")), "<what>");
    });
}
