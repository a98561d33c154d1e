//! Many items that are hardly any work.

use runspace::{ProcessPool, foreach_parallel};

use super::super::{Question, Setup};
use crate::Group;
use crate::measure::{Contender, race};
use crate::table::Table;

pub(crate) const QUESTION: Question = Question {
    group: Group::Process,
    title: "10 000 tiny items through two worker processes",
    ask,
};

const ITEMS: u64 = 10_000;

fn ask(setup: &Setup) {
    let pool = ProcessPool::builder().workers(2).build();
    let times = race(
        setup.rounds,
        vec![
            Contender::new("runspace, two threads", || {
                foreach_parallel!(0..ITEMS, throttle = 2, |n| n ^ 1).sum()
            }),
            Contender::new("runspace, two processes", || {
                foreach_parallel!(0..ITEMS, on = process(&pool), throttle = 2, |n| n ^ 1).sum()
            }),
            Contender::new("runspace, two processes, buffer = 2000", || {
                foreach_parallel!(
                    0..ITEMS,
                    on = process(&pool),
                    throttle = 2,
                    buffer = 2000,
                    |n| n ^ 1
                )
                .sum()
            }),
        ],
    );
    let threads = times[0].median().as_secs_f64();
    let mut table = Table::new(["", "per item", "spread", "of threads"]);
    for it in &times {
        let median = it.median().as_secs_f64();
        table.row([
            it.name.to_owned(),
            format!("{:.2} us", median * 1e6 / ITEMS as f64),
            format!("{:.0} %", it.spread() * 100.0),
            format!("{:.2}", median / threads),
        ]);
    }
    println!(
        "Start and end of the call are counted, the start of the workers is not: they are kept; \
         median of {} turns.\n\n{table}",
        setup.rounds
    );
}
