//! What does another machine cost? All of them are this one: a server, and two workers, processes of this program.

mod bare;
mod many;
mod round_trip;
mod server;

pub(crate) use bare::serve_if_bare_worker;
pub(crate) use many::QUESTION as MANY;
pub(crate) use round_trip::QUESTION as ROUND_TRIP;
