//! What does an item cost as more may run at once?

use std::thread::sleep;
use std::time::Duration;

use super::{Question, Setup};
use crate::measure::race;
use crate::peers::{Body, Crowd};
use crate::report::{Answer, Table, Unit};
use crate::work::Work;

pub(crate) const QUESTION: Question = Question {
    name: "throttle",
    title: "Cost of an item as the throttle goes up",
    ask,
};

const THROTTLES: [usize; 5] = [1, 2, 5, 64, 1024];

const CONTENDERS: [&str; 3] = [Crowd::PAR_BRIDGE, Crowd::CHANNELS, Crowd::OURS];

/// How long an item waits where many are to wait at once.
const WAIT: Duration = Duration::from_millis(10);

/// Above it a turn of the others takes seconds, and everyone has but one.
const MANY: usize = 64;

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let n = setup.count(200_000);
    answer.say(format!(
        "### No work, {n} items\n\nTime per item; above a throttle of {MANY}, a tenth of the items."
    ));
    let none = Work::of(Duration::ZERO);
    answer.say(compare(setup, |it| less(n, it), move |it| none.run(it)));
    let n = setup.count(20_000);
    answer.say(format!("### 1us of work, {n} items\n\nTime per item; above a throttle of {MANY}, a tenth of the items."));
    let some = Work::of(Duration::from_micros(1));
    answer.say(compare(setup, |it| less(n, it), move |it| some.run(it)));
    answer.say(format!(
        "### {WAIT:?} of sleep, four items for each place\n\nTime per item, times the throttle: at best {WAIT:?} and what \
         the system adds to a sleep."
    ));
    let slept = move |it| {
        sleep(WAIT);
        it
    };
    answer.say(compare_scaled(
        setup,
        |throttle| throttle as u64 * 4,
        slept,
        |throttle| throttle as f64,
    ));
    answer
}

/// A tenth of the items where there are many threads to be started.
fn less(n: u64, throttle: usize) -> u64 {
    if throttle > MANY { n / 10 } else { n }
}

fn compare(setup: &Setup, items: impl Fn(usize) -> u64, body: impl Body) -> Table {
    compare_scaled(setup, items, body, |_| 1.0)
}

fn compare_scaled(
    setup: &Setup,
    items: impl Fn(usize) -> u64,
    body: impl Body,
    factor: impl Fn(usize) -> f64,
) -> Table {
    let head = THROTTLES.map(|it| format!("throttle {it}"));
    let mut table = Table::new([String::new()].into_iter().chain(head));
    let mut rows = CONTENDERS.map(|it| vec![it.to_owned()]);
    for throttle in THROTTLES {
        let crowd = Crowd::new(throttle);
        let n = items(throttle);
        let mut contenders = vec![crowd.ours(n, body)];
        // A thousand threads of theirs are seconds of a machine that others may want to use.
        if throttle <= MANY || !setup.quick {
            contenders.extend([crowd.par_bridge(n, body), crowd.channels(n, body)]);
        }
        let rounds = match throttle {
            0..MANY => setup.rounds.min(7),
            MANY => setup.rounds.min(3),
            _ => 1,
        };
        let race = race(rounds, contenders);
        for (row, name) in rows.iter_mut().zip(CONTENDERS) {
            let times = race.all.iter().find(|it| it.name == name);
            row.push(times.map_or_else(
                || "-".to_owned(),
                |it| Unit::Seconds.write(it.wall().median / n as f64 * factor(throttle)),
            ));
        }
    }
    for row in rows {
        table.row(row);
    }
    table
}
