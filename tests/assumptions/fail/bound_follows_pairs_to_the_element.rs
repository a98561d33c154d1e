//! The bound is on all pairs, and the caret under the one value that does not fit. With one list
//! for any number of values, as a macro cannot count types.

trait All {}
impl All for () {}
impl<T: Send, Rest: All> All for (T, Rest) {}

fn run<C: All>(_: C) {}

fn main() {
    let (a, b, c) = (1, std::rc::Rc::new(2), 3);
    run((a, (b, (c, ()))));
}
