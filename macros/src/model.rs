//! What a call says. `Call` is what was written, clause by clause; `Foreach` and `Job` are what it
//! means, with no mistake left in them, and all that `expand` sees.

use proc_macro2::{Ident, TokenStream};

/// The tokens before the first comma, which the front of the macro put there: `$crate`.
pub(crate) type CratePath = TokenStream;

/// A call as it was written.
pub(crate) struct Call {
    pub(crate) krate: CratePath,
    /// What the loop runs over; nothing in a job.
    pub(crate) items: Option<TokenStream>,
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

pub(crate) struct Foreach {
    pub(crate) krate: CratePath,
    pub(crate) entry: Entry,
    pub(crate) items: TokenStream,
    pub(crate) settings: Vec<Setting>,
    pub(crate) inits: Vec<Init>,
    pub(crate) captures: Vec<Capture>,
    /// Whether each worker owns what its closure mentions.
    pub(crate) owning: bool,
    /// One parameter, or two if the body emits.
    pub(crate) body: Closure,
}

/// Which of the runtime's loops a call enters.
pub(crate) enum Entry {
    /// The results stream; everything is owned.
    Stream,
    /// Something is borrowed, so the call waits for all items.
    Borrowed,
    /// The results stream inside a scope.
    Within(TokenStream),
}

pub(crate) struct Job {
    pub(crate) krate: CratePath,
    pub(crate) settings: Vec<Setting>,
    pub(crate) captures: Vec<Capture>,
    pub(crate) body: Body,
}
