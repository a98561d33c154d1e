//! rustc follows a bound to an argument only if no other argument has the type. So a function that
//! takes both the captured values and a plain function of them names the type in the second by a
//! projection of another parameter: see `one` against `two`.

trait All {
    type Itself;
}
impl All for () {
    type Itself = ();
}
impl<T: Send, Rest: All> All for (T, Rest) {
    type Itself = (T, Rest);
}

fn one<K: All<Itself = C>, C>(_: K, _: fn(C)) {}
fn two<C: All>(_: C, _: fn(C)) {}

fn main() {
    let (a, b) = (1, std::rc::Rc::new(2));
    one((a, (b.clone(), ())), |(_, (_, ()))| {});
    two((a, (b, ())), |(_, (_, ()))| {});
}
