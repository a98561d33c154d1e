//! Tests that span the crates live in `tests/`, compile tests in `ui/`; this library has none of its
//! own but the pages below, whose examples are run as those of the documentation are.

macro_rules! pages {
    ($($name:ident = $file:literal),* $(,)?) => { $(
        #[cfg(doctest)]
        #[doc = include_str!(concat!("../../docs/", $file))]
        pub struct $name;
    )* };
}

pages! {
    Expansion = "expansion.md",
    Collections = "powershell/collections.md",
    DebugJob = "powershell/debug-job.md",
    ForEachObject = "powershell/foreach-object.md",
    GetJob = "powershell/get-job.md",
    LanguageMode = "powershell/language-mode.md",
    ReceiveJob = "powershell/receive-job.md",
    RemoveJob = "powershell/remove-job.md",
    Runspace = "powershell/runspace.md",
    RunspacePool = "powershell/runspacepool.md",
    StartJob = "powershell/start-job.md",
    StartThreadJob = "powershell/start-threadjob.md",
    StopJob = "powershell/stop-job.md",
    Streams = "powershell/streams.md",
    SuspendJob = "powershell/suspend-job.md",
    WaitJob = "powershell/wait-job.md",
}
