//! The macros that users call. Each passes `$crate` to the macro of the same name in
//! `runspace-macros`, so that what it expands to finds this crate under whatever name it goes.

/// Runs a body on every item, several items at a time, and answers the results as they are made.
///
/// ```
/// use runspace::foreach_parallel;
///
/// let mut lengths: Vec<usize> =
///     foreach_parallel!(["one", "three"], throttle = 2, |word| word.len()).collect();
/// lengths.sort();
/// assert_eq!(lengths, [3, 5]);
/// ```
///
/// A call has its items first, then any options in any order, then the body:
///
/// ```text
/// foreach_parallel!(ITEMS, name = value, .., init(name = value, ..), using(capture, ..), |item| body)
/// ```
///
/// All of it is ordinary Rust expressions, so rustfmt formats calls that are written in parentheses.
///
/// It starts at once. What it answers is [`Results`](crate::Results), an iterator; what happens to
/// a call whose results are not read, or not to the end, is said there. As a statement of its own, a
/// call runs every item and waits for them.
///
/// ITEMS is anything that can be iterated. It is read as there is room for what it yields, so it may
/// be longer than memory, or endless. Items begin in its order.
///
/// What a call becomes is shown in `docs/expansion.md`, beside the code one would write by hand.
///
/// # Options
///
/// | option | value | without it |
/// |---|---|---|
/// | `throttle` | the most items that run at once, a `usize` of at least 1 or a [`Throttle`](crate::Throttle) | [`DEFAULT_THROTTLE`](crate::DEFAULT_THROTTLE), 5 |
/// | `ordered` | whether results come in the order of the items, a `bool` | `false`: in the order in which they are made |
/// | `buffer` | how many items beside the running ones may be taken and not yet consumed, a `usize` | as many as keep the workers busy; at least two for each |
/// | `name` | what errors call this loop, a `&str` or a `String` | the place of the call |
/// | `timeout` | how long one item may take, a `Duration` or a [`Timeout`](crate::Timeout) | as long as it likes |
/// | `deadline` | how long the whole call may take, a `Duration` | as long as it likes |
/// | `rate` | how many items start in a given time, a `Rate` such as `50.per_second()`; needs the feature `rate` | as many as there are places for |
/// | `retry` | how often an item that has failed is tried again, a `u32` or a [`Retry`](crate::Retry); the body sees which try it is in [`attempt`](crate::attempt) | 0 |
/// | `retry_if` | with `retry`: which results are worth another try, a closure from `&result` to `bool` | every `Err` |
/// | `halt` | when the call has had enough, a [`Halt`](crate::Halt) | after the last item |
/// | `progress` | shows how far the call is under this title, a `&str` or a `String`; `true` is the call's `name`; needs the feature `progress`, see below | `false`: nothing is shown |
/// | `journal` | the file in which each item is written down with its value, a path, a `Journal`, or an `Option` of either; needs the feature `journal` | none |
/// | `resume` | with `journal`: whether items that are finished have their value from there, a `bool` | `false`: the file has to be new, or empty |
/// | `within` | the [`Scope`](crate::Scope) that the items may borrow from | none, see below |
/// | `on` | where items run, see below | `thread` |
///
/// # Where items run
///
/// | value | items run on | `throttle`, without one |
/// |---|---|---|
/// | `thread` | threads of this process that are kept for such calls | 5 |
/// | `sequential` | the thread that reads the results, one item after the other; with `init(..)` one other thread | 1 |
/// | `rayon` | rayon's global pool; `rayon(&pool)` is an `Arc<rayon::ThreadPool>` of your own | as many as the pool has threads |
/// | `pool(&pool)` | the runspaces of a [`RunspacePool`](crate::RunspacePool) | as many as it has at most |
/// | `process` | child processes that run this same program; `process(&pool)` are those of a pool that outlives the call | 5, or what the pool has |
/// | `cluster(&cluster)` | the workers of a `runspace::Cluster`, on any number of machines; needs the feature `cluster` | the slots of its workers |
/// | `plan` | what [`plan`](crate::plan()) or the variable `RUNSPACE_PLAN` says: threads, rayon, processes, a cluster or this thread alone | that of the plan |
///
/// These are words of the option, and not names that are in scope. On a pool the throttle is a limit
/// of this call alone; the pool has its own besides.
///
#[cfg_attr(feature = "rayon", doc = "```")]
#[cfg_attr(not(feature = "rayon"), doc = "```ignore")]
/// use runspace::foreach_parallel;
///
/// // Computation has no use for more threads than there are cores.
/// let total: u64 = foreach_parallel!(1..=100, on = rayon, |n: u64| n * n).sum();
/// assert_eq!(total, 338_350);
/// ```
///
/// A child process shares nothing with this one. Items, captures and results are sent as bytes, so
/// their types implement serde's `Serialize` and `Deserialize`; nothing can be lent, so text is `String` and
/// not `&str` (of which rustc says that `Deserialize` "is not general enough"); and the body
/// uses only what `using(..)` names, beside constants and functions. rustc shows what else it uses
/// ("closures can only be coerced to `fn` types if they do not capture any variables"). A body that
/// crashes takes its process with it and fails its own item only. What bodies print is printed here, line by
/// line; the last lines on stderr before a crash are part of its error besides. If the system gives fewer processes, or
/// threads, than the throttle asks for, the call runs on those it has; with none it fails.
///
/// What is said of processes holds for a cluster, whose workers are processes of this program as well; what they print
/// stays where they are. An item there may run more than once, when its worker or the network fails at the wrong moment, but has one outcome:
/// see the module `runspace::cluster`.
///
/// A call with `on = plan` may find itself there. So it has to meet the same conditions, and those of threads
/// besides, whichever [`Plan`](crate::Plan) it runs under.
///
/// ```
/// use runspace::foreach_parallel;
///
/// let factor = 3;
/// // On threads, unless `RUNSPACE_PLAN=process:4` says otherwise.
/// let sum: u64 = foreach_parallel!(1..=10, on = plan, using(factor), |n: u64| n * factor).sum();
/// assert_eq!(sum, 165);
/// ```
///
/// # What the body may use
///
/// The body belongs to other threads, so what it mentions is moved in, lent, or made there.
///
/// * `using(name)` moves a variable in. All items share it, so it is read, not changed.
///   `using(name.clone())` moves a copy in, under the same name, and leaves the original.
///   `using(name = value)` makes something new for the body.
/// * `using(&name)` lends it. So does `&items`. Such a call waits for all of its items and answers
///   finished results; with `within = scope` it lends and streams at once.
/// * `init(name = value)` makes one for each worker, on the worker's own thread. The body may change
///   it, and no two items use it at the same time: the place for a connection or a scratch buffer. Workers that
///   share their threads with others come and go, and with them what they have made: those on rayon, on a
///   `RunspacePool`, and one that runs on the thread of a reader which waits there.
/// * `move |item|` moves in everything that the body mentions.
/// * `$using:name` in the body is another spelling of `using(name)`. rustfmt leaves a call that holds
///   one as it is, and it cannot stand inside of a format string.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use runspace::foreach_parallel;
///
/// let prefix = String::from("#");
/// let longest = AtomicUsize::new(0);
/// let lines: Vec<String> = foreach_parallel!(
///     1..=3,
///     ordered = true,
///     init(scratch = String::new()),
///     using(prefix.clone(), &longest),
///     |n: u32| {
///         scratch.clear();
///         scratch.push_str(&prefix);
///         scratch.push_str(&n.to_string());
///         longest.fetch_max(scratch.len(), Ordering::Relaxed);
///         scratch.clone()
///     }
/// )
/// .collect();
/// assert_eq!(lines, ["#1", "#2", "#3"]);
/// assert_eq!(longest.into_inner(), 2);
/// ```
///
/// What is moved in must be `Send + Sync + 'static`, items and results `Send + 'static`; in a call
/// that lends, without the `'static`.
///
/// # More than one result for an item
///
/// With a second parameter the body answers nothing and emits instead, as often as it likes, through
/// an [`ItemContext`](crate::ItemContext). The results arrive while the item is still running.
///
/// ```
/// use runspace::foreach_parallel;
///
/// let letters: String = foreach_parallel!(["ab", "cd"], ordered = true, |word, job| {
///     word.chars().for_each(|letter| job.emit(letter));
/// })
/// .collect();
/// assert_eq!(letters, "abcd");
/// ```
///
/// # Limits and further tries
///
/// An item that takes longer than `timeout` is reported at once, as [`Cause::TimedOut`](crate::Cause::TimedOut), and
/// another item takes its place. What it ran on depends on the back end:
///
/// * A worker process is ended (SIGTERM, a grace, SIGKILL) and replaced. The time that the item's `Serialize` takes
///   here is part of the item's time; the item is given up when `Serialize` returns. In a call with a `timeout` cheap
///   items are not sent several at a time, since one behind an item that takes its process along may have begun.
/// * A body on a thread cannot be ended. Its own [`stopping`](crate::stopping) becomes true, and a value that it
///   answers later is dropped. If it does not return, its thread is left to itself: the results end
///   without it, a second after the rest, and what the call captured is dropped when it comes back. A call that lends waits
///   for it. The time that it takes to copy an item for `retry` is part of the item's time, and it is given up when
///   `clone` returns.
/// * Where the call makes its own threads, another one takes the place. A pool, rayon's too, has only so many:
///   until the body returns it has one less, for all that use it, and a call on a pool whose threads are all lost in
///   this way waits for one of them. A `deadline` ends it. With `on = sequential` bodies run on the very thread that reads
///   the results, which learns of it when the body returns.
///
/// When the `deadline` passes no item starts any more and those that run are stopped in the same way. All of them
/// are reported, as [`Cause::DeadlinePassed`](crate::Cause::DeadlinePassed); so is an input that had not been taken to its end.
///
/// A body that is stopped in another way, by the call's [token](crate::Results::stop_token), [`Halt::now`](crate::Halt::now), a
/// drop part-way or the end of the job around it, may see `stopping()` and leave with half a value. So what it returns
/// after it was told to stop is no result, on any back end: its item ends as [`Cause::Stopped`](crate::Cause::Stopped).
/// A body that has all of its value nevertheless says so: `|x| runspace::finished(work(x))`, see
/// [`finished`](crate::finished). A body that returned before the stop has its result.
///
/// The code of items and values that is called around a body, their `Serialize`, `Deserialize`, `Clone` and destructors,
/// may panic too, in whichever process: that is a failure of the one item, as a panic of its body is.
///
/// With `retry` an item that panicked, crashed, ran out of its `timeout` or answered an `Err` is tried again. On
/// threads that takes a copy of the item, made before it runs, so items are `Clone`. A body that
/// emits may have emitted before it failed, and does so again.
///
/// ```
/// use std::time::Duration;
///
/// use runspace::{Halt, Retry, foreach_parallel};
///
/// let fetched: Vec<Result<usize, String>> = foreach_parallel!(
///     ["/a", "/bc"],
///     ordered = true,
///     timeout = Duration::from_secs(10),
///     retry = Retry::exponential(4, Duration::from_millis(1)),
///     halt = Halt::soon().fail(10),
///     |path| {
///         // A service that is busy at first.
///         if runspace::attempt() == 1 { Err("busy".to_owned()) } else { Ok(path.len()) }
///     }
/// )
/// .collect();
/// assert_eq!(fetched, [Ok(2), Ok(3)]);
/// ```
///
/// A call with one of these options runs its items one by one, at a cost of about half a microsecond
/// each; one without pays nothing.
///
/// # Progress
///
/// With `progress = "Hashing"` whoever runs the program sees how many items have ended, of how many, how
/// many have failed (by a panic, a crash, a timeout or an `Err`) and how long the rest will take:
///
/// ```text
/// Hashing [###########>-------------------]  37% 3 of 8 done, 1 failed, 12 s left
/// ```
///
/// * On a terminal that is a bar at its end, one for each call that runs, and for each stage of a
///   [`pipeline!`](crate::pipeline). Anywhere else it is a line after a second, after two, four, and so on up to one each
///   half minute. Both go to stderr.
/// * When the call ends, however it ends, its bar goes and a line stays: `Hashing: 8 of 8 done, 1 failed, in 20 s`, or
///   `Hashing: stopped at 5 of 8, after 13 s`.
/// * The total is what the input says of itself ([`Iterator::size_hint`]); without one there is a count, and no time.
/// * The time that is left is told once the first item has ended. Each of the others is taken to need as
///   long as those before it, counted from the begin of the first.
/// * The variable `RUNSPACE_PROGRESS` has the last word: `off`, `plain` (lines, on a terminal too) or `bar`.
/// * What worker processes print, and the messages of panics, stand whole above the bars, which
///   takes a panic hook around the one that there is; so does what is printed by the functions of
///   `runspace::progress`. `println!` in a body on a thread of this process tears a bar. In worker
///   processes nothing is shown.
///
/// A call with `progress` runs its items one by one, as one with limits does; counting them costs some
/// tens of nanoseconds an item beside that, and drawing is done by a thread of its own. With `off` it costs nothing.
///
#[cfg_attr(feature = "progress", doc = "```")]
#[cfg_attr(not(feature = "progress"), doc = "```ignore")]
/// use runspace::foreach_parallel;
///
/// let sizes: Vec<usize> =
///     foreach_parallel!(["a", "bc"], ordered = true, progress = "Measuring", |text| text.len()).collect();
/// assert_eq!(sizes, [1, 2]);
/// ```
///
/// # A journal, and going on after a crash
///
/// With `journal = "run.jsonl"` each try of an item is a line of JSON in that file, written before its
/// value is handed out. A run that is killed has lost no finished item: the same call with `resume =
/// true` yields the stored values and runs the rest. Without `resume` a file that has something
/// in it is refused, and nothing starts.
///
#[cfg_attr(feature = "journal", doc = "```")]
#[cfg_attr(not(feature = "journal"), doc = "```ignore")]
/// use runspace::foreach_parallel;
///
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("run.jsonl");
/// for run in 0..2 {
///     let results =
///         foreach_parallel!(["a", "bc"], journal = &path, resume = true, |word| word.len());
///     let journal = results.journal();
///     assert_eq!(results.sum::<usize>(), 3);
///     assert_eq!(journal.resumed(), [0, 2][run]);
/// }
/// ```
///
/// * Items are known by their content, not by their place: the hash is of what serde is told of the item, so
///   no value is ever given to another item, in whatever order they come. Of equal items as many
///   are passed over as were finished. A `HashSet` has no order to be known by; a `HashMap` is put in order.
/// * An item is finished if it has a value that is no `Err`. Everything else is run again, such as an item whose body
///   returned after it was told to stop: its value may be half a one.
/// * An input that has changed is told. Items that are new run. That it has fewer items than are finished is an
///   error before anything runs; that it did not have a finished item is one behind all results, once it
///   has been taken to its end. `Journal::new(path).may_change(true)` is for those who mean it: then
///   `Results::journal().missing()` says what the input has lost, and so does the last line of the run.
/// * A journal belongs to one call: one with another `name`, or with items or values of another type, is refused
///   before anything runs. Without a name a call is known by its place in the source.
/// * The journal does not know the body and its captures. When they change, name another file, or say so
///   with `Journal::new(path).version("2")`.
/// * Items are `Serialize`, values `Serialize` and `DeserializeOwned`. A value that is another one after it has been
///   written as JSON and read back is not stored, and the call says so in an error after its results.
/// * The file is locked for the run. Lines outlive the end of the program, and with
///   `Journal::new(path).sync(true)` a loss of power. A last line that was torn is cut off, and its item runs
///   again: its value was never handed out. Any other line that is none is an error with its number. If the disk
///   is full, results go on arriving, stored ones too, and the error comes after them.
///
/// A line has these fields:
///
/// | field | of an item |
/// |---|---|
/// | `event` | `item`; a run begins with a line `run`, which says what is known of the call, and ends with `end`, which says what it came to |
/// | `run` | the run, 16 digits |
/// | `item`, `index`, `attempt` | the hash of the item, its place in the input from 0, the try from 1 |
/// | `start`, `wall`, `cpu` | seconds since 1970; how many the try took; how many of a processor (threads on Linux, unless the item ran out of time) |
/// | `peak_memory` | of a worker process that lives: the most bytes that it has had so far (Linux) |
/// | `worker` | `thread` or `process` and its number |
/// | `outcome`, `again` | `done`, `failed`, `panicked`, `crashed`, `timed out`, `stopped` or `deadline passed`; whether another try follows |
/// | `signal`, `error` | what ended the process, and what happened |
/// | `value` | what the body answered |
///
/// # Errors
///
/// `?` and `return` in the body end that item, with a value that is its result like any other:
///
/// ```
/// use std::num::ParseIntError;
///
/// use runspace::foreach_parallel;
///
/// let numbers: Vec<Result<i32, ParseIntError>> =
///     foreach_parallel!(["1", "x"], ordered = true, |word| Ok(word.parse::<i32>()? * 10)).collect();
/// assert_eq!(numbers[0], Ok(10));
/// assert!(numbers[1].is_err());
/// ```
///
/// # Panics
///
/// The call itself panics if `throttle` is 0; where that can be seen, it does not compile. A panic of
/// the body is the failure of one item, and comes up again, with its payload, where its result
/// would have been read. [`Results::outcomes`](crate::Results::outcomes) turns it into a value. A
/// panic of the items' iterator or of an `init(..)` ends the call.
#[macro_export]
macro_rules! foreach_parallel {
    ($($call:tt)*) => {
        $crate::__private::macros::foreach_parallel!($crate, $($call)*)
    };
}

