//! Many small items.

use runspace::foreach_parallel;

use super::super::{Question, Setup};
use super::bare::Bare;
use super::server::Server;
use crate::measure::{Contender, race};
use crate::report::{Answer, Bar, panel, standings};

pub(crate) const QUESTION: Question = Question {
    name: "cluster-many",
    title: "Many small items on a cluster",
    ask,
};

/// Items in a turn, and how long each is.
const ITEMS: u64 = 20_000;
const BYTES: usize = 100;

const ALONE: &str = "async-nats alone";
const OURS: &str = "runspace";
const WIDE: &str = "runspace, throttle = 256";

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let Some(server) = Server::start() else {
        answer.say("There is no server here to ask: `.ci/nats-server` brings one.");
        return answer;
    };
    let items = setup.count(ITEMS);
    let _workers = [server.worker(), server.worker()];
    let cluster = server.cluster();
    let mut bare = Bare::start(&server.url(), 2);
    let bytes = || (0..items).map(|_| vec![7_u8; BYTES]);
    let contenders = vec![
        Contender::new(ALONE, || bare.round(items, BYTES)),
        Contender::new(OURS, || {
            let results = foreach_parallel!(bytes(), on = cluster(&cluster), |item| item);
            results.count() as u64
        }),
        Contender::new(WIDE, || {
            let results =
                foreach_parallel!(bytes(), on = cluster(&cluster), throttle = 256, |item| item);
            results.count() as u64
        }),
    ];
    let race = race(setup.rounds, contenders);
    answer.say(format!(
        "{items} items of {BYTES} bytes a turn, and as many results; server, client and two workers on this \
         machine, every message kept in a file before it is acknowledged. 100 us an item are 10 000 items a \
         second."
    ));
    answer.say(standings(&race, items, "per item", &[ALONE]));
    answer.bar(Bar::seconds(
        "an item of 100 bytes on a cluster of two workers",
        100e-6,
        race.of(WIDE).wall().map(|it| it / items as f64),
    ));
    answer.panel(panel(
        "One of many small items on a cluster",
        &race,
        items,
        |_| false,
    ));
    answer
}
