//! The distance from a static to a function compiled for its types is the same in two processes of
//! one executable, wherever each is loaded.

use std::process::Command;
use std::sync::atomic::AtomicU8;

static ANCHOR: AtomicU8 = AtomicU8::new(0);

fn serve<T: Default + ToString>() -> String {
    T::default().to_string()
}

fn distance<F>(function: F) -> isize
where
    F: Copy,
{
    assert_eq!(size_of::<F>(), size_of::<usize>());
    let address: usize = unsafe { std::mem::transmute_copy(&function) };
    address.wrapping_sub((&raw const ANCHOR).addr()).cast_signed()
}

fn main() {
    let body: fn((u32, ())) -> u32 = |(n, ())| n + 1;
    let distances = [
        distance(serve::<u32> as fn() -> String),
        distance(serve::<String> as fn() -> String),
        distance(body),
    ];
    assert_ne!(distances[0], distances[1]);
    if std::env::args().nth(1).as_deref() == Some("child") {
        println!("{distances:?}");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let child = Command::new(program).arg("child").output().unwrap();
    let told = String::from_utf8(child.stdout).unwrap();
    assert_eq!(told.trim(), format!("{distances:?}"));
}
