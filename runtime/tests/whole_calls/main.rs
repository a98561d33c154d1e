//! The promises over whole calls: random cases over every back end, input, option, end and panic of user code,
//! against a model of what each item may have become.
//!
//! * `WHOLE_CALLS_CASES=10000`, or `PROPTEST_CASES`: how many cases; 300 when left out.
//! * `WHOLE_CALLS_SECONDS=3600`: for so long instead.
//! * `WHOLE_CALLS_PROCESSES=4`: the weight of process cases, where threads have 30; 1 when left out.
//! * `WHOLE_CALLS_SEED=7`: other cases than those that are always the same.
//! * `WHOLE_CALLS_SURVEY=1`: goes on after a failure, and prints each case that fails as it is.
//! * `WHOLE_CALLS_CASE='{..}'` with the test `replay`: one case, `WHOLE_CALLS_TIMES` times.
//!
//! A lost wake-up is a failure too, though the safety net of the wait has caught it: in builds with debug assertions.
//!
//! A case that fails is made smaller and printed as JSON. One that hangs, or ends the process, is printed as
//! it was: its text is in a file before it runs, which is named at the start.

#![cfg(all(target_os = "linux", feature = "process"))]
#![allow(unreachable_pub, reason = "a program of several modules")]

mod bodies;
mod case;
mod consume;
mod ledger;
mod log;
mod model;
mod start;
#[path = "../support/mod.rs"]
mod support;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use runspace::__private::{late_wakes, watch_wakes};
use runspace::Results;

use bodies::Answer;
use case::{Case, Form};
use consume::Story;
use ledger::Of;
use log::{Entry, Live};
use model::Model;

/// Whether a fault keeps a case from being what the model says.
type Meets = fn(&Case) -> bool;

/// KNOWN: faults that are known and not mended yet. Cases that meet one are passed over, unless
/// `WHOLE_CALLS_KNOWN=run`; with `WHOLE_CALLS_KNOWN=name`, only those that meet this one are not.
const KNOWN: &[(&str, Meets)] = &[];

fn runs_known(name: &str) -> bool {
    let set = std::env::var("WHOLE_CALLS_KNOWN").unwrap_or_default();
    set == "run" || set.split(',').any(|it| it == name)
}

fn is_known(case: &Case) -> bool {
    KNOWN
        .iter()
        .any(|(name, meets)| meets(case) && !runs_known(name))
}

/// How long one case may take. Its items take less than a second in all.
const LIMIT: Duration = Duration::from_secs(60);

/// Panics are part of most cases, and are told by what comes of them.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// The case that runs, since when.
static NOW: Mutex<Option<(Instant, String)>> = Mutex::new(None);
/// One at a time: a plan holds for the process.
static ONE: Mutex<()> = Mutex::new(());

fn now() -> std::sync::MutexGuard<'static, Option<(Instant, String)>> {
    NOW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the case that runs is written down.
fn file() -> PathBuf {
    std::env::temp_dir().join(format!("whole_calls.{}.case", std::process::id()))
}

/// Ends the process, and says of which case, when one takes too long.
fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.load(Ordering::SeqCst) {
                hook(info);
            }
        }));
        eprintln!("the case that runs is in {}", file().display());
        // To count them takes time, and what a release build is tried for is how things meet at full speed.
        if cfg!(debug_assertions) {
            watch_wakes();
        }
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(500));
                let late = now().as_ref().filter(|it| it.0.elapsed() > LIMIT).cloned();
                if let Some((_, case)) = late {
                    let text = format!("\nnot done after {LIMIT:?}, aborting: {case}\n");
                    let _ = std::io::stderr().write_all(text.as_bytes());
                    std::process::abort();
                }
            }
        });
    });
}

/// Runs a case, and says what is wrong with what came of it.
fn run(case: &Case) -> Result<(), String> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    let text = serde_json::to_string(case).unwrap();
    let _ = std::fs::write(file(), &text);
    *now() = Some((Instant::now(), text));
    let live = log::open(number);
    let program = std::process::id();
    let away = log::path(program, number);
    if case.place.is_process() {
        std::fs::write(&away, "").unwrap();
    }
    let before = late_wakes();
    IS_QUIET.store(true, Ordering::SeqCst);
    let checked = catch_unwind(AssertUnwindSafe(|| call_and_check(case, number, &live)));
    IS_QUIET.store(false, Ordering::SeqCst);
    let late = late_wakes() - before;
    log::close(number);
    let _ = std::fs::remove_file(&away);
    *now() = None;
    match checked {
        Ok(Ok(())) if late > 0 => Err(format!("{late} waits that only their time limit has ended")),
        Ok(checked) => checked,
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|it| (*it).to_owned()));
            Err(format!("a panic of the call: {text:?}"))
        }
    }
}

