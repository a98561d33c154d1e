//! The page of all answers, its picture, and the part of the README that is taken from it.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::chart::{self, Panel};
use super::machine::Machine;
use super::{Answer, Bar, Table};

const PAGE: &str = "benchmarks.md";
const PICTURE: &str = "benchmarks.svg";

/// What the README's part stands between.
const BEGIN: &str = "<!-- benchmarks: written by `runspace-benches all` -->";
const END: &str = "<!-- end of benchmarks -->";

/// All that was asked and answered in one run.
pub(crate) struct Document {
    machine: Machine,
    command: String,
    rounds: usize,
    answers: Vec<(String, Answer)>,
}

impl Document {
    pub(crate) fn new(machine: Machine, command: String, rounds: usize) -> Self {
        Self {
            machine,
            command,
            rounds,
            answers: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, title: &str, answer: Answer) {
        self.answers.push((title.to_owned(), answer));
    }

    fn bars(&self) -> impl Iterator<Item = &Bar> {
        self.answers.iter().flat_map(|(_, it)| &it.bars)
    }

    fn panels(self) -> Vec<Panel> {
        self.answers
            .into_iter()
            .flat_map(|(_, it)| it.panels)
            .collect()
    }

    /// Every bar, whether it is met, and by how much it is not.
    pub(crate) fn table_of_bars(&self) -> Table {
        let mut table = Table::new(["bar", "at most", "measured", "middle half", ""]);
        for bar in self.bars() {
            table.row(bar.cells());
        }
        table
    }

    /// How many bars are met, and of how many.
    pub(crate) fn score(&self) -> (usize, usize) {
        let met = self.bars().filter(|it| it.is_met()).count();
        (met, self.bars().count())
    }

    /// Writes the page and the picture into `folder`, and the README's part into `readme`.
    pub(crate) fn write(self, folder: &Path, readme: Option<&Path>) -> Result<(), Box<dyn Error>> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join(PAGE), self.page())?;
        if let Some(readme) = readme {
            let text = fs::read_to_string(readme)?;
            let changed = replace_between(&text, BEGIN, END, &self.summary())
                .ok_or("the README has no place for the figures")?;
            fs::write(readme, changed)?;
        }
        let footer = format!("Shorter is better. {}.", self.machine.describe());
        chart::draw(&self.panels(), &footer, &folder.join(PICTURE))
    }

    fn page(&self) -> String {
        let (met, all) = self.score();
        let mut page = format!(
            "# Runspace beside its peers\n\n```sh\n{command}\n```\n\nwrites this page and its picture, and the \
             table of the README. Contenders run in one process and take turns; figures are medians of {rounds} turns. A \
             ratio is the median of the ratios of each turn, so that what slows the machine down slows both sides down. \
             `middle half` is where half of the turns lie; `CPU` is processor time, user and system, of all threads of \
             the process that measures.\n\nMachine: {machine}.\n\n![Some of the figures]({PICTURE})\n\n## Bars\n\n{met} \
             of {all} met.\n\n{bars}\n",
            command = self.command,
            rounds = self.rounds,
            machine = self.machine.describe(),
            bars = self.table_of_bars(),
        );
        for (title, answer) in &self.answers {
            let _ = write!(page, "## {title}\n\n{}", answer.markdown);
        }
        format!("{}\n", page.trim_end())
    }

    /// What the README says: the picture, and how the bars stand.
    fn summary(&self) -> String {
        let (met, all) = self.score();
        format!(
            "![Time for each item, call and job, beside others](docs/{PICTURE})\n\nMeasured on: {}. {met} of {all} bars are \
             met; [docs/{PAGE}](docs/{PAGE}) has them and every figure.\n",
            self.machine.describe()
        )
    }
}

/// `text` with what stands between two of its lines replaced; `None` if it has no such lines.
fn replace_between(text: &str, begin: &str, end: &str, new: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n\n{new}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_between_is_replaced_and_nothing_else() {
        let text = "a\n[\nold\n]\nb";
        let new = replace_between(text, "[", "]", "new").unwrap();
        assert_eq!(new, "a\n[\n\nnew\n]\nb");
        assert_eq!(replace_between(&new, "[", "]", "new").unwrap(), new);
        assert_eq!(replace_between(text, "{", "]", "new"), None);
    }
}
