//! Bodies of both kinds, in a runspace and in a pool.
#![deny(warnings)]
#![allow(clippy::needless_question_mark)]

use runspace::{Runspace, RunspacePool, invoke};

fn twice(runspace: &Runspace, text: &str) -> usize {
    invoke!(runspace, using(text = text.to_owned()), { text.len() * 2 })
        .end()
        .unwrap()
}

fn generic<T: Clone + Send + 'static>(pool: &RunspacePool, value: &T) -> T {
    invoke!(pool, using(value.clone()), { value })
        .end()
        .unwrap()
}

fn main() {
    let runspace = Runspace::open().unwrap();
    let pool = RunspacePool::builder().max(2).open().unwrap();
    let name = String::from("a name");
    let (a, b) = (1, String::from("b"));
    assert_eq!(invoke!(&runspace, { 1 + 1 }).end().unwrap(), 2);
    assert_eq!(
        invoke!(&pool, name = "sum", using(a, b.clone(), c = b.len()), {
            a + b.len() + c
        })
        .end()
        .unwrap(),
        3
    );
    assert_eq!(
        invoke!(&runspace, name = name, using(a), move |_rs| a)
            .end()
            .unwrap(),
        1
    );
    assert_eq!(invoke!(&runspace, |_rs| { 5 },).end().unwrap(), 5);
    assert_eq!(invoke!(&pool, { $using:a + 1 }).end().unwrap(), 2);
    assert_eq!(twice(&runspace, "ab"), 4);
    assert_eq!(generic(&pool, &b), "b");
    // Errors of the body are a value.
    let parsed = invoke!(&runspace, {
        Ok::<u8, std::num::ParseIntError>("x".parse::<u8>()?)
    });
    assert!(parsed.end().unwrap().is_err());
}
