//! The same line on many machines: `on = cluster(&cluster)`, on NATS JetStream.
//!
//! A [`Cluster`] is a connection to a NATS server. Workers are processes of this very executable, started anywhere with
//!
//! ```text
//! RUNSPACE_KEY=.. RUNSPACE_WORKER=nats://host:4222 ./program
//! ```
//!
//! They join and leave at any time. A loop puts its items into a stream of the server, from which workers take as many as they have
//! slots for; results come back through another. `throttle` is enforced by the server, over all machines. Everything
//! else about the loop is as on threads: [`Results`](crate::Results), `ordered`, `retry`, `timeout`, `halt`, `journal`, `progress`.
//!
//! # What is promised
//! * Every item has exactly one outcome: one value, or one error.
//! * It may *run* more than once: when its worker dies, or is silent for longer than `ack_wait`, another is given it. That
//!   cannot be told from a worker that has just finished and could not say so. What a body does to the world has to bear that;
//!   [`ItemContext::key`](crate::ItemContext::key) is the same for every run of an item, for those who keep what is done by a key.
//! * Nothing is lost when a worker or the server is killed, or the network is away for a while: for `outage`, 5 minutes.
//! * An item that takes its worker down each time ends as an error after `max_deliver` deliveries, 5.
//! * No code runs for whoever has not the key, and none of another build.
//!
//! # What workers are told by variables
//!
//! | variable | what it says |
//! |---|---|
//! | `RUNSPACE_WORKER` | the address of the server: this process is a worker, and its `main` does not run |
//! | `RUNSPACE_KEY` | the secret that clients and workers share, at least 16 bytes |
//! | `RUNSPACE_RUN` | the one run to work for; without it, every run of the same build |
//! | `RUNSPACE_SLOTS` | how many items to run at once; without it, as many as there are cores |
//! | `RUNSPACE_ISOLATE` | `1`: each item runs in a process beside the worker, so that a crash costs one item |
//! | `RUNSPACE_GRACE` | how many seconds what runs may go on after SIGTERM before it is given to others; 20 |
//! | `RUNSPACE_CREDENTIALS`, `RUNSPACE_NKEY`, `RUNSPACE_TLS_CA`, `RUNSPACE_TLS_CERT`, `RUNSPACE_TLS_KEY` | as the methods of [`ClusterBuilder`] |
//!
//! `docs/cluster.md` has what to write for a shell, systemd, Kubernetes and Slurm; `docs/protocol.md` what goes over the wire.
//!
//! # Layers
//! `names`, `key`, `message` (what is sent); `connect`, `store`, `pull` (the server); `run` (who has work)
//! and `worker` (who does it); `status`.

mod connect;
mod error;
mod key;
mod message;
mod names;
mod options;
mod pull;
mod run;
mod status;
mod store;
mod sweep;
mod worker;

pub use error::{ClusterError, ClusterErrorKind};
pub(crate) use message::{NEAR, Said};
pub use options::{Cluster, ClusterBuilder};
pub(crate) use run::{News, Plan, Run, Turn};
pub use status::{RunStatus, Status, WorkerStatus, status};
pub(crate) use worker::{SlotIo, SlotItem, SlotLoop, SlotRecorder, serve_if_worker};
