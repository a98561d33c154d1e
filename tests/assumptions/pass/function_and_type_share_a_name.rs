//! A function and a type with braces live in different namespaces, and `use` brings both: how
//! `start_job!` finds the job of a function by the path of the function.
#![allow(non_camel_case_types)]

mod images {
    pub fn resize(n: u32) -> u32 {
        2 * n
    }

    pub struct resize {
        captures: (u32,),
    }

    impl resize {
        pub fn job(n: u32) -> Self {
            Self { captures: (n,) }
        }

        pub fn run(self) -> u32 {
            resize(self.captures.0)
        }
    }
}

use images::resize;

fn main() {
    assert_eq!(resize(1), 2);
    assert_eq!(<resize>::job(2).run(), 4);
    assert_eq!(<images::resize>::job(2).run(), 4);
}
