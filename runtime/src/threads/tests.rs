use std::sync::mpsc;
use std::time::Duration;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn a_thread_is_used_again() {
    let threads = Arc::new(Threads::default());
    let (tx, rx) = mpsc::channel();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let tx = tx.clone();
        let task = Box::new(move || tx.send(std::thread::current().id()).unwrap());
        assert!(threads.spawn(task).is_ok());
        seen.push(rx.recv_timeout(LIMIT).unwrap());
        while threads.idle() == 0 {
            std::thread::yield_now();
        }
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[1], seen[2]);
}

#[test]
fn blocked_tasks_never_keep_another_waiting() {
    let threads = Arc::new(Threads::default());
    let (done, wait) = mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    for _ in 0..8 {
        let wait = Arc::clone(&wait);
        let task = Box::new(move || assert!(wait.lock().unwrap().recv().is_err()));
        assert!(threads.spawn(task).is_ok());
    }
    let (tx, rx) = mpsc::channel();
    assert!(
        threads
            .spawn(Box::new(move || tx.send(()).unwrap()))
            .is_ok()
    );
    rx.recv_timeout(LIMIT).unwrap();
    drop(done);
}

#[test]
fn a_panic_that_gets_out_of_a_task_costs_no_thread() {
    let threads = Arc::new(Threads::default());
    let task = Box::new(|| std::panic::resume_unwind(Box::new(1)));
    assert!(threads.spawn(task).is_ok());
    let (tx, rx) = mpsc::channel();
    assert!(
        threads
            .spawn(Box::new(move || tx.send(()).unwrap()))
            .is_ok()
    );
    rx.recv_timeout(LIMIT).unwrap();
}
