//! Bounds that fail for the same reason at the same place are reported once: in the words of the first.
//! The check of a captured value comes before the bound on all of them, and stands where the value does.

#[diagnostic::on_unimplemented(message = "`{Self}` does not fit")]
trait Fits {}
#[diagnostic::do_not_recommend]
impl<T: Send> Fits for T {}

#[diagnostic::on_unimplemented(message = "not said")]
trait Also {}
#[diagnostic::do_not_recommend]
impl<T: Send> Also for T {}

fn run<T: Fits + Also>(_: T) {}

fn main() {
    run(std::rc::Rc::new(1));
}
