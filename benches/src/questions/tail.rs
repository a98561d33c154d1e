//! What does one slow item in a hundred do to the others?

use std::thread::sleep;
use std::time::Duration;

use super::{Question, Setup};
use crate::measure::race;
use crate::peers::Crowd;
use crate::report::{Answer, Unit, cores, panel, standings};
use crate::work::Work;

pub(crate) const QUESTION: Question = Question {
    name: "tail",
    title: "One slow item in a hundred, four at once",
    ask,
};

const THROTTLE: usize = 4;

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let crowd = Crowd::new(THROTTLE);
    answer.say(
        "Every hundredth item takes a hundred times as long as the others. Whoever hands items out in large pieces has \
         other items wait behind it, and at the end one thread works while the others have nothing to do.",
    );

    let (quick, slow) = (Duration::from_micros(10), Duration::from_millis(1));
    let (some, much) = (Work::of(quick), Work::of(slow));
    let n = setup.count(4_000);
    let at_once = THROTTLE.min(cores());
    let computed = move |it: u64| match it % 100 {
        50 => much.run(it),
        _ => some.run(it),
    };
    let all = race(setup.rounds, crowd.everyone(n, computed));
    answer.say(format!(
        "### Computing: {n} items of 10 us and 1 ms; at best {:.2} of serial",
        1.0 / at_once as f64
    ));
    answer.say(standings(
        &all,
        n,
        "per item",
        &[Crowd::SERIAL, Crowd::PAR_ITER],
    ));

    let (quick, slow) = (Duration::from_micros(200), Duration::from_millis(20));
    let n = 400;
    let slept = move |it: u64| {
        sleep(match it % 100 {
            50 => slow,
            _ => quick,
        });
        it
    };
    let all = race(setup.rounds, crowd.everyone(n, slept));
    answer.say(format!(
        "### Waiting: {n} items that sleep 200 us and 20 ms; at best {:.2} of serial",
        1.0 / THROTTLE as f64
    ));
    answer.say(standings(
        &all,
        n,
        "per item",
        &[Crowd::SERIAL, Crowd::PAR_ITER],
    ));
    let title = format!("One item, 200 us or, each hundredth, 20 ms; throttle {THROTTLE}");
    let mut panel = panel(title, &all, n, |it| it.name == Crowd::SERIAL);
    let ideal = all.of(Crowd::SERIAL).wall().median / n as f64 / THROTTLE as f64;
    panel.mark = Some((format!("ideal {}", Unit::Seconds.write(ideal)), ideal));
    answer.panel(panel);
    answer
}