fn call_and_check(case: &Case, number: u64, live: &Arc<Live>) -> Result<(), String> {
    let folder = case.journal.then(|| tempfile::tempdir().unwrap());
    let path = folder.as_ref().map(|it| it.path().join("run.jsonl"));
    let (story, entries) = checked(case, number, live, path.as_deref(), None)?;
    let (Some(story), Some(path)) = (story, path) else {
        return Ok(());
    };
    // The same call again, which nothing ends this time.
    let again = Case {
        end: case::End::Outcomes,
        stop_inside: None,
        deadline: None,
        timeout: None,
        halt: None,
        broken: None,
        ..case.clone()
    }
    .fit();
    for count in [&live.taken, &live.consumed, &live.most_open] {
        count.store(0, Ordering::SeqCst);
    }
    let (there, now) = checked(
        &again,
        number,
        live,
        Some(&path),
        Some((case, entries.len())),
    )?;
    let before = Model {
        case,
        entries: &entries,
        before: None,
    };
    let model = Model {
        case: &again,
        entries: &now,
        before: Some(case),
    };
    let there = there.ok_or("the call with a journal does not start again")?;
    let resumed = model
        .resumed(&before, &there)
        .and_then(|()| model.spared(&story));
    resumed.map_err(|it| format!("{it}\nseen: {:?}\nlog: {entries:?} {now:?}", there.seen))
}

/// Runs the call, and holds what came of it against the model. Answers what was seen, and what the bodies have
/// said in it; `before` is the run before, and what they said then.
fn checked(
    case: &Case,
    number: u64,
    live: &Arc<Live>,
    journal: Option<&std::path::Path>,
    before: Option<(&Case, usize)>,
) -> Result<(Option<Story>, Vec<Entry>), String> {
    let told = call(case, number, live, journal);
    let forgotten = told.as_ref().is_ok_and(|it| it.forgotten);
    quiet(case, number, live, forgotten)?;
    let entries =
        log::read(std::process::id(), number, live).split_off(before.map_or(0, |it| it.1));
    match told {
        Ok(story) => {
            let model = Model {
                case,
                entries: &entries,
                before: before.map(|it| it.0),
            };
            let checked = model.check(&story, live);
            checked.map_err(|it| format!("{it}\nseen: {:?}\nlog: {entries:?}", story.seen))?;
            Ok((Some(story), entries))
        }
        Err(_) if case.broken.is_some() => Ok((None, entries)),
        Err(text) => Err(format!("the call does not start: {text}")),
    }
}

/// Nothing of a call that is over runs, or is there.
fn quiet(case: &Case, number: u64, live: &Live, forgotten: bool) -> Result<(), String> {
    let all = [
        Of::Item,
        Of::Value,
        Of::Capture,
        Of::State,
        Of::Payload,
        Of::Input,
    ];
    // A job that nobody holds ends by itself, and a call that was forgotten has been told to.
    let waits = forgotten || case.end.is_job();
    let kinds = match forgotten {
        true => &[Of::Capture, Of::State, Of::Input][..],
        false => &all[..],
    };
    if waits {
        support::until(|| {
            live.running.load(Ordering::SeqCst) == 0 && ledger::live(number, kinds).is_empty()
        });
    }
    let running = live.running.load(Ordering::SeqCst);
    if running != 0 {
        return Err(format!("{running} bodies run after the end of the call"));
    }
    // Of a job that nobody holds a process may still answer one value more, which is dropped.
    let left = match waits {
        true => Vec::new(),
        false => ledger::live(number, kinds),
    };
    if forgotten {
        ledger::write_off(number);
    }
    if !left.is_empty() {
        return Err(format!("not dropped at the end of the call: {left:?}"));
    }
    let twice = ledger::dropped_twice();
    if !twice.is_empty() {
        return Err(format!("dropped twice: {twice:?}"));
    }
    Ok(())
}

