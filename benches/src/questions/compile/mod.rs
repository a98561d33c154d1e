//! What does the compiler take?

mod build;
mod source;

use std::fs;
use std::path::Path;

use super::{Question, Setup};
use crate::report::{Answer, Table};
use build::{Cost, Project, median};

pub(crate) const CALLS: Question = Question {
    name: "compile-calls",
    title: "Compiling a call, debug build",
    ask: calls,
};

pub(crate) const TREES: Question = Question {
    name: "compile-trees",
    title: "Compiling the dependencies, debug build from nothing",
    ask: trees,
};

/// How many calls the programs have that are built.
const COUNTS: [usize; 2] = [100, 1000];

/// Builds take long: one for so many turns of what is short.
fn rounds(setup: &Setup) -> usize {
    setup.rounds.div_ceil(3)
}

fn ours(options: &str) -> String {
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime");
    format!("runspace = {{ path = {runtime:?}{options} }}\n")
}

/// A program, as it grows, in both ways of writing it.
fn calls(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let folder = tempfile::tempdir().expect("a directory");
    let target = folder.path().join("target");
    let project = |name: &str, source: String| {
        let folder = folder.path().join(name);
        Project::program(&folder, &ours(""), &source)
    };
    let empty = project("empty", source::of_calls(0));
    let pairs: Vec<_> = COUNTS
        .map(|count| {
            let calls = project(&format!("calls{count}"), source::of_calls(count));
            let by_hand = project(&format!("hand{count}"), source::by_hand(count));
            let said = [&calls, &by_hand].map(|it| {
                it.build(&target);
                it.output(&target)
            });
            assert_eq!(said[0], said[1], "the two programs do not do the same");
            (count, calls, by_hand)
        })
        .into();
    empty.build(&target);
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); 1 + 2 * pairs.len()];
    for _ in 0..rounds(setup) {
        let programs = pairs
            .iter()
            .flat_map(|(_, calls, by_hand)| [calls, by_hand]);
        for (costs, program) in costs.iter_mut().zip([&empty].into_iter().chain(programs)) {
            costs.push(program.rebuild(&target));
        }
    }
    answer.say(format!(
        "A program with so many calls, half `foreach_parallel!` and half `start_thread_job!`, over four types of item; and \
         the same with threads, a shared iterator and channels of std. Its dependencies are built already; median of {} \
         builds without incremental compilation, less that of a program without calls, for each call. `CPU` is user and \
         system time of all processes, `wall` what the clock says.",
        rounds(setup)
    ));
    let base = median(&costs[0]);
    let mut table = Table::new([
        "",
        "CPU, runspace",
        "CPU, by hand",
        "difference",
        "wall, runspace",
        "wall, by hand",
    ]);
    for ((count, ..), costs) in pairs.iter().zip(costs[1..].chunks(2)) {
        let [ours, by_hand] = [&costs[0], &costs[1]].map(|it| median(it));
        let each = |it: f64, base: f64| (it - base) * 1e3 / *count as f64;
        let (cpu, hand) = (each(ours.cpu, base.cpu), each(by_hand.cpu, base.cpu));
        table.row([
            format!("{count} calls"),
            format!("{cpu:.1} ms"),
            format!("{hand:.1} ms"),
            format!("{:+.1} ms", cpu - hand),
            format!("{:.1} ms", each(ours.wall, base.wall)),
            format!("{:.1} ms", each(by_hand.wall, base.wall)),
        ]);
    }
    answer.say(table);
    answer
}

/// What it takes to depend on runspace, and on others.
fn trees(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    let folder = tempfile::tempdir().expect("a directory");
    let peers = [
        ("runspace", ours("")),
        (
            "runspace, without its default features",
            ours(", default-features = false"),
        ),
        ("rayon", "rayon = \"1\"\n".to_owned()),
        (
            "tokio, `macros` and `rt`",
            "tokio = { version = \"1\", features = [\"macros\", \"rt\"] }\n".to_owned(),
        ),
        (
            "tokio, `full`",
            "tokio = { version = \"1\", features = [\"full\"] }\n".to_owned(),
        ),
    ];
    let projects = peers.map(|(name, dependency)| {
        let letters = name.replace([' ', ',', '`'], "");
        let folder = folder.path().join(format!("uses-{letters}"));
        (
            name,
            Project::program(&folder, &dependency, "fn main() {}\n"),
        )
    });
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); projects.len()];
    for _ in 0..rounds(setup) {
        for (costs, (_, project)) in costs.iter_mut().zip(&projects) {
            let target = folder.path().join("target");
            costs.push(project.build(&target));
            fs::remove_dir_all(&target).expect("what was built can be removed");
        }
    }
    answer.say(format!(
        "An empty program that depends on one of these, built with nothing there; median of {} builds.",
        rounds(setup)
    ));
    let mut table = Table::new(["", "CPU", "wall", "crates"]);
    for ((name, _), costs) in projects.iter().zip(&costs) {
        let Cost { cpu, wall, crates } = median(costs);
        table.row([
            (*name).to_owned(),
            format!("{cpu:.1} s"),
            format!("{wall:.1} s"),
            format!("{}", crates - 1),
        ]);
    }
    answer.say(table);
    answer
}
