//! Of two closures, the one that borrows is asked to be `move`: the outer one is made to own, so that it is
//! the inner one, which the user has written.

fn run<C, M, W>(captures: C, maker: M)
where
    M: FnOnce(C) -> W,
    W: Fn(u32) -> u32 + Send + 'static,
{
    let body = maker(captures);
    std::thread::spawn(move || body(1));
}

fn main() {
    let a = 1;
    run((), move |()| |n| a + n);
}
