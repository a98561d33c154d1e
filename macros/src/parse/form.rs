//! Which macro is being read, and what that makes of its clauses.

use proc_macro2::Ident;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `foreach_parallel!`
    Foreach,
    /// `foreach_parallel(..)` in a `pipeline!`
    Stage,
    /// `start_thread_job!`
    ThreadJob,
    /// `start_job!`
    ProcessJob,
    /// `invoke!`
    Invoke,
}

/// How errors speak of what stands in front of the clauses.
pub(super) struct Subject {
    pub(super) comes: &'static str,
    pub(super) is: &'static str,
    pub(super) it: &'static str,
}

impl Form {
    /// The options, in the order in which errors list them.
    pub(crate) fn options(self) -> &'static [&'static str] {
        match self {
            Form::Foreach | Form::Stage => &[
                "throttle", "ordered", "buffer", "name", "within", "on", "timeout", "deadline",
                "rate", "retry", "retry_if", "halt", "journal", "resume", "progress",
            ],
            Form::ThreadJob => &["name", "queue"],
            Form::ProcessJob => &[
                "name",
                "env",
                "current_dir",
                "memory",
                "cpu_time",
                "open_files",
                "timeout",
                "grace",
                "file",
                "args",
                "on",
            ],
            Form::Invoke => &["name"],
        }
    }

    pub(crate) fn is_option(self, name: &Ident) -> bool {
        self.options().iter().any(|option| name == option)
    }

    /// The macro whose option `word` is, if it is one of another macro.
    pub(crate) fn owner_of(self, word: &str) -> Option<&'static str> {
        let macros = [Form::Foreach, Form::ThreadJob, Form::ProcessJob];
        let owner = macros
            .into_iter()
            .find(|form| form.options().contains(&word))?;
        Some(match owner {
            Form::Foreach | Form::Stage => "foreach_parallel!",
            Form::ThreadJob => "start_thread_job!",
            Form::ProcessJob => "start_job!",
            Form::Invoke => "invoke!",
        })
    }

    pub(crate) fn is_loop(self) -> bool {
        matches!(self, Form::Foreach | Form::Stage)
    }

    /// A call with nothing in it that it can do without.
    pub(super) fn example(self) -> &'static str {
        match self {
            Form::Foreach => "foreach_parallel!(items, |item| ..)",
            Form::Stage => "foreach_parallel(|item| ..)",
            Form::ThreadJob => "start_thread_job!({ .. })",
            Form::ProcessJob => "start_job!({ .. })",
            Form::Invoke => "invoke!(&runspace, { .. })",
        }
    }

    pub(super) fn subject(self) -> Subject {
        match self {
            Form::Invoke => Subject {
                comes: "the runspace comes",
                is: "the runspace is",
                it: "it",
            },
            _ => Subject {
                comes: "the items come",
                is: "the items are",
                it: "them",
            },
        }
    }

    /// What is started.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Form::Foreach | Form::Stage => "a loop",
            Form::ThreadJob | Form::ProcessJob => "a job",
            Form::Invoke => "an invocation",
        }
    }
}