/// Passes items from stage to stage, all of which work at the same time.
///
/// ```
/// use runspace::pipeline;
///
/// let lengths: Vec<usize> = pipeline!(
///     ["one", "", "three"]
///         | foreach_parallel(throttle = 2, ordered = true, |word| word.len())
///         | filter(|length| *length > 0)
///         | collect()
/// );
/// assert_eq!(lengths, [3, 5]);
/// ```
///
/// A call has its source first, then a `|` and a stage, as often as there are stages:
///
/// ```text
/// pipeline!(SOURCE | foreach_parallel(name = value, .., using(capture, ..), |item| body) | method(argument) | ..)
/// ```
///
/// All of it is ordinary Rust expressions, so rustfmt formats calls that are written in parentheses.
///
/// SOURCE is anything that can be iterated. There are two kinds of stage:
///
/// * `foreach_parallel(..)` is a call of [`foreach_parallel!`](crate::foreach_parallel) on what comes
///   from the stage in front of it. It has all of that macro's options, `init(..)` and `using(..)`,
///   and no items.
/// * Any other name is that of a method: `filter(|x| ..)`, `map(f)`, `take(3)`, `enumerate()`,
///   `collect::<Vec<_>>()`. It is called on what the stage in front of it answers, which is an
///   iterator from SOURCE on; a method of a trait of yours will do as well. It runs where its items are
///   asked for: on the thread that feeds the next parallel stage, or on the one that reads the
///   results.
///
/// More can be asked of what a stage answers: `foreach_parallel(|x| ..).outcomes()`,
/// `collect::<Result<Vec<_>, _>>()?`.
///
/// The value of the call is what its last stage answers. After a parallel stage that is
/// [`Results`](crate::Results), an iterator that streams.
///
/// What a call becomes is shown in `docs/expansion.md`, beside the code one would write by hand.
///
/// # How it runs
///
/// Every parallel stage starts at once, with workers of its own, and reads from the one in front of
/// it as there is room. So items go through singly, not stage by stage: the first may be at the end
/// while the source is still being read. Memory is bounded by the sum of the stages' windows, and the
/// source may be endless. When the reader stops reading, or drops the value, all stages stop.
///
/// ```
/// use runspace::pipeline;
///
/// let first: Vec<u64> = pipeline!(
///     (0..)
///         | foreach_parallel(ordered = true, |n| n * n)
///         | filter(|n| n % 2 == 1)
///         | foreach_parallel(ordered = true, |n| n + 1)
///         | take(3)
///         | collect()
/// );
/// assert_eq!(first, [2, 10, 26]);
/// ```
///
/// # The `|` of the source
///
/// Every `|` outside of brackets ends a part of the call. Closures of a stage stand inside of its
/// parentheses and are not concerned. A source that has a `|` or a `||` of its own goes in
/// parentheses: `(&a | &b) | filter(..)`.
/// So does a range without an end, `(0..) | filter(..)`: to Rust's grammar, and so to rustfmt, what
/// comes after a bare `0..` is the end of it.
///
/// # Borrowing
///
/// The first parallel stage may borrow from outside, by `using(&name)` or by a source that is
/// `&items`. It then waits for all of its items before it answers, as a call of its own would, and
/// the pipeline streams from there on. A later stage lends nothing: it would have to wait for all
/// that the stages in front of it make. In a [`scope`](crate::scope()), a stage that has `within =
/// scope` borrows and streams, wherever it stands.
///
/// A closure of a method in front of a parallel stage runs on another thread. Write `move` in front
/// of it if it mentions a variable.
///
/// # Errors
///
/// As in `foreach_parallel!`: `?` in a body ends that item, with a value like any other.
///
/// # Panics
///
/// The failure of an item comes up where its result is read. Between two parallel stages, that is in
/// the feeder of the second, whose input ends with it; it comes up again where the results of the
/// second are read. `.outcomes()` behind a stage turns the failures of its items into values. All
/// stages are at the same place in the source as far as errors tell, that of the call; give a stage
/// a `name` to tell it from others.
#[macro_export]
macro_rules! pipeline {
    ($($call:tt)*) => {
        $crate::__private::macros::pipeline!($crate, $($call)*)
    };
}

