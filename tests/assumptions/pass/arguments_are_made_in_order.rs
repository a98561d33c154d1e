//! Items, options, captures: what a call is given is made in the order in which it is written, and
//! temporaries in it last until the call has answered.

use std::cell::RefCell;

fn take(_: u8, _: u8, captures: (u8, (&str, ()))) -> usize {
    captures.1.0.len()
}

fn main() {
    let order = RefCell::new(Vec::new());
    let note = |n: u8| {
        order.borrow_mut().push(n);
        n
    };
    let length = take(note(1), note(2), (note(3), (String::from("four").as_str(), ())));
    assert_eq!(length, 4);
    assert_eq!(*order.borrow(), [1, 2, 3]);
}
