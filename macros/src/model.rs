//! What a call says. `Call` and `Pipeline` are what was written, clause by clause; the others are
//! what it means, with no mistake left in them, and all that `expand` sees.

use proc_macro2::{Group, Ident, Span, TokenStream};

/// The tokens before the first comma, which the front of the macro put there: `$crate`. In an
/// attribute, the path of the crate.
pub(crate) type CratePath = TokenStream;

/// A call as it was written.
pub(crate) struct Call {
    pub(crate) krate: CratePath,
    /// What stands in front of the clauses: the items of a loop, the runspace of an invocation.
    pub(crate) subject: Option<TokenStream>,
    pub(crate) clauses: Vec<Clause>,
    pub(crate) body: Body,
    /// The names that the body writes as `$using:name`.
    pub(crate) used: Vec<Ident>,
}

pub(crate) enum Clause {
    /// `name = EXPR`
    Setting(Setting),
    /// `using(..)`
    Using(Ident, Vec<Capture>),
    /// `init(..)`
    Init(Ident, Vec<Init>),
}

pub(crate) struct Setting {
    pub(crate) name: Ident,
    pub(crate) value: TokenStream,
}

/// `name = EXPR` in `init(..)`.
pub(crate) struct Init {
    pub(crate) name: Ident,
    pub(crate) value: TokenStream,
}

pub(crate) struct Capture {
    /// The name in the body.
    pub(crate) name: Ident,
    /// What it is made from, in the scope of the call.
    pub(crate) value: TokenStream,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The body owns the value.
    Owned,
    /// `&name`: the value is a reference.
    Borrowed,
    /// `mut name`. A mistake, kept so that the body is checked as it was meant.
    OwnedMut,
    /// `&mut name`, `value` being what stands after it. Only ever a mistake, as above.
    BorrowedMut,
}

pub(crate) enum Body {
    /// `{ .. }`, or the statements themselves with braces put around them.
    Block(TokenStream),
    Closure(Closure),
    /// `path(arguments)`
    Named(NamedCall),
    /// There is none, and none is missing.
    Nothing,
}

/// A closure of which only the header was read.
pub(crate) struct Closure {
    pub(crate) attributes: TokenStream,
    /// The word `async`, which no closure here may have.
    pub(crate) asynchronous: Option<Ident>,
    pub(crate) moves: Option<Ident>,
    pub(crate) header: Header,
    /// Everything after the header, a `-> Type` included.
    pub(crate) body: TokenStream,
}

/// `|a, b|`
pub(crate) struct Header {
    pub(crate) open: proc_macro2::Punct,
    pub(crate) parameters: TokenStream,
    pub(crate) close: proc_macro2::Punct,
    pub(crate) count: usize,
}

/// The call of a function, by its path.
pub(crate) struct NamedCall {
    pub(crate) path: TokenStream,
    pub(crate) arguments: Group,
}

pub(crate) struct Foreach {
    pub(crate) items: TokenStream,
    pub(crate) work: Work,
}

/// A loop without its items.
pub(crate) struct Work {
    pub(crate) krate: CratePath,
    pub(crate) entry: Entry,
    pub(crate) settings: Vec<Setting>,
    pub(crate) place: Option<Place>,
    pub(crate) trial: Trial,
    pub(crate) inits: Vec<Init>,
    pub(crate) captures: Vec<Capture>,
    /// Whether each worker owns what its closure mentions.
    pub(crate) owning: bool,
    /// One parameter, or two if the body emits.
    pub(crate) body: Closure,
}

/// What becomes of an item that fails.
pub(crate) struct Trial {
    /// The word `retry`: a copy of the item is kept for another try.
    pub(crate) retry: Option<Ident>,
    /// The value of `retry_if`.
    pub(crate) retry_if: Option<TokenStream>,
    /// The word `journal`: items and values are kept.
    pub(crate) journal: Option<Ident>,
    /// Whether what the body answers is asked if it is a failure.
    pub(crate) judged: bool,
}

/// Which of the runtime's loops a call enters.
pub(crate) enum Entry {
    /// The results stream; everything is owned.
    Stream,
    /// Something is borrowed, so the call waits for all items.
    Borrowed,
    /// The results stream inside a scope.
    Within(TokenStream),
    /// The results stream out of other processes.
    Process,
    /// The results stream from other machines.
    Cluster,
    /// The results stream from wherever a plan says, which may be other processes.
    Plan,
}

/// `on = word`, `on = word(argument)`
pub(crate) struct Place {
    pub(crate) option: Ident,
    pub(crate) word: Ident,
    pub(crate) argument: Option<Group>,
}

pub(crate) struct Job {
    pub(crate) krate: CratePath,
    pub(crate) host: Host,
    pub(crate) settings: Vec<Setting>,
    pub(crate) captures: Vec<Capture>,
    pub(crate) body: JobBody,
}

/// Where a job runs.
pub(crate) enum Host {
    Thread,
    Process,
    Cluster(Box<Place>),
    /// What comes of this expression.
    Runspace(TokenStream),
}

pub(crate) enum JobBody {
    Block(TokenStream),
    Closure(Closure),
}

/// What `start_job!` starts.
pub(crate) enum ProcessJob {
    Body(Box<Job>),
    Named(Named),
    Program(Program),
}

/// A function with `#[job]`.
pub(crate) struct Named {
    pub(crate) krate: CratePath,
    pub(crate) settings: Vec<Setting>,
    pub(crate) call: NamedCall,
}

/// A program that is not of Rust's making.
pub(crate) struct Program {
    pub(crate) krate: CratePath,
    pub(crate) file: TokenStream,
    pub(crate) settings: Vec<Setting>,
}

/// A pipeline, of a stage `S` as it was written or as it is meant.
pub(crate) struct Pipeline<S> {
    pub(crate) krate: CratePath,
    pub(crate) source: TokenStream,
    pub(crate) stages: Vec<Stage<S>>,
    /// Whether no stage is left out, for a mistake that has been reported.
    pub(crate) complete: bool,
}

pub(crate) struct Stage<S> {
    /// The `|` in front of it.
    pub(crate) bar: Span,
    /// Its first word.
    pub(crate) word: Ident,
    pub(crate) kind: StageKind<S>,
    /// What is asked of what it answers: `.outcomes()`, `?`.
    pub(crate) suffix: TokenStream,
}

pub(crate) enum StageKind<S> {
    /// `foreach_parallel(..)`
    Parallel(S),
    /// The rest of a call of a method, after its name.
    Method(TokenStream),
}

/// `#[job]` on a function.
pub(crate) struct Entered {
    pub(crate) krate: CratePath,
    pub(crate) visibility: syn::Visibility,
    pub(crate) function: Ident,
    pub(crate) parameters: Vec<(Ident, TokenStream)>,
    pub(crate) output: TokenStream,
    /// The expression for its name.
    pub(crate) name: TokenStream,
}

/// `#[main]` on `main`.
pub(crate) enum Main {
    /// The statements of the function, in two parts: what has to stay in front of all others, and
    /// the rest.
    Sync {
        krate: CratePath,
        head: TokenStream,
        first: TokenStream,
        block: Group,
    },
    /// A mistake: one that the program cannot start with, but that looks like it to rustc.
    Unfit,
    /// Another attribute makes the function one that can be called.
    Async {
        krate: CratePath,
        visibility: syn::Visibility,
        output: syn::ReturnType,
    },
}
