//! In the parent: a body is sent, and what comes of it is taken in.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::Failure;
#[cfg(test)]
use super::super::child::Handle;
use super::super::child::{Lines, is_shortage};
use super::super::entry::{Body, Order, What};
use super::super::link::{Link, Start, unread};
use super::super::wire::{FrameError, Kind};
use super::super::{entry::Note, place::place};

/// What comes of a body.
#[derive(Debug)]
pub(crate) enum Event<T> {
    Output(T),
    Note(Note),
    /// The body has ended; nothing comes any more.
    End(Result<(), Failure>),
}

/// A body that runs in another process. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Running<T> {
    link: Option<Link>,
    #[cfg(test)]
    handle: Handle,
    outputs: PhantomData<fn() -> T>,
}

/// A process that has run nothing yet: a spare one if there is one. What it prints goes to `lines`.
pub(crate) fn fresh(start: &Start, lines: Arc<dyn Lines>) -> Result<Link, Failure> {
    let take = || match place().spares.take(start, &lines) {
        Some(link) => Ok(link),
        None => Link::start(start, Arc::clone(&lines)),
    };
    let is_short =
        |failure: &Failure| matches!(failure, Failure::NoProcess(error) if is_shortage(error));
    start.supervisor.patiently(take, is_short)
}

/// Runs `body` in the process behind `link`, which has not run any yet.
pub(crate) fn call<C: Serialize, T: DeserializeOwned>(
    start: &Start,
    mut link: Link,
    body: Body,
    captures: &C,
) -> Result<Running<T>, Failure> {
    let sent = link.send_body(Kind::Call, Order::new(body, true), captures);
    // Beside the job, and whatever becomes of it: the next one will want a process, too.
    place().spares.refill(start);
    sent?;
    Ok(Running {
        #[cfg(test)]
        handle: link.handle().clone(),
        link: Some(link),
        outputs: PhantomData,
    })
}

impl<T: DeserializeOwned> Running<T> {
    #[cfg(test)]
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits for the process to have read the body and what it captured; answers which process that is.
    ///
    /// # Errors
    /// It has ended before. Nothing of the body has run.
    pub(crate) fn wait_until_read(&mut self) -> Result<u32, Failure> {
        let link = self.link.as_mut().ok_or(Failure::Stopped)?;
        link.wait_until_ready()?;
        Ok(link.handle().pid())
    }

    /// Waits for the next thing that comes, once the body [has been read](Self::wait_until_read). After the end, only
    /// the end comes.
    pub(crate) fn next(&mut self) -> Event<T> {
        let Some(link) = &mut self.link else {
            return Event::End(Err(Failure::Stopped));
        };
        let pid = link.handle().pid();
        let frame = match link.next() {
            Ok(frame) => frame,
            Err(failure) => return self.end(Err(failure)),
        };
        let strange = |kind| Failure::Nonsense(FrameError::Kind(kind as u8));
        let end = match frame.kind {
            Kind::Output => match frame.value() {
                Ok(value) => return Event::Output(value),
                Err(error) => Err(unread::<T>(What::Output, &error)),
            },
            Kind::Record => match frame.value() {
                Ok(note) => return Event::Note(Note::said_in(note, pid)),
                Err(_) => Err(strange(Kind::Record)),
            },
            Kind::Done => match frame.value() {
                Ok(false) => Ok(()),
                Ok(true) => return self.cut_off(),
                Err(_) => Err(strange(Kind::Done)),
            },
            Kind::Panicked => match frame.value() {
                Ok(panicked) => Err(Failure::Panicked(panicked)),
                Err(_) => Err(strange(Kind::Panicked)),
            },
            Kind::Codec => match frame.value() {
                Ok(report) => Err(Failure::there(report)),
                Err(_) => Err(strange(Kind::Codec)),
            },
            kind => Err(strange(kind)),
        };
        self.end(end)
    }

    /// The body has left because it was told to. What it returned is an output, and not the value of the job.
    fn cut_off(&mut self) -> Event<T> {
        self.end(Ok(()));
        Event::End(Err(Failure::Stopped))
    }

    fn end(&mut self, end: Result<(), Failure>) -> Event<T> {
        if let Some(link) = self.link.take() {
            // All lines it has printed so far belong to this body.
            link.handle().flush();
            match end {
                Ok(()) | Err(Failure::Panicked(_) | Failure::There(_)) => link.left(),
                Err(_) => drop(link),
            }
        }
        Event::End(end)
    }
}
