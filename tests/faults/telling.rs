//! What a program says of itself: at what it hangs; and destructors that run in the collections of this crate.

use std::hash::{Hash, Hasher};
use std::io::{BufRead as _, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::thread;

use runspace::collections::{Bag, Dictionary, Queue, Stack};
use runspace::{RunspacePool, foreach_parallel, invoke, start_job, start_thread_job};

use crate::common::assert_has;
use crate::stage::{Row, again, part, pool, process, threads};

pub const ROWS: &[Row] = &[
    Row {
        id: "C14",
        name: "hang_is_told",
        fault: "A body, an invocation or an item in a process never returns, and RUNSPACE_DEBUG_HANG is set",
        outcome: "stderr has what is waited for, by which thread, for how long, and the line of the call, job or invocation.",
        tests: &[
            threads(c14_threads),
            threads(c14_invocation).named("threads_invocation"),
            process(c14_process),
            pool(c14_pool),
        ],
        elsewhere: "",
    },
    Row {
        id: "C15",
        name: "destructors_in_collections",
        fault: "Destructors of keys and values panic in a collection that items share, and use it",
        outcome: "The item that ran them fails, the collection works on for all others, and all destructors have run.",
        tests: &[threads(c15_threads)],
        elsewhere: "Processes share no collection: the compiler refuses one that is captured there.",
    },
];

/// Has `hang` run in another process of this program, in which waits are watched. Answers what that says before it is killed.
fn told(hang: fn()) -> String {
    if part().is_some() {
        hang();
        panic!("it was to hang");
    }
    let mut child = again("hangs")
        .env("RUNSPACE_DEBUG_HANG", "0.3")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        text += &line.unwrap();
        text.push('\n');
        // The last line of what it says.
        if text
            .lines()
            .last()
            .is_some_and(|it| it.starts_with("threads:"))
        {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    text
}

fn hang() -> u64 {
    loop {
        thread::park();
    }
}

fn c14_threads() {
    let text = told(|| {
        foreach_parallel!(0..3, name = "stuck", |n| if n == 1 { hang() } else { n }).wait();
    });
    assert_has(
        &text,
        &[
            "the reader of `stuck`",
            "telling.rs:",
            "item 1 (try 1) runs for",
        ],
    );
    assert_has(&text, &["2 consumed, 1 running"]);
}

fn c14_invocation() {
    let text = told(|| {
        let pool = RunspacePool::builder().max(1).name("desk").open().unwrap();
        let hangs = invoke!(&pool, name = "stuck", { hang() });
        let _behind = start_thread_job!(name = "behind", { hang() });
        drop(hangs.end());
    });
    assert_has(
        &text,
        &[
            "the end of invocation `stuck`",
            "pool `desk`: 1 of 1 threads",
            "`behind` (start_thread_job! at",
        ],
    );
}

fn c14_process() {
    let text = told(|| {
        start_job!(name = "stuck", { hang() }).wait();
    });
    assert_has(
        &text,
        &["`stuck` (start_job! at", "): Running for", ", process "],
    );
}

fn c14_pool() {
    let text = told(|| {
        foreach_parallel!(0..1, name = "stuck", on = process, |n| hang() + n).wait();
    });
    assert_has(
        &text,
        &[
            "the reader of `stuck`",
            "an answer of process ",
            " to item 0, which it was sent",
        ],
    );
}

/// Panics when it is dropped, after it has used the dictionary that it was in.
struct Spiteful {
    number: u64,
    of: Option<Dictionary<u64, u64>>,
}

impl PartialEq for Spiteful {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Spiteful {}

impl Hash for Spiteful {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl Drop for Spiteful {
    fn drop(&mut self) {
        let Some(count) = &self.of else {
            return;
        };
        count.add_or_update(0, |_| 1, |_, old| old + 1);
        if self.number.is_multiple_of(2) && !thread::panicking() {
            panic!("number {} goes", self.number);
        }
    }
}

fn c15_threads() {
    let count = Dictionary::new();
    let (keys, bag) = (Dictionary::new(), Bag::new());
    let (queue, stack) = (Queue::new(), Stack::new());
    let one = |number| Spiteful {
        number,
        of: Some(count.clone()),
    };
    for number in 0..20 {
        keys.insert(one(number), number);
        bag.add(one(number));
        queue.enqueue(one(number));
        stack.push(one(number));
    }
    let outcomes: Vec<_> =
        foreach_parallel!(0..20_u64, throttle = 4, using(keys.clone()), |number| {
            let key = Spiteful { number, of: None };
            keys.try_remove(&key)
        })
        .outcomes()
        .collect();
    let good = outcomes.iter().filter(|it| matches!(it, Ok(Some(_))));
    assert_eq!(good.count(), 10, "{outcomes:?}");
    assert_eq!(count.try_get(&0), Some(20));
    assert!(keys.is_empty());
    let clears: [&dyn Fn(); 3] = [&|| bag.clear(), &|| queue.clear(), &|| stack.clear()];
    for clear in clears {
        assert!(catch_unwind(AssertUnwindSafe(clear)).is_err());
    }
    assert_eq!(count.try_get(&0), Some(80));
    assert!(bag.is_empty() && queue.is_empty() && stack.is_empty());
    // They work on.
    keys.insert(
        Spiteful {
            number: 1,
            of: None,
        },
        2,
    );
    assert_eq!(keys.len(), 1);
}
