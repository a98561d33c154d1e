//! A closure that captures nothing becomes a plain function, types of the function around it
//! included, and takes no place of its own.

use std::fmt::Display;

fn run<C, T>(captures: C, body: fn(C) -> T) -> T {
    body(captures)
}

fn shown<T: Display, const N: usize>(values: [T; N]) -> String {
    run((values, ()), |(values, ())| {
        let all: Vec<String> = values.iter().map(|it: &T| it.to_string()).collect();
        format!("{N}:{}", all.join(","))
    })
}

fn main() {
    assert_eq!(shown([1, 2]), "2:1,2");
    assert_eq!(shown(["a"]), "1:a");
    let body: fn(()) -> u8 = |()| 1;
    assert_eq!(size_of_val(&body), size_of::<usize>());
    assert_eq!(size_of_val(&|()| 1), 0);
}
