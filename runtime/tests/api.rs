//! What every type of the interface promises besides its own: which threads it may go to, that it can be
//! printed, that errors are errors. `docs/api-guidelines.md` refers to it.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::panic::{RefUnwindSafe, UnwindSafe};

use runspace::collections::{
    AddError, AddErrorKind, Bag, BlockingCollection, Dictionary, Queue, Stack, TakeError,
};
use runspace::*;

/// May go to other threads, be looked at from several at once, and be printed.
fn shared<T: Send + Sync + Debug>() {}
fn sent<T: Send + Debug>() {}
fn cloned<T: Clone>() {}
fn plain<T: Copy + Eq>() {}
fn error<T: Error + Send + Sync + 'static>() {}
fn shown<T: Display>() {}
fn unwinds<T: UnwindSafe + RefUnwindSafe>() {}

/// Is not `Send`: what it stands for belongs to its thread.
macro_rules! stays {
    ($($type:ty),*) => { $(
        const _: fn() = || {
            trait OfAny<A> {
                fn is() {}
            }
            struct ThatIsSend;
            impl<T: ?Sized> OfAny<()> for T {}
            impl<T: ?Sized + Send> OfAny<ThatIsSend> for T {}
            // Two answers, and so an error, if it is.
            let _ = <$type as OfAny<_>>::is;
        };
    )* };
}

/// Can be sent, and no more than that.
struct OnlySend(#[expect(dead_code)] std::cell::Cell<u8>);

#[test]
fn handles_go_to_any_thread() {
    shared::<Job<u8>>();
    shared::<Job<std::cell::Cell<u8>>>();
    shared::<JobEntry>();
    shared::<JobTable>();
    shared::<JobQueue>();
    shared::<JobContext<u8>>();
    shared::<StopToken>();
    shared::<Throttle>();
    shared::<CallThrottle>();
    shared::<Report>();
    shared::<Group>();
    shared::<Runspace>();
    shared::<RunspacePool>();
    shared::<Invocation<u8>>();
    shared::<Scope<'_, '_>>();
    sent::<Results<u8>>();
    sent::<Outcomes<u8>>();
    sent::<JobIter<'_, u8>>();
    stays!(RunspaceContext);
}

#[test]
fn settings_are_values() {
    shared::<Halt>();
    shared::<Retry>();
    shared::<Timeout>();
    shared::<Plan>();
    shared::<RunspaceBuilder>();
    shared::<RunspacePoolBuilder>();
    cloned::<Throttle>();
    cloned::<Halt>();
    cloned::<Retry>();
    cloned::<Timeout>();
    cloned::<Plan>();
    cloned::<RunspaceBuilder>();
    cloned::<RunspacePoolBuilder>();
    cloned::<StopToken>();
    cloned::<JobQueue>();
    cloned::<JobEntry>();
    cloned::<Runspace>();
    cloned::<RunspacePool>();
    cloned::<Report>();
}

#[test]
fn states_are_plain_values_and_have_words() {
    plain::<JobState>();
    plain::<InvocationState>();
    plain::<RunspaceState>();
    plain::<Level>();
    shown::<JobState>();
    shown::<InvocationState>();
    shown::<RunspaceState>();
    shown::<Level>();
    shown::<Record>();
    shown::<JobTable>();
    shown::<JobLocation>();
    shown::<Report>();
    shown::<Plan>();
    fn hashed<T: Hash>() {}
    hashed::<JobState>();
    hashed::<Level>();
}

#[test]
fn errors_are_errors() {
    error::<ItemError>();
    error::<JobError>();
    error::<RemoveError<OnlySend>>();
    error::<SuspendError>();
    error::<InvocationError>();
    error::<OpenError>();
    error::<LimitsError>();
    error::<ParsePlanError>();
    error::<AddError<u8>>();
    error::<TakeError>();
    shared::<Cause>();
    shared::<JobErrorKind>();
    shared::<InvocationErrorKind>();
    shared::<OpenErrorKind>();
    shared::<AddErrorKind>();
    sent::<PanicPayload>();
}

#[test]
fn collections_are_shared() {
    shared::<Bag<u8>>();
    shared::<Queue<u8>>();
    shared::<Stack<u8>>();
    shared::<Dictionary<u8, u8>>();
    shared::<BlockingCollection<u8>>();
    fn made<T: Default + Extend<u8> + FromIterator<u8> + IntoIterator>() {}
    made::<Bag<u8>>();
    made::<Queue<u8>>();
    made::<Stack<u8>>();
}

#[test]
fn a_panic_elsewhere_leaves_handles_as_they_were() {
    unwinds::<StopToken>();
    unwinds::<JobQueue>();
    unwinds::<Throttle>();
}

#[cfg(feature = "process")]
#[test]
fn processes() {
    use runspace::policy::{
        ApproveError, AuditRecord, Denied, KnownJob, LoosenError, Policy, PolicySource, Start,
        Verdict,
    };
    error::<ProcessError>();
    error::<Denied>();
    error::<LoosenError>();
    error::<ApproveError>();
    cloned::<ProcessError>();
    shared::<ProcessPool>();
    shared::<ProcessPoolBuilder>();
    shared::<Crash>();
    shared::<Exit>();
    shared::<AuditRecord>();
    shared::<PolicySource>();
    shared::<KnownJob>();
    shared::<Start<'_>>();
    plain::<Policy>();
    plain::<Verdict>();
    plain::<Exit>();
    shown::<Policy>();
    shown::<Crash>();
    shown::<AuditRecord>();
}

#[cfg(feature = "journal")]
#[test]
fn journals() {
    error::<JournalError>();
    shared::<Journal>();
    shared::<CallJournal>();
    shared::<JournalErrorKind>();
}
