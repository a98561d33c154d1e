use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::super::testing::within;
use super::supervisor;

#[test]
fn a_task_that_panics_does_not_end_the_thread_that_all_children_belong_to() {
    within(30, || {
        let supervisor = supervisor().unwrap();
        supervisor.at(Instant::now(), || panic!("a task of the test's"));
        let (send, receive) = channel();
        supervisor.at(Instant::now(), move || send.send(()).unwrap());
        receive
            .recv_timeout(Duration::from_secs(20))
            .expect("the thread goes on with the next task");
        assert!(!supervisor.is_over());
    });
}
