//! Statements that begin much as clauses do.

#![allow(unused_assignments, clippy::never_loop)]

use runspace::{JobQueue, start_thread_job};

fn using(n: i32) -> i32 {
    n
}

fn pair<A: Default, B: Default>() -> (A, B) {
    (A::default(), B::default())
}

fn main() {
    let mut name = 1;
    name += 1;
    let job = start_thread_job! {
        name = 5;
        name + 1
    };
    assert_eq!(job.join().unwrap(), 6);
    assert_eq!(name, 2);
    assert_eq!(start_thread_job! { using(1); using(2) }.join().unwrap(), 2);
    assert_eq!(start_thread_job! { pair::<i32, u8>().0 }.join().unwrap(), 0);
    assert_eq!(start_thread_job! { name }.join().unwrap(), 2);
    assert!(start_thread_job! { name == 2 }.join().unwrap());
    assert_eq!(
        start_thread_job! { 'a: loop { break 'a 1 } }
            .join()
            .unwrap(),
        1
    );
    assert_eq!(
        start_thread_job! { if name == 2 { 1 } else { 0 } }
            .join()
            .unwrap(),
        1
    );

    let queue = JobQueue::new(1);
    let job = start_thread_job!(queue = &queue, name = format!("{name}"), { name });
    assert_eq!(job.join().unwrap(), 2);
}
