//! Instructions, by valgrind.

use std::env;
use std::process::{Command, Stdio};

use super::paths::HotPath;

/// The instructions of one time: the difference of two runs, so that what a process costs, or a call,
/// is not in it. The least of some tries: threads that wait for each other look more or less often.
pub(super) fn count_one(path: &HotPath) -> Result<f64, String> {
    let mut least = f64::INFINITY;
    for _ in 0..path.tries {
        let [few, many] = [path.few, path.many()].map(|times| run(path.name, times));
        let each = (many? as f64 - few? as f64) / (path.many() - path.few) as f64;
        least = least.min(each);
    }
    Ok(least)
}

/// The instructions of a whole run.
fn run(name: &str, times: u64) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["hot", name, &times.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind is needed, and does not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("`hot {name} {times}` failed:\n{said}"));
    }
    collected(&said).ok_or_else(|| format!("valgrind did not say how many:\n{said}"))
}

/// The number on the line `==1== Collected : 123`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|it| it.contains("Collected :"))?;
    let (_, number) = line.split_once(':')?;
    number.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found() {
        let said = "==7== \n==7== Events    : Ir\n==7== Collected : 4711\n==7== \n";
        assert_eq!(collected(said), Some(4711));
        assert_eq!(collected("==7== nothing"), None);
    }
}
