//! Arguments of many bytes.

use std::hint::black_box;

use runspace::{ProcessPool, foreach_parallel, start_job};

use super::super::{Question, Setup};
use crate::measure::{Contender, race};
use crate::peers::Python;
use crate::report::{Answer, Bar, Unit, panel, standings};

pub(crate) const QUESTION: Question = Question {
    name: "process-payload",
    title: "A `Vec<u8>` as an argument",
    ask,
};

/// How many bytes, and how many times a turn.
const SIZES: [(usize, u64); 4] = [(1 << 10, 200), (1 << 20, 20), (16 << 20, 1), (64 << 20, 1)];

/// The one that has a bar.
const WITH_BAR: usize = 16 << 20;

const IN_USE: &str = "memcpy, to memory in use";
const TO_NEW: &str = "memcpy, to new memory";
const ITEM: &str = "runspace, item of a kept worker";
const CAPTURE: &str = "runspace, capture of start_job!";

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    answer.say(
        "From the call to its result, the number of bytes; one after another. Both sides have new memory for it, and give it \
         back, which a copy to memory in use is spared.",
    );
    let mut python = Python::start(1);
    let peer = procspawn::Pool::new(1).expect("a pool");
    for (size, count) in SIZES {
        one_size(setup, &mut answer, &peer, &mut python, size, count);
    }
    peer.shutdown();
    answer
}

fn one_size(
    setup: &Setup,
    answer: &mut Answer,
    peer: &procspawn::Pool,
    python: &mut Option<Python>,
    size: usize,
    count: u64,
) {
    let bytes: Vec<u8> = (0..size).map(|it| it as u8).collect();
    let mut target = bytes.clone();
    let pool = ProcessPool::builder().workers(1).build();
    // What a turn sends away is made before it.
    let some = || vec![bytes.clone(); usize::try_from(count).unwrap_or(1)];
    let each = |all: Vec<Vec<u8>>, send: &mut dyn FnMut(Vec<u8>) -> u64| {
        all.into_iter().map(send).sum::<u64>()
    };
    let mut contenders = vec![
        Contender::new(IN_USE, || {
            (0..count)
                .map(|_| {
                    target.copy_from_slice(black_box(&bytes));
                    length(black_box(&target))
                })
                .sum()
        }),
        Contender::new(TO_NEW, || {
            (0..count)
                .map(|_| length(black_box(&black_box(&bytes).clone())))
                .sum()
        }),
        Contender::prepared("procspawn::Pool, spawn and join", some, |all| {
            each(all, &mut |bytes| {
                let job = peer.spawn(bytes, |it| length(&it));
                job.join().expect("a worker")
            })
        }),
        Contender::prepared(ITEM, some, |all| {
            each(all, &mut |bytes| {
                foreach_parallel!([bytes], on = process(&pool), |it| length(&it)).sum()
            })
        }),
        Contender::prepared(CAPTURE, some, |all| {
            each(all, &mut |bytes| {
                start_job!(using(bytes), { length(&bytes) })
                    .join()
                    .expect("a process that answers")
            })
        }),
    ];
    if let Some(python) = python {
        contenders.push(Contender::new("Python ProcessPoolExecutor, submit", || {
            python.ask(&format!("bytes {size} {count}"))
        }));
    }
    let rounds = match size {
        0..=WITH_BAR => setup.rounds,
        _ => setup.rounds.min(5),
    };
    let race = race(rounds, contenders);
    answer.say(format!("### {}", Unit::Bytes.write(size as f64)));
    answer.say(standings(&race, count, "time", &[IN_USE, TO_NEW]));
    if size == WITH_BAR {
        let what = |than: &str| format!("16 MiB as an item of a kept worker, of {than}");
        for than in [IN_USE, TO_NEW] {
            answer.bar(Bar::times(what(than), 3.0, race.ratio(ITEM, than)));
        }
        answer.panel(panel("16 MiB to another process", &race, count, |_| false));
    }
}

/// Looks at a byte in each page, so that it is no more than the copy: what is not looked at need not be
/// there.
fn length(bytes: &[u8]) -> u64 {
    let pages = bytes.iter().step_by(4 << 10);
    black_box(pages.fold(0, |sum: u8, it| sum.wrapping_add(*it)));
    bytes.len() as u64
}
