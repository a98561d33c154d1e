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
/// # Options
///
/// | option | value | without it |
/// |---|---|---|
/// | `throttle` | the most items that run at once, a `usize` of at least 1 | [`DEFAULT_THROTTLE`](crate::DEFAULT_THROTTLE), 5 |
/// | `ordered` | whether results come in the order of the items, a `bool` | `false`: in the order in which they are made |
/// | `buffer` | how many items beside the running ones may be taken and not yet consumed, a `usize` | as many as keep the workers busy; at least two for each |
/// | `name` | what errors call this loop, a `&str` or a `String` | the place of the call |
/// | `within` | the [`Scope`](crate::Scope) that the items may borrow from | none, see below |
/// | `on` | where items run; `thread` is the only value in this version | `thread` |
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
///   it, and no two items use it at the same time: the place for a connection or a scratch buffer.
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
