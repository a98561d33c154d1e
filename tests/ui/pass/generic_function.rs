#![allow(clippy::redundant_slicing)]

use std::fmt::Display;

use runspace::{foreach_parallel, start_thread_job};

fn shown<T, I, const N: usize>(items: I, suffix: [T; N]) -> Vec<String>
where
    T: Display + Clone + Send + Sync + 'static,
    I: IntoIterator<Item = T>,
    I::IntoIter: Send + 'static,
{
    foreach_parallel!(items, ordered = true, using(suffix), |item: T| {
        let mut text = item.to_string();
        for part in &suffix[..N] {
            text += &part.to_string();
        }
        text
    })
    .collect()
}

fn lengths<'a>(words: &'a [&'a str]) -> Vec<usize> {
    foreach_parallel!(&words[..], ordered = true, |word| word.len()).collect()
}

fn apply<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(f: F) -> T {
    start_thread_job!(using(f), { f() }).join().unwrap()
}

struct Counter {
    start: usize,
}

impl Counter {
    fn owned(self, items: &[usize]) -> usize {
        foreach_parallel!(items, using(this = &self), |n| this.start + n).sum()
    }

    fn borrowed(&self, items: &[usize]) -> usize {
        foreach_parallel!(&items[1..], |n| self.start + n).sum()
    }
}

fn main() {
    assert_eq!(shown([1, 2], [3, 4]), ["134", "234"]);
    assert_eq!(lengths(&["a", "bc"]), [1, 2]);
    assert_eq!(apply(|| 5), 5);
    assert_eq!(Counter { start: 1 }.borrowed(&[1, 2]), 3);
    assert_eq!(Counter { start: 1 }.owned(&[]), 0);
}