/// Starts a block on another thread, and answers the [`Job`](crate::Job) that stands for it.
///
/// ```
/// use runspace::start_thread_job;
///
/// let numbers = vec![1, 2, 3];
/// let job = start_thread_job!(name = "sum", using(numbers), { numbers.iter().sum::<i32>() });
/// assert_eq!(job.join().unwrap(), 6);
/// ```
///
/// A call has its options first, in any order, then the block. Without options, the statements alone
/// will do: `start_thread_job! { let a = work(); a + 1 }`. They are taken for statements unless they
/// begin as a call does, with `using(..),` or an option and a comma. (rustfmt formats what stands in
/// parentheses, and leaves what stands in braces as it is.)
///
/// A job waits for a place in its queue, in the order in which jobs were started.
///
/// What a call becomes is shown in `docs/expansion.md`, beside the code one would write by hand.
///
/// # Options
///
/// | option | value | without it |
/// |---|---|---|
/// | `name` | the job's name, a `&str` or a `String` | `Job` and the number of the job |
/// | `queue` | the [`JobQueue`](crate::JobQueue) that it waits in, by reference | the one of the process |
///
/// # What the block may use
///
/// A job may outlive the function that starts it, so it owns all that it mentions: every variable
/// in the block is moved in. `using(..)` says so where it matters.
///
/// * `using(name)` moves a variable in.
/// * `using(name.clone())` moves a copy in, under the same name, and leaves the original.
/// * `using(name = value)` makes something new for the block, before the job starts.
/// * `$using:name` in the block is another spelling of `using(name)`.
///
/// What is moved in must be `Send + 'static`, and so must the outputs.
///
/// # More than one output
///
/// A closure in the place of the block is given a [`JobContext`](crate::JobContext), and emits as
/// many outputs as it likes. They can be received while the job is still running.
///
/// ```
/// use runspace::start_thread_job;
///
/// let job = start_thread_job!(|job| {
///     for n in 1..=3 {
///         job.emit(n * n);
///     }
/// });
/// assert_eq!(job.iter().collect::<Vec<_>>(), [1, 4, 9]);
/// ```
///
/// # Errors
///
/// `?` and `return` end the block, with a value that is the job's output like any other. A panic
/// fails the job: [`Job::join`](crate::Job::join) answers it as a [`JobError`](crate::JobError). So
/// does a job for which the operating system has no thread.
///
/// # Panics
///
/// The call itself does not, beyond what its options and captures do.
#[macro_export]
macro_rules! start_thread_job {
    ($($call:tt)*) => {
        $crate::__private::macros::start_thread_job!($crate, $($call)*)
    };
}

