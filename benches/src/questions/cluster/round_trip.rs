//! One item to a worker of a cluster and back.

use std::sync::mpsc::{Sender, channel};

use runspace::{Cluster, Results, foreach_parallel};

use super::super::{Question, Setup};
use super::bare::Bare;
use super::server::Server;
use crate::measure::{Contender, race};
use crate::report::{Answer, Bar, panel, standings};

pub(crate) const QUESTION: Question = Question {
    name: "cluster-round-trip",
    title: "One item to a worker of a cluster and back",
    ask,
};

/// Items in a turn.
const ITEMS: u64 = 200;

const ALONE: &str = "async-nats alone";
const OURS: &str = "runspace, an item of a running call";

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let Some(server) = Server::start() else {
        answer.say("There is no server here to ask: `.ci/nats-server` brings one.");
        return answer;
    };
    let count = setup.count(ITEMS);
    let _workers = [server.worker(), server.worker()];
    let cluster = server.cluster();
    let mut bare = Bare::start(&server.url(), 2);
    let (items, mut results) = ours(&cluster);
    let contenders = vec![
        Contender::new(ALONE, || (0..count).map(|_| bare.round(1, 8)).sum()),
        Contender::new(OURS, || {
            let there_and_back = |it| {
                items.send(it).expect("the call goes on");
                results.next().expect("a result") - it + 1
            };
            (0..count).map(there_and_back).sum()
        }),
    ];
    let race = race(setup.rounds, contenders);
    drop(items);
    results.for_each(drop);
    answer.say(format!(
        "{count} items a turn, each back before the next is sent; server, client and two workers on this machine."
    ));
    answer.say(standings(&race, count, "per item", &[ALONE]));
    answer.bar(Bar::times(
        "one item to a worker of a cluster and back, of async-nats alone",
        1.5,
        race.ratio(OURS, ALONE),
    ));
    answer.panel(panel(
        "One item to a worker of a cluster and back",
        &race,
        count,
        |_| false,
    ));
    answer
}

/// A call that takes its items from a channel.
fn ours(cluster: &Cluster) -> (Sender<u64>, Results<u64>) {
    let (sender, items) = channel();
    let results = foreach_parallel!(items, on = cluster(cluster), buffer = 0, |it: u64| it);
    (sender, results)
}
