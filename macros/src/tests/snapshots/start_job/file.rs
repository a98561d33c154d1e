// start_job!(file = "git", args = ["status", "--short"], current_dir = root)

::runspace::__private::program_job(
    ::runspace::__private::ProgramOptions::new("git")
        .args(["status", "--short"])
        .current_dir(root),
)