/// Starts a block in another process, and answers the [`Job`](crate::Job) that stands for it.
///
/// ```
/// use runspace::start_job;
///
/// let numbers = vec![1, 2, 3];
/// let job = start_job!(name = "sum", using(numbers), { numbers.iter().sum::<i32>() });
/// assert_eq!(job.join().unwrap(), 6);
/// ```
///
/// The process is a new one, and runs this same program: not its `main`, but the block alone. What
/// happens there, even a crash, is the end of that job and nothing more. It can be stopped at any
/// moment, suspended and resumed. Nothing has to be set up for that; a program that needs what
/// happens before `main` in its child processes too has the attribute
/// [`#[runspace::main]`](macro@crate::main) for that.
///
/// A call has its options first, in any order, then the block. Without options, the statements alone
/// will do: `start_job! { let a = work(); a + 1 }`. They are taken for statements unless they begin
/// as a call does, with `using(..),` or an option and a comma, or are nothing but the call of a
/// function by its path, see below.
///
/// What a call becomes is shown in `docs/expansion.md`, beside the code one would write by hand.
///
/// # Options
///
/// | option | value | without it |
/// |---|---|---|
/// | `name` | the job's name, a `&str` or a `String` | `Job` and the number of the job |
/// | `env` | pairs of variables for the process, such as `[("KEY", "value")]`, beside those of this one or instead of them | those of this process |
/// | `current_dir` | the directory it starts in, a path | that of this process |
/// | `memory` | the most memory it may have, in bytes of address space, a `u64` | no limit of its own |
/// | `cpu_time` | the most processor time it may use, a [`Duration`](std::time::Duration), rounded up to seconds | no limit of its own |
/// | `open_files` | the most files it may have open at once, a `u64` | no limit of its own |
/// | `timeout` | how long the job may take, a `Duration` | no limit |
/// | `grace` | how long the process has from being asked to stop to being killed, a `Duration` | 2 seconds |
/// | `on` | `cluster(&cluster)`: the job runs on a worker of a `runspace::Cluster`, with `name` and `timeout` as its only other options; needs the feature `cluster` | a process of this machine |
///
/// # What the block may use
///
/// Constants, functions, and what `using(..)` names. Nothing else gets there: a variable that the
/// block uses and `using(..)` does not name is an error at its use ("closures can only be coerced to
/// `fn` types if they do not capture any variables"). A `static` has the value that it starts with.
///
/// * `using(name)` sends a variable.
/// * `using(name.clone())` sends a copy, under the same name, and leaves the original.
/// * `using(name = value)` makes something new here and sends it.
/// * `$using:name` in the block is another spelling of `using(name)`.
///
/// What is sent goes as bytes: it implements serde's `Serialize` and `Deserialize`, and is owned. So
/// do and are the outputs, errors among them: an `io::Error` has no such form, its text has.
///
/// # More than one output
///
/// A closure in the place of the block is given a [`JobContext`](crate::JobContext), and emits as
/// many outputs as it likes. They can be received while the job is still running. Lines that the
/// process prints are among the job's records.
///
/// ```
/// use runspace::start_job;
///
/// let limit = 3;
/// let job = start_job!(using(limit), |job| {
///     for n in 1..=limit {
///         job.emit(n * n);
///     }
/// });
/// assert_eq!(job.iter().collect::<Vec<_>>(), [1, 4, 9]);
/// ```
///
/// # A function that is a job
///
/// The call of a function in the place of the block starts that function, which has
/// the attribute [`#[runspace::job]`](macro@crate::job): the process is sent its name and the arguments. The arguments are
/// made here, and are any expressions, so there is no `using(..)`. Such a job can be approved by its
/// name where a [policy](crate::policy) asks for that.
///
/// ```
/// use runspace::start_job;
///
/// #[runspace::job]
/// fn power(base: u64, exponent: u32) -> u64 {
///     base.pow(exponent)
/// }
///
/// let job = start_job!(name = "a power", power(3, 4));
/// assert_eq!(job.join().unwrap(), 81);
/// ```
///
/// A function without the attribute is "expected type, found function" to rustc. To call one in
/// another process, write the call in braces: `start_job!({ power(3, 4) })`.
///
/// # A program that is a job
///
/// `file` in the place of the block starts any program. The job's outputs are the lines that it
/// prints, and what it prints as errors is among the records. A line longer than a mebibyte comes in pieces, all but
/// the last of which end in ` (line goes on)`; so do those that a job prints by itself.
///
/// ```
/// use runspace::start_job;
///
/// let job = start_job!(file = "echo", args = ["one", "two"]);
/// assert_eq!(job.iter().collect::<Vec<_>>(), ["one two"]);
/// ```
///
/// | option | value | without it |
/// |---|---|---|
/// | `file` | the program, a path, or a name that is looked for in `PATH` | |
/// | `args` | its arguments, such as `["--all", path]` | none |
///
/// It has `name`, `env`, `current_dir`, `timeout` and `grace` besides. It is killed when this process
/// ends, by a kill even; what it has started itself is not.
///
/// # Errors
///
/// `?` and `return` end the block, with a value that is the job's output like any other. A panic, a
/// crash, a limit, a process that cannot be started and a value that cannot be sent fail the job:
/// [`Job::join`](crate::Job::join) answers it as a [`JobError`](crate::JobError).
///
/// A process that has not come as far as this crate's code within 20 seconds is ended, and its job fails:
/// something before `main` hangs. `RUNSPACE_START_TIMEOUT` in the environment sets another limit, in
/// seconds, here and for `on = process`.
///
/// # Panics
///
/// The call itself does not, beyond what its options and captures do.
#[cfg(feature = "process")]
#[cfg(feature = "process")]
#[macro_export]
macro_rules! start_job {
    ($($call:tt)*) => {
        $crate::__private::macros::start_job!($crate, $($call)*)
    };
}

