//! What does an item cost, beside its own work?

use std::time::Duration;

use super::{Question, Setup};
use crate::measure::race;
use crate::peers::Crowd;
use crate::report::{Answer, Bar, Unit, cores, panel, standings};
use crate::work::Work;

pub(crate) const QUESTION: Question = Question {
    name: "per-item",
    title: "Cost of an item, two at once",
    ask,
};

/// How many items run at once, whoever runs them.
pub(super) const THROTTLE: usize = 2;

/// The lengths of the work, in nanoseconds.
pub(super) const SIZES: [u64; 5] = [0, 100, 1_000, 10_000, 1_000_000];

/// What a turn takes when done serially, in nanoseconds.
const TURN: u64 = 60_000_000;

/// The most items in a turn.
const MOST: u64 = 1_000_000;

/// How many items of `nanos` make a turn.
pub(super) fn items(setup: &Setup, nanos: u64) -> u64 {
    setup.count((TURN / nanos.max(1)).min(MOST)).max(20)
}

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let crowd = Crowd::new(THROTTLE);
    let at_once = THROTTLE.min(cores());
    answer.say(format!(
        "Items of `0..n`, their results added up by the caller; the whole time over n. `stream` means that the caller \
         has results while others still run; `collect` that it has to wait for all. At best a contender takes {:.2} of \
         serial.",
        1.0 / at_once as f64
    ));
    for nanos in SIZES {
        let time = Duration::from_nanos(nanos);
        let (work, n) = (Work::of(time), items(setup, nanos));
        let race = race(setup.rounds, crowd.everyone(n, move |it| work.run(it)));
        let against = [Crowd::SERIAL, Crowd::PAR_ITER, Crowd::PAR_BRIDGE];
        answer.say(format!("### {}, {n} items", name(nanos)));
        answer.say(standings(&race, n, "per item", &against));
        let ours = |other| race.ratio(Crowd::OURS, other);
        let what = |than: &str| format!("streaming, {}, {than}", name(nanos));
        match nanos {
            0 => {
                let bridge = ours(Crowd::PAR_BRIDGE);
                answer.bar(Bar::times(what("of rayon's `par_bridge`"), 0.5, bridge));
                let each = race.of(Crowd::OURS).wall().map(|it| it / n as f64);
                answer.bar(Bar::seconds(what("per item"), 10e-9, each));
            }
            1_000 => {
                let collect = ours(Crowd::PAR_ITER);
                answer.bar(Bar::times(what("of rayon's `collect`"), 1.05, collect));
            }
            10_000.. => {
                let ideal = ours(Crowd::SERIAL).map(|it| it * at_once as f64);
                let what = what(&format!("of the ideal, serial / {at_once}"));
                answer.bar(Bar::times(what, 1.02, ideal));
            }
            _ => {}
        }
        let ordered = race.ratio(Crowd::OURS_ORDERED, Crowd::OURS);
        let what = format!("ordered, {}, of unordered", name(nanos));
        answer.bar(Bar::times(what, 1.3, ordered));
        if nanos == 0 || nanos == 1_000 {
            let title = format!("One item, {}, throttle {THROTTLE}", name(nanos));
            // Who is far off would leave the others no room.
            let most = 40.0 * race.of(Crowd::OURS).wall().median;
            let mut panel = panel(title, &race, n, |it| it.wall().median > most);
            if nanos > 0 {
                let serial = race.of(Crowd::SERIAL).wall().median;
                let ideal = serial / n as f64 / at_once as f64;
                panel.mark = Some((format!("ideal {}", Unit::Seconds.write(ideal)), ideal));
            }
            answer.panel(panel);
        }
    }
    answer
}

/// How a length of work is called.
pub(super) fn name(nanos: u64) -> String {
    match nanos {
        0 => "no work".to_owned(),
        _ => format!("{:?} of work", Duration::from_nanos(nanos)).replace('µ', "u"),
    }
}
