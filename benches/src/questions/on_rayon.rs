//! What does `on = rayon` cost more than rayon?

use std::time::Duration;

use super::per_item::{SIZES, THROTTLE, items, name};
use super::{Question, Setup};
use crate::measure::race;
use crate::peers::Crowd;
use crate::report::{Answer, Bar, Table, Unit};
use crate::work::Work;

pub(crate) const QUESTION: Question = Question {
    name: "rayon",
    title: "`on = rayon` on a range, beside `par_iter`",
    ask,
};

/// The lengths of ranges with little work, so that what a call costs shows.
const LENGTHS: [u64; 4] = [1, 10, 1_000, 100_000];

/// The work of their items.
const LITTLE: u64 = 100;

/// How many calls make a turn where one has few items.
const CALLS: u64 = 200;

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let crowd = Crowd::new(THROTTLE);
    let head = [
        "",
        "items",
        "par_iter",
        "runspace",
        "ratio",
        "middle half",
        "ratio of CPU",
    ];
    let mut table = Table::new(head);
    let sizes = SIZES.map(|nanos| (nanos, items(setup, nanos), 1));
    let lengths = LENGTHS.map(|n| (LITTLE, n, (10_000 / n).clamp(1, CALLS)));
    for (nanos, n, calls) in sizes.into_iter().chain(lengths) {
        let work = Work::of(Duration::from_nanos(nanos));
        let body = move |it| work.run(it);
        let race = race(
            setup.rounds,
            vec![
                crowd.par_iter(n, body).repeated(calls),
                crowd.ours_on_rayon(n, body).repeated(calls),
            ],
        );
        let [theirs, ours] = [Crowd::PAR_ITER, Crowd::OURS_ON_RAYON];
        let each = |who| race.of(who).wall().median / (n * calls) as f64;
        let ratio = race.ratio(ours, theirs);
        table.row([
            name(nanos),
            n.to_string(),
            Unit::Seconds.write(each(theirs)),
            Unit::Seconds.write(each(ours)),
            Unit::Times.write(ratio.median),
            Unit::Times.spread(ratio),
            Unit::Times.write(race.cpu_ratio(ours, theirs).median),
        ]);
        let what = format!("`on = rayon`, {}, {n} items, of `par_iter`", name(nanos));
        answer.bar(Bar::times(what, 1.1, ratio));
    }
    answer.say(format!(
        "A pool of {THROTTLE} threads; time per item, the call itself included. `par_iter` collects, and hands nothing out \
         before the end; ours is the same stream as ever."
    ));
    answer.say(table);
    answer
}
