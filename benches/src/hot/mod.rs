//! The paths that every item or job goes, counted in instructions: a figure that a busy machine does
//! not change.

mod counter;
mod paths;
mod table;

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::report::{Table, rustc};
use counter::count_one;
use paths::{HotPath, PATHS};

/// Goes a path so many times.
pub(crate) fn go(name: &str, times: u64) -> Result<(), String> {
    (find(name)?.go)(times);
    Ok(())
}

fn find(name: &str) -> Result<&'static HotPath, String> {
    PATHS.iter().find(|it| it.name == name).ok_or_else(|| {
        let names: Vec<&str> = PATHS.iter().map(|it| it.name).collect();
        format!("there is no path `{name}`; there are {}", names.join(", "))
    })
}

/// Counts, and compares with what is written down, or writes it down. Whether nothing has become worse.
pub(crate) fn count(names: &[String], write: bool) -> Result<bool, Box<dyn Error>> {
    let paths: Vec<&HotPath> = match names {
        [] => PATHS.iter().collect(),
        _ => names.iter().map(|it| find(it)).collect::<Result<_, _>>()?,
    };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/instructions.md");
    let rustc = rustc().unwrap_or_else(|| "an unknown compiler".to_owned());
    if write {
        let counted: Result<Vec<_>, _> = paths.iter().map(|it| count_one(it)).collect();
        let counted = counted?;
        fs::write(&page, table::page(&paths, &counted, &rustc))?;
        println!("{}", table::of(&paths, &counted));
        return Ok(true);
    }
    let known = table::read(&fs::read_to_string(&page)?);
    if known.rustc.as_deref() != Some(rustc.as_str()) {
        eprintln!(
            "The table is from {}; this is {rustc}, which may count otherwise.",
            known.rustc.as_deref().unwrap_or("an unknown compiler")
        );
    }
    let mut compared = Table::new(["path", "instructions", "in the table", "", "at most"]);
    let mut is_good = true;
    for path in paths {
        let now = count_one(path)?;
        let Some(before) = known.counts.get(path.name) else {
            return Err(format!("{} is not in the table: write it anew", path.name).into());
        };
        let change = now / before - 1.0;
        let is_worse = change > path.tolerance;
        is_good &= !is_worse;
        compared.row([
            format!("{}{}", path.name, if is_worse { " WORSE" } else { "" }),
            format!("{now:.1}"),
            format!("{before:.1}"),
            format!("{:+.1} %", change * 100.0),
            format!("+{:.0} %", path.tolerance * 100.0),
        ]);
    }
    println!("{compared}");
    Ok(is_good)
}
