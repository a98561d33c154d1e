//! A closure that becomes a plain function may capture nothing, and rustc points at what it does
//! capture. So a body for another process uses what `using(..)` names, and nothing else.

fn run<C, T>(captures: C, body: fn(C) -> T) -> T {
    body(captures)
}

fn main() {
    let (listed, unlisted) = (1, 2);
    run((listed, ()), |(listed, ())| listed + unlisted);
}
