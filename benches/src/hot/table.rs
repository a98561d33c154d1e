//! The counts that are kept.

use std::collections::HashMap;

use super::paths::HotPath;
use crate::report::Table;

/// What stands before the name of the compiler.
const COMPILER: &str = "Counted with ";

/// What is written down.
pub(super) struct Known {
    pub(super) rustc: Option<String>,
    pub(super) counts: HashMap<String, f64>,
}

/// The paths and their counts.
pub(super) fn of(paths: &[&HotPath], counted: &[f64]) -> Table {
    let mut table = Table::new(["path", "instructions", "may grow by"]);
    for (path, count) in paths.iter().zip(counted) {
        table.row([
            format!("`{}`: {}", path.name, path.what),
            format!("{count:.1}"),
            format!("{:.0} %", path.tolerance * 100.0),
        ]);
    }
    table
}

pub(super) fn page(paths: &[&HotPath], counted: &[f64], rustc: &str) -> String {
    format!(
        "# Instructions of the hot paths\n\n```sh\ncargo run --release -p runspace-benches -- instructions\n```\n\ncounts \
         them with valgrind (`--tool=callgrind`), compares them with this table, and fails if one has become more \
         by more than is said; after a change that is meant, `-- instructions --write` writes the table anew. A count is the \
         difference of two runs of `-- hot NAME TIMES`, one five times as long as the other, divided by how many times it is \
         longer, in all threads of the process. What goes from thread to thread is not counted the same each time, so the \
         least of three holds, and more is allowed.\n\n{COMPILER}{rustc}.\n\n{}",
        of(paths, counted)
    )
}

pub(super) fn read(page: &str) -> Known {
    let rustc = page
        .lines()
        .find_map(|it| it.strip_prefix(COMPILER)?.strip_suffix('.'));
    Known {
        rustc: rustc.map(str::to_owned),
        counts: page.lines().filter_map(row).collect(),
    }
}

/// The name and the count of a line such as "| `name`: what | 12.3 | 3 % |".
fn row(line: &str) -> Option<(String, f64)> {
    let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
    let (name, _) = cells.next()?.split_once('`')?;
    let count = cells.next()?.parse().ok()?;
    Some((name.to_owned(), count))
}

#[cfg(test)]
mod tests {
    use super::super::paths::PATHS;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let paths: Vec<&HotPath> = PATHS.iter().collect();
        let counts: Vec<f64> = (1..).map(f64::from).take(paths.len()).collect();
        let known = read(&page(&paths, &counts, "rustc 1.2.3"));
        assert_eq!(known.rustc.as_deref(), Some("rustc 1.2.3"));
        assert_eq!(known.counts.len(), paths.len());
        for (path, count) in paths.iter().zip(counts) {
            assert_eq!(known.counts[path.name], count);
        }
    }
}
