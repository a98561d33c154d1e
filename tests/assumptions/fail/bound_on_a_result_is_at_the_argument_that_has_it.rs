//! A bound on what a closure answers is reported for the whole call, unless an argument has that
//! type: then there. The macros pass one that stands where the body does.

struct Made<R>(std::marker::PhantomData<R>);

fn made<R>() -> Made<R> {
    Made(std::marker::PhantomData)
}

fn without<M: Fn() -> R, R: Send>(_: M) {}
fn with<M: Fn() -> R, R: Send>(_: M, _: Made<R>) {}

fn main() {
    without(|| std::rc::Rc::new(1));
    with(|| std::rc::Rc::new(1), made());
}
