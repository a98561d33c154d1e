//! With `do_not_recommend` rustc stops at the trait with the sentence, and lists neither the bounds
//! behind it nor the types that have them.

trait Bytes {}
impl Bytes for u8 {}
impl Bytes for u16 {}
impl Bytes for u32 {}

#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent",
    label = "this goes elsewhere",
    note = "send what it is made from"
)]
trait Sent {}
#[diagnostic::do_not_recommend]
impl<T: Bytes + Clone> Sent for T {}

fn send<T: Sent>(_: T) {}

fn main() {
    struct Own;
    send(Own);
    send("text");
}
