//! What the operating system does for the process back end. Linux only so far: everything that
//! another system does in another way is in this folder.

pub(super) mod channel;
pub(super) mod command_line;
pub(super) mod environ;
pub(super) mod fork;
pub(super) mod image;
pub(crate) mod limits;
pub(super) mod memory;
pub(super) mod own;
pub(super) mod signal;
pub(super) mod spawn;
