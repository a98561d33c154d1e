//! What does another process cost?

mod many;
mod payload;
mod programs;
mod round_trip;
mod start;

pub(crate) use many::QUESTION as MANY;
pub(crate) use payload::QUESTION as PAYLOAD;
pub(crate) use programs::QUESTION as PROGRAMS;
pub(crate) use round_trip::QUESTION as ROUND_TRIP;
pub(crate) use round_trip::round_trips;
pub(crate) use start::QUESTION as START;
