//! Whether a journal is that of the call that wants to go on with it.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;

use super::error::JournalErrorKind;
use super::format::Origin;
use super::hash::hex;
use super::options::Journal;
use super::reader::History;
use crate::error::CallSite;

/// What a call says of itself before it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) site: &'a CallSite,
    /// The types of its items and values.
    pub(crate) items: &'static str,
    pub(crate) values: &'static str,
    /// How many items there are, if the input says so.
    pub(crate) total: Option<u64>,
    /// Bodies run in other processes.
    pub(crate) runs_elsewhere: bool,
}

impl Caller<'_> {
    /// Compares what the journal says with what the call is.
    ///
    /// # Errors
    /// The call must not go on with it.
    pub(super) fn check(
        &self,
        journal: &Journal,
        history: &History,
    ) -> Result<(), JournalErrorKind> {
        let Some(origin) = &history.origin else {
            return Ok(());
        };
        if !self.is_named_as(origin, journal.may_change) {
            return Err(JournalErrorKind::OtherCall(title(origin)));
        }
        if origin.version != journal.version {
            let before = origin.version.clone();
            let now = journal.version.clone();
            return Err(JournalErrorKind::OtherVersion { before, now });
        }
        if journal.may_change {
            return Ok(());
        }
        same_type("items", &origin.items, self.items)?;
        same_type("values", &origin.values, self.values)?;
        let finished = history.finished();
        match self.total {
            Some(now) if now < finished => Err(JournalErrorKind::FewerItems { finished, now }),
            _ => Ok(()),
        }
    }

    /// Whether it is the same call, by its name. Where one of the two has none it is by its place: in one
    /// process that is the same to the letter, and in another one, which may be of a program that was
    /// changed since, it is in the same file.
    fn is_named_as(&self, origin: &Origin, may_move: bool) -> bool {
        if let (Some(before), Some(now)) = (&origin.name, &self.site.name) {
            return **before == **now;
        }
        let Some(call) = &origin.call else {
            return true;
        };
        let is_here = origin.run.as_ref().is_some_and(|it| it.starts_with(own()));
        match is_here {
            true => *call == self.site.location.to_string(),
            false => may_move || file(call) == self.site.location.file(),
        }
    }
}

fn same_type(of: &'static str, before: &Option<String>, now: &str) -> Result<(), JournalErrorKind> {
    match before {
        Some(before) if before != now => Err(JournalErrorKind::OtherType {
            of,
            before: before.clone(),
            now: now.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The file of `src/main.rs:7:15`.
fn file(location: &str) -> &str {
    let mut parts = location.rsplitn(3, ':');
    parts.nth(2).unwrap_or(location)
}

fn title(origin: &Origin) -> String {
    let place = origin.call.as_deref().unwrap_or("a place unknown");
    match &origin.name {
        Some(name) => format!("`{name}` ({place})"),
        None => format!("that at {place}"),
    }
}

/// Tells one run from all others. Those of one process begin with the same half.
pub(super) fn run_id() -> String {
    format!("{}{}", own(), random())
}

fn own() -> &'static str {
    static OWN: OnceLock<String> = OnceLock::new();
    OWN.get_or_init(random)
}

fn random() -> String {
    let now = std::time::SystemTime::now();
    // Seeded by the system.
    let random = RandomState::new().hash_one((std::process::id(), now));
    hex(&random.to_be_bytes()[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_known_as_one_of_this_process() {
        let runs: Vec<String> = (0..50).map(|_| run_id()).collect();
        assert!(
            runs.iter()
                .all(|it| it.starts_with(own()) && it.len() == 16)
        );
        let different: std::collections::HashSet<&String> = runs.iter().collect();
        assert_eq!(different.len(), 50);
    }

    #[test]
    fn the_file_of_a_place_may_have_a_colon() {
        assert_eq!(file("src/main.rs:7:15"), "src/main.rs");
        assert_eq!(file("C:\\src\\main.rs:7:15"), "C:\\src\\main.rs");
        assert_eq!(file("somewhere"), "somewhere");
    }
}
