//! What does another process cost?

mod large;
mod many;
mod round_trip;
mod start;

pub(crate) use large::QUESTION as LARGE;
pub(crate) use many::QUESTION as MANY;
pub(crate) use round_trip::QUESTION as ROUND_TRIP;
pub(crate) use start::QUESTION as START;
