//! A worker that does nothing but copy itself.
//!
//! It has come as far as a worker comes before its first body: code and libraries are in place and
//! the constructors have run. A copy of it is a process of its own that has run nothing of the user's
//! but those constructors, at a fraction of what starting the program again costs.

use std::hint::black_box;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use super::super::sys::channel::Channel;
use super::super::sys::fork::{Copied, Copier, is_alone};
use super::super::sys::own;
use super::super::wire::Kind;
use super::io::{ChildIo, flush_output, leave, watch_thread};

/// Makes copies until the parent has enough, and ends the process. Returns in the copies, with the
/// channel that the parent has given each.
pub(super) fn copies(io: ChildIo) -> Channel {
    // What the constructors have printed must not come out of every copy.
    flush_output();
    if is_alone() {
        keep_a_thread();
    }
    let copier = Copier::new();
    // The last frame: from here on the channel carries descriptors, for copies.
    io.sender.plain(Kind::Template, &copier.is_some());
    let channel = io.into_channel();
    let Some(copier) = copier else {
        leave(0);
    };
    loop {
        let Ok(Some([socket, pipe, out, err])) = channel.receive_descriptors() else {
            leave(0);
        };
        match copier.copy() {
            Ok(Copied::Copy) => {
                let Ok(channel) = Channel::of_child(socket.as_fd(), pipe.as_fd()) else {
                    leave(122);
                };
                // Before it leaves the template's group: one of which the parent knows nothing is found
                // by that, should the template be gone.
                channel.send_bytes(&own::number().to_ne_bytes());
                if own::be_a_copy(&out, &err).is_err() {
                    leave(122);
                }
                return channel;
            }
            // The parent sees the end of the channel that the copy was to have.
            Ok(Copied::Original) | Err(_) => {}
        }
    }
}

/// Lets threads come and go. What it takes to start one, symbols to be looked up, memory for its stack and to
/// allocate from, the C library keeps, and so do the copies; each would come to it anew for its watch.
fn keep_a_thread() {
    /// A thread is listed for a moment longer than it runs.
    const TO_GO: Duration = Duration::from_secs(1);
    // The second comes to what the first has left, as that of a copy does.
    for _ in 0..2 {
        if let Ok(thread) = watch_thread().spawn(|| drop(black_box(Box::new(0)))) {
            let _ = thread.join();
        }
    }
    let end = Instant::now() + TO_GO;
    while !is_alone() && Instant::now() < end {
        std::thread::yield_now();
    }
}
