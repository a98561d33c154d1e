//! What is said of the figures: tables, bars, a chart.

mod bar;
mod chart;
mod document;
mod figure;
mod machine;
mod table;

use std::fmt::{Display, Write as _};

pub(crate) use bar::Bar;
pub(crate) use chart::Panel;
pub(crate) use document::Document;
pub(crate) use figure::Unit;
pub(crate) use machine::{Machine, cores, field, rustc};
pub(crate) use table::Table;

use crate::measure::{Race, Times};

/// What the names of our own contenders begin with.
pub(crate) const OURS: &str = "runspace";

/// The answer to one question.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) markdown: String,
    pub(crate) bars: Vec<Bar>,
    pub(crate) panels: Vec<Panel>,
}

impl Answer {
    /// A paragraph, a heading or a table.
    pub(crate) fn say(&mut self, part: impl Display) {
        let part = part.to_string();
        let _ = write!(self.markdown, "{}\n\n", part.trim_end());
    }

    pub(crate) fn bar(&mut self, bar: Bar) {
        self.bars.push(bar);
    }

    pub(crate) fn panel(&mut self, panel: Panel) {
        self.panels.push(panel);
    }
}

/// Everyone's times, for each of `count` things that a turn does, and as a share of the times of some.
pub(crate) fn standings(race: &Race, count: u64, each: &str, against: &[&str]) -> Table {
    let head = ["", each, "middle half", "CPU"].map(str::to_owned);
    let others = against.iter().map(|it| format!("of {it}"));
    let mut table = Table::new(head.into_iter().chain(others));
    for it in &race.all {
        let times = [it.wall(), it.cpu()].map(|it| it.map(|all| all / count as f64));
        let cpu = match times[1].median {
            0.0 => "-".to_owned(),
            cpu => Unit::Seconds.write(cpu),
        };
        let cells = [
            it.name.clone(),
            Unit::Seconds.write(times[0].median),
            Unit::Seconds.spread(times[0]),
            cpu,
        ];
        let ratios = against
            .iter()
            .map(|other| Unit::Times.write(race.ratio(&it.name, other).median));
        table.row(cells.into_iter().chain(ratios));
    }
    table
}

/// The same as a picture; `skip` says who is left out.
pub(crate) fn panel(
    title: impl Into<String>,
    race: &Race,
    count: u64,
    skip: impl Fn(&Times) -> bool,
) -> Panel {
    let shown = race.all.iter().filter(|it| !skip(it));
    Panel {
        title: title.into(),
        unit: Unit::Seconds,
        rows: shown
            .map(|it| (it.name.clone(), it.wall().median / count as f64))
            .collect(),
        mark: None,
    }
}
