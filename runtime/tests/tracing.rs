//! What the crate `tracing` is told: whose span code runs in, a span for each item, and what child
//! processes say. Each test runs in a process of its own, for what is listened to is asked of the whole
//! process.

#![cfg(all(target_os = "linux", feature = "process", feature = "tracing"))]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runspace::{
    Job, JobState, Level as Importance, ProcessPool, Retry, Runspace, RunspacePool,
    foreach_parallel, invoke, start_job, start_thread_job,
};
use support::{in_own_process, until, within};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber, debug, error, info, info_span, trace, warn};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

/// What was said, and in which spans.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<All>>);

#[derive(Default)]
struct All {
    spans: Vec<Span>,
    ids: HashMap<u64, usize>,
    events: Vec<Said>,
    /// The most items at once.
    most: usize,
}

#[derive(Clone, Debug, Default)]
struct Span {
    name: &'static str,
    fields: Fields,
    is_open: bool,
}

#[derive(Clone, Debug)]
struct Said {
    level: Level,
    target: String,
    fields: Fields,
    /// From the innermost on.
    spans: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Fields {
    #[track_caller]
    fn get(&self, name: &str) -> &str {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Heard {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut all = self.0.lock().unwrap();
        let mut span = Span {
            name: attributes.metadata().name(),
            is_open: true,
            ..Span::default()
        };
        attributes.record(&mut span.fields);
        all.spans.push(span);
        let at = all.spans.len() - 1;
        all.ids.insert(id.into_u64(), at);
        let open = all
            .spans
            .iter()
            .filter(|it| it.name == "item" && it.is_open)
            .count();
        all.most = all.most.max(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut all = self.0.lock().unwrap();
        let at = all.ids[&id.into_u64()];
        values.record(&mut all.spans[at].fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let scope = context.event_scope(event).into_iter().flatten();
        let ids: Vec<u64> = scope.map(|it| it.id().into_u64()).collect();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut all = self.0.lock().unwrap();
        let spans = ids.iter().map(|it| all.ids[it]).collect();
        all.events.push(Said {
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            fields,
            spans,
        });
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let mut all = self.0.lock().unwrap();
        if let Some(at) = all.ids.remove(&id.into_u64()) {
            all.spans[at].is_open = false;
        }
    }
}

impl Heard {
    /// The spans of this name, when all spans there were have come to their end.
    fn spans(&self, name: &str) -> Vec<Span> {
        let mut last = std::time::Instant::now();
        until(|| {
            let all = self.0.lock().unwrap();
            if last.elapsed() > Duration::from_secs(5) {
                last = std::time::Instant::now();
                for s in all.spans.iter().filter(|it| it.is_open) {
                    eprintln!("OPEN {s:?}");
                }
            }
            all.spans.iter().all(|it| !it.is_open)
        });
        let all = self.0.lock().unwrap();
        all.spans
            .iter()
            .filter(|it| it.name == name)
            .cloned()
            .collect()
    }

    fn events(&self) -> Vec<Said> {
        self.0.lock().unwrap().events.clone()
    }

    /// The names of the spans that `said` was said in, from the innermost on.
    fn names(&self, said: &Said) -> Vec<&'static str> {
        let all = self.0.lock().unwrap();
        said.spans.iter().map(|it| all.spans[*it].name).collect()
    }

    fn innermost(&self, said: &Said) -> Fields {
        let all = self.0.lock().unwrap();
        all.spans[said.spans[0]].fields.clone()
    }
}

/// Runs the test of this name in a process of its own, within a minute; it is given the outcome of all
/// that is listened to by the layer `heard` with this filter.
fn hearing(name: &str, filter: fn(&Metadata<'_>) -> bool, body: fn(&Heard)) {
    let run = move || {
        within(60, move || {
            let heard = Heard::default();
            let filtered = heard
                .clone()
                .with_filter(tracing_subscriber::filter::filter_fn(filter));
            let subscriber = Registry::default().with(filtered);
            tracing::subscriber::with_default(subscriber, || body(&heard));
        });
    };
    in_own_process(name, run).well();
}

fn everything(_: &Metadata<'_>) -> bool {
    true
}

/// That what six items have said is heard in their spans, those in the call's, that in the caller's.
fn check_items(heard: &Heard, is_child: bool) {
    let events = heard.events();
    let said: Vec<&Said> = events
        .iter()
        .filter(|it| it.fields.get("message") == "in the body")
        .collect();
    assert_eq!(said.len(), 6, "{events:?}");
    for said in said {
        assert_eq!(heard.names(said), ["item", "foreach_parallel", "caller"]);
        let item = heard.innermost(said);
        let index = match is_child {
            true => said.fields.get("child.fields").strip_prefix("n=").unwrap(),
            false => said.fields.get("n"),
        };
        assert_eq!(item.get("index"), index);
        assert_eq!(item.get("attempt"), "1");
        assert_eq!(item.get("throttle"), "3");
        assert_eq!(item.get("call"), "six");
        assert_eq!(said.level, Level::WARN);
        if is_child {
            assert_eq!(said.target, "runspace::child");
            assert_eq!(said.fields.get("child.target"), "tracing");
            let pid = said.fields.get("child.pid");
            assert_ne!(pid, std::process::id().to_string());
        } else {
            assert_eq!(said.target, "tracing");
        }
    }
    let items = heard.spans("item");
    assert_eq!(items.len(), 6, "{items:?}");
    for item in &items {
        assert_eq!(item.fields.get("outcome"), "ok");
        let worker = item.fields.get("worker");
        let kind = if is_child { "process " } else { "ThreadId(" };
        assert!(worker.starts_with(kind), "{worker}");
    }
    let calls = heard.spans("foreach_parallel");
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].fields.get("items"), "6");
    assert_eq!(calls[0].fields.get("name"), "six");
    assert!(calls[0].fields.get("location").contains("tracing.rs:"));
    let most = heard.0.lock().unwrap().most;
    assert!((1..=3).contains(&most), "{most} at once");
}

fn say(n: u64) {
    warn!(n, "in the body");
    // Long enough for the others to have their share.
    std::thread::sleep(Duration::from_millis(10));
}

#[test]
fn bodies_on_threads_are_in_the_span_of_the_caller() {
    hearing(
        "bodies_on_threads_are_in_the_span_of_the_caller",
        everything,
        |heard| {
            let span = info_span!("caller");
            let results = span
                .in_scope(|| foreach_parallel!(0..6_u64, throttle = 3, name = "six", |n| say(n)));
            drop(span);
            // Read outside of it: it is where the call is made that counts.
            results.wait();
            check_items(heard, false);
        },
    );
}

#[test]
fn bodies_one_after_the_other_are_in_the_span_of_the_caller() {
    hearing(
        "bodies_one_after_the_other_are_in_the_span_of_the_caller",
        everything,
        |heard| {
            let span = info_span!("caller");
            span.in_scope(|| {
                let results =
                    foreach_parallel!(0..6_u64, throttle = 3, on = sequential, name = "six", |n| {
                        say(n)
                    });
                results.wait();
            });
            drop(span);
            let throttles = heard.spans("foreach_parallel");
            assert_eq!(throttles[0].fields.get("throttle"), "1");
            let items = heard.spans("item");
            assert_eq!(items.len(), 6);
            for said in heard.events() {
                assert_eq!(heard.names(&said), ["item", "foreach_parallel", "caller"]);
            }
            assert_eq!(heard.events().len(), 6);
            assert_eq!(heard.0.lock().unwrap().most, 1);
        },
    );
}

#[cfg(feature = "rayon")]
#[test]
fn bodies_on_rayon_are_in_the_span_of_the_caller() {
    hearing(
        "bodies_on_rayon_are_in_the_span_of_the_caller",
        everything,
        |heard| {
            let span = info_span!("caller");
            span.in_scope(|| {
                foreach_parallel!(0..6_u64, throttle = 3, on = rayon, name = "six", |n| say(n))
                    .wait();
            });
            drop(span);
            check_items(heard, false);
        },
    );
}

#[test]
fn bodies_on_a_pool_are_in_the_span_of_the_caller() {
    hearing(
        "bodies_on_a_pool_are_in_the_span_of_the_caller",
        everything,
        |heard| {
            let pool = RunspacePool::builder().min(1).max(3).open().unwrap();
            let span = info_span!("caller");
            span.in_scope(|| {
                foreach_parallel!(
                    0..6_u64,
                    throttle = 3,
                    on = pool(&pool),
                    name = "six",
                    |n| say(n)
                )
                .wait();
            });
            drop(span);
            check_items(heard, false);
        },
    );
}

#[test]
fn what_bodies_in_processes_say_is_in_the_span_of_the_caller() {
    hearing(
        "what_bodies_in_processes_say_is_in_the_span_of_the_caller",
        everything,
        |heard| {
            let span = info_span!("caller");
            span.in_scope(|| {
                foreach_parallel!(0..6_u64, throttle = 3, on = process, name = "six", |n| say(
                    n
                ))
                .wait();
            });
            drop(span);
            check_items(heard, true);
        },
    );
}

#[test]
fn a_batch_has_one_item_at_a_time_in_each_process() {
    hearing(
        "a_batch_has_one_item_at_a_time_in_each_process",
        everything,
        |heard| {
            let results = foreach_parallel!(0..500_u64, throttle = 2, on = process, |n| n);
            assert_eq!(results.sum::<u64>(), 499 * 250);
            let items = heard.spans("item");
            let mut indices: Vec<u64> = items
                .iter()
                .map(|it| it.fields.get("index").parse().unwrap())
                .collect();
            indices.sort_unstable();
            assert!(indices.into_iter().eq(0..500));
            assert!(items.iter().all(|it| it.fields.get("outcome") == "ok"));
            let most = heard.0.lock().unwrap().most;
            assert!((1..=2).contains(&most), "{most} at once");
        },
    );
}

/// Without the spans of this crate, the caller's is the innermost.
#[test]
fn the_span_of_the_caller_is_entered_without_ours() {
    hearing(
        "the_span_of_the_caller_is_entered_without_ours",
        |it| it.target() != "runspace",
        |heard| {
            let span = info_span!("caller");
            let _entered = span.enter();
            foreach_parallel!(0..6_u64, throttle = 3, |n| say(n)).wait();
            foreach_parallel!(0..6_u64, throttle = 3, on = process, |n| say(n)).wait();
            start_thread_job!({ say(6) }).join().unwrap();
            start_job!({ say(6) }).join().unwrap();
            let events = heard.events();
            assert_eq!(events.len(), 14);
            for said in &events {
                assert_eq!(heard.names(said), ["caller"], "{said:?}");
            }
        },
    );
}

#[test]
fn jobs_are_in_the_span_of_the_caller_and_say_how_they_end() {
    hearing(
        "jobs_are_in_the_span_of_the_caller_and_say_how_they_end",
        everything,
        |heard| {
            let span = info_span!("caller");
            let entered = span.enter();
            let runspace = Runspace::open().unwrap();
            let thread = start_thread_job!(name = "on a thread", { say(0) });
            let process = start_job!(name = "in a process", { say(1) });
            let invocation = invoke!(&runspace, { say(2) });
            let failed = start_thread_job!(name = "failed", { panic!("as it should") });
            drop(entered);
            drop(span);
            thread.join().unwrap();
            process.join().unwrap();
            invocation.end().unwrap();
            assert!(Job::<()>::join(failed).is_err());
            let events = heard.events();
            assert_eq!(events.len(), 3, "{events:?}");
            for said in &events {
                assert_eq!(heard.names(said), ["job", "caller"], "{said:?}");
            }
            let jobs = heard.spans("job");
            let mut ends: Vec<(&str, &str)> = jobs
                .iter()
                .map(|it| (it.fields.get("command"), it.fields.get("outcome")))
                .collect();
            ends.sort_unstable();
            assert_eq!(
                ends,
                [
                    ("invoke!", "Completed"),
                    ("start_job!", "Completed"),
                    ("start_thread_job!", "Completed"),
                    ("start_thread_job!", "Failed"),
                ]
            );
            let names: Vec<&str> = jobs.iter().map(|it| it.fields.get("name")).collect();
            assert!(names.contains(&"in a process") && names.contains(&"failed"));
        },
    );
}

#[test]
fn each_try_of_an_item_has_its_span_and_its_end() {
    hearing(
        "each_try_of_an_item_has_its_span_and_its_end",
        everything,
        |heard| {
            fn body(n: u64) -> u64 {
                let attempt = runspace::attempt();
                assert!(n != 1 || attempt == 2, "the first try of 1");
                assert!(n != 2, "never 2");
                n
            }
            let retry = Retry::times(1);
            let threads = foreach_parallel!(0..3_u64, retry = retry, throttle = 2, |n| body(n));
            assert_eq!(threads.outcomes().filter(Result::is_ok).count(), 2);
            let processes =
                foreach_parallel!(0..3_u64, retry = retry, throttle = 2, on = process, |n| {
                    body(n)
                });
            assert_eq!(processes.outcomes().filter(Result::is_ok).count(), 2);
            let mut ends: Vec<(String, String, String, bool)> = heard
                .spans("item")
                .into_iter()
                .map(|it| {
                    let text = |name| it.fields.get(name).to_owned();
                    let error = it.fields.0.get("error");
                    let is_told = error.is_some_and(|it| it.starts_with("panicked: never 2"));
                    (text("index"), text("attempt"), text("outcome"), is_told)
                })
                .collect();
            ends.sort();
            let expected = [
                ("0", "1", "ok", false),
                ("1", "1", "again", false),
                ("1", "2", "ok", false),
                ("2", "1", "again", false),
                ("2", "2", "failed", true),
            ];
            // Once on threads, once in processes.
            let expected: Vec<_> = expected
                .iter()
                .flat_map(|it| [it, it])
                .map(|(a, b, c, d)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned(), *d))
                .collect();
            assert_eq!(ends, expected);
        },
    );
}

#[test]
fn events_of_a_child_arrive_with_level_and_fields() {
    hearing(
        "events_of_a_child_arrive_with_level_and_fields",
        everything,
        |heard| {
            let job = start_job!({
                error!(target: "elsewhere", code = 7, name = "a b", "it is broken");
                trace!(ratio = 0.5);
                // Threads of the body's own are heard as well.
                let thread = std::thread::spawn(|| debug!("from a thread"));
                thread.join().unwrap();
            });
            job.join().unwrap();
            let events = heard.events();
            let text = |it: &Said| {
                let fields = ["child.target", "message", "child.fields"];
                fields.map(|name| it.fields.get(name).to_owned()).join("|")
            };
            let heard: Vec<(Level, String)> =
                events.iter().map(|it| (it.level, text(it))).collect();
            assert_eq!(
                heard,
                [
                    (
                        Level::ERROR,
                        "elsewhere|it is broken|code=7 name=\"a b\"".to_owned()
                    ),
                    (Level::TRACE, "tracing||ratio=0.5".to_owned()),
                    (Level::DEBUG, "tracing|from a thread|".to_owned()),
                ]
            );
        },
    );
}

/// The state of a worker is made before its first item, and goes after its last.
#[test]
fn what_a_worker_says_around_its_items_arrives() {
    hearing(
        "what_a_worker_says_around_its_items_arrives",
        everything,
        |heard| {
            struct State;
            impl Drop for State {
                fn drop(&mut self) {
                    info!("goes");
                }
            }
            fn make() -> State {
                info!("is made");
                State
            }
            let pool = ProcessPool::builder().workers(1).build();
            for _ in 0..2 {
                let count =
                    foreach_parallel!(0..3_u64, on = process(&pool), init(state = make()), |n| {
                        let _ = &state;
                        n
                    });
                assert_eq!(count.count(), 3);
            }
            let events = heard.events();
            let said: Vec<&str> = events.iter().map(|it| it.fields.get("message")).collect();
            assert_eq!(said, ["is made", "goes", "is made", "goes"]);
        },
    );
}

/// The channel is in use while a value is written to it.
#[test]
fn a_value_that_speaks_while_it_is_written_is_heard() {
    hearing(
        "a_value_that_speaks_while_it_is_written_is_heard",
        everything,
        |heard| {
            #[derive(serde::Deserialize)]
            struct Talkative(u64);
            impl serde::Serialize for Talkative {
                fn serialize<S: serde::Serializer>(
                    &self,
                    serializer: S,
                ) -> Result<S::Ok, S::Error> {
                    info!(n = self.0, "is written");
                    serializer.serialize_newtype_struct("Talkative", &self.0)
                }
            }
            assert_eq!(start_job!({ Talkative(7) }).join().unwrap().0, 7);
            let values = foreach_parallel!(0..4_u64, on = process, |n| Talkative(n));
            assert_eq!(values.map(|it| it.0).sum::<u64>(), 6);
            let events = heard.events();
            let count = events
                .iter()
                .filter(|it| it.fields.get("message") == "is written")
                .count();
            assert_eq!(count, 5, "{events:?}");
        },
    );
}

#[test]
fn a_child_of_a_child_is_heard_once() {
    hearing("a_child_of_a_child_is_heard_once", everything, |heard| {
        let job = start_job!({
            start_job!({ warn!(depth = 2, "from below") })
                .join()
                .unwrap();
            let values = foreach_parallel!(0..2_u64, on = process, |n| warn!(n, "from an item"));
            values.wait();
        });
        job.wait();
        assert_eq!(job.state(), JobState::Completed);
        let events = heard.events();
        let said: Vec<_> = events
            .iter()
            .map(|it| (it.fields.get("child.target"), it.fields.get("message")))
            .collect();
        assert_eq!(
            said,
            [
                ("tracing", "from below"),
                ("tracing", "from an item"),
                ("tracing", "from an item")
            ]
        );
        assert_eq!(events[0].fields.get("child.fields"), "depth=2");
        let records: Vec<String> = job.records().iter().map(ToString::to_string).collect();
        assert_eq!(records.len(), 3, "{records:?}");
        assert_eq!(records[0], "WARNING: from below depth=2");
    });
}

#[test]
fn a_job_has_the_events_of_its_process_among_its_records() {
    let run = || {
        within(60, || {
            let job = start_job!({
                warn!(percent = 93, "the disk is nearly full");
                info!("started");
                debug!("a detail");
                trace!("too small a detail");
                println!("printed");
            });
            job.wait();
            // What is printed comes another way.
            let mut records = job.records();
            records.retain(|it| it.text != "printed");
            let texts: Vec<String> = records.iter().map(ToString::to_string).collect();
            assert_eq!(
                texts,
                [
                    "WARNING: the disk is nearly full percent=93",
                    "INFORMATION: started",
                    "DEBUG: a detail",
                ]
            );
            assert_eq!(records[0].level, Importance::Warning);
        });
    };
    in_own_process("a_job_has_the_events_of_its_process_among_its_records", run).well();
}

/// What a worker takes the trouble to send, from errors to traces.
fn enabled_in_a_process() -> Vec<bool> {
    let mut enabled = foreach_parallel!([()], on = process, |_| {
        [
            tracing::event_enabled!(Level::ERROR),
            tracing::event_enabled!(Level::WARN),
            tracing::event_enabled!(Level::INFO),
            tracing::event_enabled!(Level::DEBUG),
            tracing::event_enabled!(Level::TRACE),
        ]
        .to_vec()
    });
    enabled.next().unwrap()
}

/// The same worker serves calls that want more and less.
#[test]
fn a_child_sends_what_is_wanted_and_no_more() {
    let run = || {
        within(60, || {
            assert_eq!(enabled_in_a_process(), [false; 5]);
            let levels = [
                tracing::level_filters::LevelFilter::INFO,
                tracing::level_filters::LevelFilter::TRACE,
                tracing::level_filters::LevelFilter::ERROR,
            ];
            for (level, count) in levels.into_iter().zip([3, 5, 1]) {
                let subscriber = Registry::default().with(level);
                let enabled = tracing::subscriber::with_default(subscriber, enabled_in_a_process);
                assert_eq!(enabled.iter().filter(|it| **it).count(), count, "{level}");
                assert!(enabled[0]);
            }
        });
    };
    in_own_process("a_child_sends_what_is_wanted_and_no_more", run).well();
}