/// What stands in for the macro of that name without the feature `process`: a compile error that names it.
#[cfg(not(feature = "process"))]
#[macro_export]
macro_rules! start_job {
    ($($call:tt)*) => {
        ::core::compile_error!(
            "`start_job!` needs the feature `process` of the crate `runspace`, which is off; write \
             `runspace = { version = \"..\", features = [\"process\"] }` in Cargo.toml, or \
             `start_thread_job!` for a thread of this process"
        )
    };
}

/// Runs a block in a [`Runspace`](crate::Runspace) or a [`RunspacePool`](crate::RunspacePool), and
/// answers the [`Invocation`](crate::Invocation) that stands for it.
///
/// ```
/// use runspace::{Runspace, invoke};
///
/// let runspace = Runspace::open().unwrap();
/// let numbers = vec![1, 2, 3];
/// let sum = invoke!(&runspace, using(numbers), { numbers.iter().sum::<i32>() });
/// assert_eq!(sum.end().unwrap(), 6);
/// ```
///
/// A call has the runspace first, then any options, then the block:
///
/// ```text
/// invoke!(&runspace, name = value, using(capture, ..), { statements })
/// ```
///
/// All of it is ordinary Rust expressions, so rustfmt formats calls that are written in parentheses.
///
/// A runspace runs one block at a time, in the order in which they were invoked, and all of them on
/// the same thread. A pool runs as many as it has runspaces.
///
/// What a call becomes is shown in `docs/expansion.md`, beside the code one would write by hand.
///
/// # Options
///
/// | option | value | without it |
/// |---|---|---|
/// | `name` | what errors call the invocation, a `&str` or a `String` | `Invocation` and its number |
///
/// # What the block may use
///
/// An invocation may outlive the function that starts it, so it owns all that it mentions: every
/// variable in the block is moved in. `using(..)` says so where it matters, as in
/// [`start_thread_job!`](crate::start_thread_job): `using(name)` moves a variable in,
/// `using(name.clone())` a copy, `using(name = value)` something new, and `$using:name` in the block
/// is another spelling of the first.
///
/// What is moved in must be `Send + 'static`, and so must the value of the block.
///
/// # State
///
/// A closure in the place of the block is given the [`RunspaceContext`](crate::RunspaceContext),
/// which has what earlier blocks left there. State never leaves its thread, so it need not be
/// `Send`.
///
/// ```
/// use runspace::{Runspace, invoke};
///
/// let runspace = Runspace::open().unwrap();
/// for word in ["a", "b"] {
///     invoke!(&runspace, |rs| rs.state::<String>().push_str(word)).end().unwrap();
/// }
/// let text = invoke!(&runspace, |rs| rs.state::<String>().clone());
/// assert_eq!(text.end().unwrap(), "ab");
/// ```
///
/// # Errors
///
/// `?` and `return` end the block, with a value that is what
/// [`Invocation::end`](crate::Invocation::end) answers. A panic of the block, a stop, a runspace
/// that is closed and one for which the operating system has no thread are
/// [`InvocationError`](crate::InvocationError)s there.
///
/// # Panics
///
/// The call itself does not, beyond what its options and captures do.
#[macro_export]
macro_rules! invoke {
    ($($call:tt)*) => {
        $crate::__private::macros::invoke!($crate, $($call)*)
    };
}

/// What `#[main]` puts beside `main`: the constructor of this crate looks for it.
#[cfg(feature = "process")]
#[doc(hidden)]
#[macro_export]
macro_rules! __main_will_serve {
    () => {
        const _: () = {
            #[cfg(target_os = "linux")]
            #[used]
            #[unsafe(link_section = ".init_array")]
            static MAIN_WILL_SERVE: $crate::__private::Constructor =
                $crate::__private::constructor_of_main(::core::module_path!());
        };
    };
}
