//! A large argument.

use std::hint::black_box;

use runspace::{ProcessPool, foreach_parallel, start_job};

use super::super::{Question, Setup};
use crate::Group;
use crate::measure::{Contender, race};
use crate::table::Table;

pub(crate) const QUESTION: Question = Question {
    group: Group::Process,
    title: "A `Vec<u8>` of 16 MiB as an argument",
    ask,
};

const SIZE: usize = 16 << 20;

fn ask(setup: &Setup) {
    let bytes: Vec<u8> = (0..SIZE).map(|it| it as u8).collect();
    let mut target = bytes.clone();
    // Each turn consumes one; they are made beforehand.
    let some = || vec![bytes.clone(); setup.rounds + 1];
    let (mut items, mut captures) = (some(), some());
    let pool = ProcessPool::builder().workers(1).build();
    let times = race(
        setup.rounds,
        vec![
            Contender::new("memcpy, to memory in use", || {
                target.copy_from_slice(black_box(&bytes));
                sum(black_box(&target))
            }),
            Contender::new("memcpy, to new memory", || sum(black_box(&bytes.clone()))),
            Contender::new("runspace, item of a kept worker", || {
                let item = items.pop().expect("one for each turn");
                foreach_parallel!([item], on = process(&pool), |it| sum(&it)).sum()
            }),
            Contender::new("runspace, capture of start_job!", || {
                let bytes = captures.pop().expect("one for each turn");
                start_job!(using(bytes), { sum(&bytes) })
                    .join()
                    .expect("a process that answers")
            }),
        ],
    );
    let [warm, new] = [0, 1].map(|at: usize| times[at].median().as_secs_f64());
    let mut table = Table::new(["", "time", "spread", "of memcpy in use", "of memcpy to new"]);
    for it in &times {
        let median = it.median().as_secs_f64();
        table.row([
            it.name.to_owned(),
            format!("{:.2} ms", median * 1e3),
            format!("{:.0} %", it.spread() * 100.0),
            format!("{:.2}", median / warm),
            format!("{:.2}", median / new),
        ]);
    }
    println!(
        "From the call to its result, a number; both sides have new memory for it, and give it back; \
         median of {} turns.\n\n{table}",
        setup.rounds
    );
}

/// Looks at a byte in each 64 KiB, so that it takes no time beside the copy.
fn sum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .step_by((64 << 10) + 1)
        .map(|it| u64::from(*it))
        .sum()
}