/// Starts the call and does with its results what the case says. An `Err` is the panic that its start raised.
fn call(
    case: &Case,
    number: u64,
    live: &Arc<Live>,
    journal: Option<&std::path::Path>,
) -> Result<Story, String> {
    let start = |make: &mut dyn FnMut() -> Results<Answer>| {
        catch_unwind(AssertUnwindSafe(make)).map_err(|payload| {
            let text = payload.downcast_ref::<String>().cloned();
            text.or_else(|| payload.downcast_ref::<&str>().map(|it| (*it).to_owned()))
                .unwrap_or_default()
        })
    };
    let items = match (case.form, case.input) {
        (Form::Scoped | Form::Borrowed, case::Input::Slice) => start::items(case, number),
        _ => Vec::new(),
    };
    let options = start::options(case, live, journal);
    let story = match case.form {
        Form::Stream => {
            let results = start(&mut || start::stream(case, number, live, options.clone()))?;
            consume::consume(case, live, results)
        }
        Form::Scoped => runspace::scope(|scope| {
            let results =
                start(&mut || start::scoped(scope, case, number, live, &items, options.clone()))?;
            Ok::<_, String>(consume::consume(case, live, results))
        })?,
        Form::Borrowed => {
            let results = start(&mut || start::borrowed(case, number, &items, options.clone()))?;
            consume::consume(case, live, results)
        }
    };
    drop(options);
    let _ = catch_unwind(AssertUnwindSafe(|| drop(items)));
    live.token.lock().unwrap().take();
    live.throttle.lock().unwrap().take();
    Ok(story)
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn every_item_becomes_what_the_model_says() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    watch();
    let cases = number_of("WHOLE_CALLS_CASES").or_else(|| number_of("PROPTEST_CASES"));
    let seconds = number_of("WHOLE_CALLS_SECONDS").map(Duration::from_secs);
    let processes = number_of("WHOLE_CALLS_PROCESSES").unwrap_or(1);
    let lot = u32::try_from(cases.unwrap_or(300)).unwrap();
    let seed = number_of("WHOLE_CALLS_SEED").unwrap_or(0);
    let surveys = std::env::var_os("WHOLE_CALLS_SURVEY").is_some();
    let (ran, failed) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let begin = Instant::now();
    let mut round = 0_u64;
    loop {
        let mut bytes = [0_u8; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&round.to_le_bytes());
        let config = Config {
            cases: lot,
            failure_persistence: None,
            // Most of what fails depends on chance: smaller ones are tried a few hundred times, and no more.
            max_shrink_iters: 400,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let strategy = case::any_case(u32::try_from(processes).unwrap());
        let outcome = runner.run(&strategy, |case| {
            if is_known(&case) {
                return Ok(());
            }
            ran.set(ran.get() + 1);
            match run(&case) {
                Err(problem) if surveys => {
                    let text = serde_json::to_string(&case).unwrap();
                    println!("{problem}\nWHOLE_CALLS_CASE='{text}'");
                    failed.set(failed.get() + 1);
                    Ok(())
                }
                ended => ended.map_err(TestCaseError::fail),
            }
        });
        if let Err(TestError::Fail(reason, case)) = outcome {
            let text = serde_json::to_string(&case).unwrap();
            panic!("{reason}\nWHOLE_CALLS_CASE='{text}'");
        }
        round += 1;
        let Some(seconds) = seconds else { break };
        if begin.elapsed() > seconds {
            break;
        }
    }
    let _ = std::fs::remove_file(file());
    eprintln!("{} cases", ran.get());
    assert!(failed.get() == 0, "{} cases failed", failed.get());
}

/// Cases that have failed once.
const ONCE: [&str; 10] = [
    // The worker of an item whose output could not be read was ended, and with it items behind that had begun.
    r#"{"place":"ProcessPool","form":"Stream","input":"Range","acts":[{"first":{"outputs":1}},{"first":{"outputs":3}},{"first":{"outputs":1}},{"first":{"outputs":1}},{"first":{"outputs":2}},{"first":{"outputs":7}},{"first":{"outputs":1}},{"first":{"outputs":263}},{"first":{"outputs":2}},{"first":{"outputs":1}},{"first":{"outputs":1}},{"first":{"outputs":2}},{"first":{"outputs":1}},{"first":{"outputs":250}},{"first":{"outputs":3}},{"first":{"outputs":1}}],"emits":true,"throttle":{"Fixed":1},"buffer":26,"broken":{"ValueDeserialize":12},"end":"Outcomes"}"#,
    // The last item of an input that says its size took all of the window, and its feeder waited for room.
    r#"{"place":"Threads","form":"Stream","input":"Lazy","acts":[{}],"throttle":{"Fixed":1},"buffer":0,"end":"Read"}"#,
    r#"{"place":"Sequential","form":"Stream","input":"Lazy","acts":[{},{},{}],"throttle":{"Fixed":1},"buffer":0,"end":"Read"}"#,
    // Items that waited for a shared place began when the call had had enough.
    r#"{"place":"Threads","form":"Stream","input":"Vec","acts":[{},{"first":{"way":"Panic"}},{"first":{"way":"Panic"}},{"first":{"way":"Panic"}},{"first":{"way":"Panic"}},{"first":{"way":"Panic"}},{"first":{"way":"Panic"}}],"throttle":{"Shared":2},"changes":[[1,20]],"halt":{"now":false,"of":"Fail","amount":{"Count":1}},"end":"Outcomes"}"#,
    r#"{"place":"Process","form":"Stream","input":"Vec","acts":[{},{"first":{"way":"Panic"}},{"first":{"way":"Panic"}},{"first":{"way":"Panic"}},{"first":{"way":"Panic"}},{"first":{"way":"Panic"}},{"first":{"way":"Panic"}}],"throttle":{"Shared":2},"changes":[[1,20]],"halt":{"now":false,"of":"Fail","amount":{"Count":1}},"end":"Outcomes"}"#,
    // The last worker left behind what waited for its next try, with the throttle lowered.
    r#"{"place":"Threads","form":"Stream","input":"Vec","acts":[{"first":{"work":{"Sleep":3}}},{"first":{"work":{"Sleep":3}}},{"first":{"work":{"Sleep":3}}},{"first":{"work":{"Sleep":3}}},{"first":{"work":{"Sleep":3}}},{},{},{"first":{"work":{"Sleep":9},"way":"Panic"}}],"throttle":{"Fixed":5},"changes":[[5,2]],"retry":{"times":2,"pause":"None","asks":false},"end":"Outcomes"}"#,
    // What was behind an item that was out of time ran twice.
    r#"{"place":"ProcessPool","form":"Stream","input":"Range","acts":[{},{},{},{},{},{}],"throttle":"Default","timeout":{"Short":0},"end":"Outcomes"}"#,
    // An item was out of time before there was a copy of it for another try.
    r#"{"place":"Sequential","form":"Stream","input":"Lazy","acts":[{},{"first":{"way":"Panic"},"later":{"way":"Err"}},{},{},{"first":{"work":"Yield"}},{},{},{}],"throttle":{"Fixed":4},"buffer":0,"timeout":{"Short":0},"retry":{"times":3,"pause":"None","asks":true},"end":"Outcomes"}"#,
    // The captures panicked when they were dropped, and the call stayed.
    r#"{"place":"ProcessPool","form":"Stream","input":"Vec","acts":[{},{},{},{},{},{}],"throttle":{"Fixed":4},"broken":"CaptureDrop","end":"Read"}"#,
    // A climbing throttle began with more than one worker.
    r#"{"place":"PlanSequential","form":"Stream","input":"Vec","acts":[{},{},{"first":{"work":"Yield"}},{"first":{"work":{"Sleep":2}}},{},{},{}],"throttle":{"Auto":4},"buffer":13,"state":true,"end":"Read"}"#,
];

#[test]
fn what_failed_once() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    watch();
    for text in ONCE {
        let case: Case = serde_json::from_str(text).expect("a case as JSON");
        for _ in 0..20 {
            if let Err(problem) = run(&case) {
                panic!("{problem}\n{text}");
            }
        }
    }
}

/// A case that was printed, once more.
#[test]
fn replay() {
    let Ok(text) = std::env::var("WHOLE_CALLS_CASE") else {
        return;
    };
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    watch();
    let case: Case = serde_json::from_str(&text).expect("a case as JSON");
    for time in 0..number_of("WHOLE_CALLS_TIMES").unwrap_or(1) {
        if let Err(problem) = run(&case) {
            panic!("time {time}: {problem}");
        }
    }
}
