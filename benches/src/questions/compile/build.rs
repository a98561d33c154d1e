//! Programs that are made up, and what cargo takes to build them.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A package of its own, outside of any workspace.
pub(super) struct Project {
    folder: PathBuf,
}

/// What a build took, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    pub(super) cpu: f64,
    pub(super) wall: f64,
    /// How many crates were compiled, the program itself included.
    pub(super) crates: usize,
}

impl Project {
    /// Writes the package, and has its dependencies fetched; from then on nothing is downloaded. They
    /// are those that this workspace is locked to, where it has them.
    pub(super) fn program(folder: &Path, dependencies: &str, source: &str) -> Self {
        let name = folder.file_name().expect("a folder with a name");
        let manifest = format!(
            "[package]\nname = {name:?}\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [dependencies]\n{dependencies}\n[workspace]\n"
        );
        let project = Self {
            folder: folder.to_owned(),
        };
        fs::create_dir_all(folder.join("src")).expect("a directory");
        project.write("Cargo.toml", &manifest);
        project.write("src/main.rs", source);
        let locked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
        let _ = fs::copy(locked, folder.join("Cargo.lock"));
        let fetched = project.cargo("fetch").stderr(Stdio::inherit()).status();
        assert!(
            fetched.expect("cargo starts").success(),
            "cargo cannot fetch the dependencies of {folder:?}"
        );
        project
    }

    pub(super) fn build(&self, target: &Path) -> Cost {
        let mut cargo = self.cargo("build");
        cargo.args(["--offline", "--target-dir"]).arg(target);
        let (cpu, start) = (cpu_of_children(), Instant::now());
        let output = cargo.output().expect("cargo starts");
        let wall = start.elapsed().as_secs_f64();
        let cpu = cpu_of_children() - cpu;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}:\n{said}", self.folder);
        let compiled = |line: &&str| line.trim_start().starts_with("Compiling ");
        let crates = said.lines().filter(compiled).count();
        Cost { cpu, wall, crates }
    }

    /// Builds the program once more, and not its dependencies.
    pub(super) fn rebuild(&self, target: &Path) -> Cost {
        let source = fs::read_to_string(self.folder.join("src/main.rs")).expect("text");
        self.write("src/main.rs", &source);
        let cost = self.build(target);
        assert_eq!(cost.crates, 1, "{:?} alone is built", self.folder);
        cost
    }

    /// What the program prints.
    pub(super) fn output(&self, target: &Path) -> Vec<u8> {
        let name = self.folder.file_name().expect("a folder with a name");
        let program = target.join("debug").join(name);
        let output = Command::new(program)
            .output()
            .expect("a program that was built");
        assert!(output.status.success(), "{name:?}: {output:?}");
        output.stdout
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.folder.join(path), text).expect("a file can be written");
    }

    /// As a user would run it: what this program was started by says nothing to it.
    fn cargo(&self, command: &str) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let ours = |name: &OsString| name.to_str().is_some_and(|it| it.starts_with("CARGO_"));
        for (name, _) in env::vars_os().filter(|(name, _)| ours(name)) {
            if name != "CARGO_HOME" {
                cargo.env_remove(name);
            }
        }
        cargo
            .arg(command)
            .current_dir(&self.folder)
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_TERM_COLOR", "never")
            .env_remove("RUSTFLAGS");
        cargo
    }
}

/// Each figure's own median.
pub(super) fn median(costs: &[Cost]) -> Cost {
    let middle = |mut figures: Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    Cost {
        cpu: middle(costs.iter().map(|it| it.cpu).collect()),
        wall: middle(costs.iter().map(|it| it.wall).collect()),
        crates: costs[0].crates,
    }
}

/// The processor time of all child processes that have ended, theirs included, in seconds.
fn cpu_of_children() -> f64 {
    /// Linux counts in hundredths of a second here, on every machine.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux, with /proc");
    // The second field is the program's name, and may have anything in it.
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let times = fields.split_whitespace().skip(13).take(2);
    let ticks: f64 = times.map(|it| it.parse::<f64>().expect("a number")).sum();
    ticks / TICKS
}
