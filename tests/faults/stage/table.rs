//! The table in the documentation: it is written from a run, and names the tests that there are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};

use super::Row;

/// `FAULTS=overwrite` writes the table, from a run of all other tests.
const OVERWRITE: &str = "FAULTS";

/// The folder that gets what the tests have measured.
pub(super) const NOTES: &str = "FAULTS_NOTES";

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/faults.md");

const HEAD: &str = "\
# Faults, and what becomes of them

Each row is a fault that is injected on purpose, and what has to become of it. Each outcome is that of a test that can
fail, on each back end that the fault can happen on: on threads (`on = thread`, and where it says so rayon and
runspaces), in a process per job (`start_job!`), in a pool of worker processes (`on = process`).

Every test runs in a process of its own, with a time limit, at whose end what its threads were doing is shown. After each of
them nothing may be there that was not there before: no child, no zombie, no descriptor, no thread, no temporary file, and
no process that any of its children has started. The rows at the end are tests of these checks.

This page is written by the run itself, and a test holds it to the names of the tests there are:

```sh
FAULTS=overwrite cargo test -p runspace-tests --test faults      # runs all, and writes this page
cargo test -p runspace-tests --test faults a3                    # one row
```

";

pub(super) fn trials(rows: &[&'static Row], checks: &[&'static Row]) -> Vec<Trial> {
    let (rows, checks) = (rows.to_vec(), checks.to_vec());
    let again = (rows.clone(), checks.clone());
    vec![
        Trial::test("table::has_the_tests_that_there_are", move || {
            if std::env::var(OVERWRITE).is_ok_and(|it| it == "overwrite") {
                return overwrite(&rows, &checks);
            }
            compare(&rows, &checks)
        }),
        Trial::test("table::has_every_row", move || every_row(&again.0)),
    ]
}

/// What is known of a test after a run.
type Outcomes = BTreeMap<String, String>;

fn compare(rows: &[&Row], checks: &[&Row]) -> Result<(), Failed> {
    let there = fs::read_to_string(PATH)?;
    let expected = page(rows, checks, &Outcomes::new());
    // All but the last column, which is what came out.
    let without = |page: &str| -> Vec<String> {
        page.lines()
            .map(|line| line.rsplit_once(" | ").map_or(line, |it| it.0).to_owned())
            .collect()
    };
    for (line, (is, should)) in without(&there).iter().zip(without(&expected)).enumerate() {
        if *is != should {
            let line = line + 1;
            return Err(format!(
                "line {line} of docs/faults.md is\n{is}\nand should be\n{should}\n\
                 write it again: FAULTS=overwrite cargo test -p runspace-tests --test faults"
            )
            .into());
        }
    }
    if there.lines().count() != expected.lines().count() {
        return Err("docs/faults.md has more lines than rows, or fewer".into());
    }
    let open = there
        .lines()
        .filter(|it| it.contains("| not run") || it.contains("| FAILED"));
    match open.count() {
        0 => Ok(()),
        count => Err(format!("{count} tests of docs/faults.md have no good outcome there").into()),
    }
}

/// A1 to A45, B1 to B12 and C1 to C15, none twice, each with tests or a reason.
fn every_row(rows: &[&Row]) -> Result<(), Failed> {
    let expected = (1..=45)
        .map(|it| format!("A{it}"))
        .chain((1..=12).map(|it| format!("B{it}")))
        .chain((1..=15).map(|it| format!("C{it}")));
    let ids: Vec<&str> = rows.iter().map(|it| it.id).collect();
    let expected: Vec<String> = expected.collect();
    if !ids.iter().eq(expected.iter()) {
        return Err(format!("rows are missing or twice: {ids:?}").into());
    }
    for row in rows {
        let on = |name: &str| row.tests.iter().any(|it| it.on.starts_with(name));
        let all = ["threads", "process", "pool"].into_iter().all(on);
        if !all && row.elsewhere.is_empty() {
            return Err(format!("{} does not say why a back end has no test", row.id).into());
        }
    }
    Ok(())
}

fn page(rows: &[&Row], checks: &[&Row], outcomes: &Outcomes) -> String {
    let mut page = HEAD.to_owned();
    for row in rows {
        add(&mut page, row, &format!("{}. ", row.id), outcomes);
    }
    page += "\n## The checks themselves\n\n";
    for row in checks {
        add(&mut page, row, "", outcomes);
    }
    page
}

fn add(page: &mut String, row: &Row, id: &str, outcomes: &Outcomes) {
    let _ = writeln!(page, "### {id}{}\n\n{}\n", row.fault, row.outcome);
    page.push_str("| test | outcome |\n|---|---|\n");
    for test in row.tests {
        let name = row.test_name(test);
        let outcome = outcomes.get(&name).map_or("not run", |it| it);
        let _ = writeln!(page, "| `{name}` | {outcome} |");
    }
    if !row.elsewhere.is_empty() {
        let _ = writeln!(page, "\n{}", row.elsewhere);
    }
    page.push('\n');
}

fn overwrite(rows: &[&Row], checks: &[&Row]) -> Result<(), Failed> {
    let notes = tempfile::tempdir()?;
    let output = Command::new(std::env::current_exe()?)
        .args([
            "--skip", "table::", "--format", "pretty", "--color", "never",
        ])
        .env_remove(OVERWRITE)
        .env(NOTES, notes.path())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut outcomes = Outcomes::new();
    for line in text.lines() {
        let Some((name, what)) = line
            .strip_prefix("test ")
            .and_then(|it| it.split_once(" ... "))
        else {
            continue;
        };
        let name = name.trim();
        let mut outcome = match what {
            "ok" => "passed".to_owned(),
            other => other.to_owned(),
        };
        if let Ok(noted) = fs::read_to_string(notes.path().join(name.replace("::", " "))) {
            let _ = write!(outcome, "; {}", noted.trim().replace('\n', "; "));
        }
        outcomes.insert(name.to_owned(), outcome);
    }
    fs::write(Path::new(PATH), page(rows, checks, &outcomes))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("not all tests have passed:\n{text}").into()),
    }
}
