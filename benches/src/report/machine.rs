//! Where figures come from.

use std::fs::read_to_string;
use std::process::Command;
use std::thread::available_parallelism;

use rustix::system::uname;

/// What the figures depend on besides the code. A busy machine shows in the load, and in the spreads.
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory: String,
    kernel: String,
    rustc: String,
    load: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: cores(),
            memory: memory().unwrap_or_else(unknown),
            kernel: kernel(),
            rustc: rustc().unwrap_or_else(unknown),
            load: load().unwrap_or_else(unknown),
        }
    }

    pub(crate) fn describe(&self) -> String {
        format!(
            "{cpu}, {cores} cores, {memory}; {kernel}; {rustc}; load {load} before the start",
            cpu = self.cpu,
            cores = self.cores,
            memory = self.memory,
            kernel = self.kernel,
            rustc = self.rustc,
            load = self.load,
        )
    }
}

/// How many threads can run at once here.
pub(crate) fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// The compiler that cargo uses here.
pub(crate) fn rustc() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    // The name and the number: the rest is a date and a hash.
    let words: Vec<&str> = said.split_whitespace().take(2).collect();
    (words.len() == 2).then(|| words.join(" "))
}

/// System and release, without what a distribution or a host adds.
fn kernel() -> String {
    let uname = uname();
    let release = uname.release().to_string_lossy();
    let numbers = release.split('-').next().unwrap_or_default().to_owned();
    let machine = uname.machine().to_string_lossy().into_owned();
    format!("{} {numbers} {machine}", uname.sysname().to_string_lossy())
}

fn load() -> Option<String> {
    let text = read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next().map(str::to_owned)
}

fn memory() -> Option<String> {
    let total = field("/proc/meminfo", "MemTotal")?;
    let kilobytes: f64 = total.strip_suffix("kB")?.trim().parse().ok()?;
    Some(format!("{:.0} GiB", kilobytes / 1024.0 / 1024.0))
}

/// What stands behind `name :` on a line of a file.
pub(crate) fn field(file: &str, name: &str) -> Option<String> {
    let text = read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    // Spaces are used to fill the name up.
    value.map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "))
}
