//! What things are called on the server. All of it begins with `runspace` or `RUNSPACE`, for those who grant
//! rights.

/// The stream of announcements: one message for each run that there is.
pub(crate) const RUNS: &str = "RUNSPACE_RUNS";

/// The subjects of all announcements.
pub(crate) const ALL_RUNS: &str = "runspace.run.*";

/// Where workers are asked what they do.
pub(crate) const PING: &str = "runspace.ping";

/// The consumer that all workers of a run share.
pub(crate) const WORKERS: &str = "workers";

/// The consumer that reads the results of a run.
pub(crate) const CLIENT: &str = "client";

/// The names of one run.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) run: String,
}

impl Names {
    pub(crate) fn new(run: impl Into<String>) -> Self {
        Self { run: run.into() }
    }

    /// The subject of its announcement.
    pub(crate) fn announcement(&self) -> String {
        format!("runspace.run.{}", self.run)
    }

    /// The stream of its items.
    pub(crate) fn items(&self) -> String {
        format!("RUNSPACE_I_{}", self.run)
    }

    pub(crate) fn item_subject(&self) -> String {
        format!("runspace.i.{}", self.run)
    }

    /// The stream of its results.
    pub(crate) fn results(&self) -> String {
        format!("RUNSPACE_R_{}", self.run)
    }

    pub(crate) fn result_subject(&self) -> String {
        format!("runspace.r.{}", self.run)
    }

    /// Where an item's outputs are from the [`NEAR`](super::message::NEAR)th on, in a run that is read in order.
    pub(crate) fn far_subject(&self, index: u64, attempt: u32) -> String {
        format!("{}.{index}.{attempt}", self.result_subject())
    }

    /// All of those.
    pub(crate) fn far_subjects(&self) -> String {
        format!("{}.*.*", self.result_subject())
    }

    /// Where its workers are told things.
    pub(crate) fn control(&self) -> String {
        format!("runspace.ctl.{}", self.run)
    }

    /// Where its workers tell things that are not results.
    pub(crate) fn notes(&self) -> String {
        format!("runspace.note.{}", self.run)
    }

    /// The bucket for what is large.
    pub(crate) fn bucket(&self) -> String {
        format!("RUNSPACE_{}", self.run)
    }

    /// The stream of that bucket.
    pub(crate) fn bucket_stream(&self) -> String {
        format!("OBJ_{}", self.bucket())
    }

    /// The message id of a try of an item, and of its end.
    pub(crate) fn id(&self, index: u64, attempt: u32) -> String {
        match attempt {
            1 => format!("{}:{index}", self.run),
            _ => format!("{}:{index}.{attempt}", self.run),
        }
    }

    /// The run that a stream of this name belongs to.
    pub(crate) fn run_of(stream: &str) -> Option<&str> {
        ["RUNSPACE_I_", "RUNSPACE_R_", "OBJ_RUNSPACE_"]
            .iter()
            .find_map(|it| stream.strip_prefix(it))
    }
}
