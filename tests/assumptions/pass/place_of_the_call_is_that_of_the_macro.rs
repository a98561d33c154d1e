//! A function with `track_caller` that a macro calls is called where the macro is, through a function
//! and a method of a trait as well.

use std::panic::Location;

#[track_caller]
fn here() -> u32 {
    Location::caller().line()
}

trait Job {
    #[track_caller]
    fn start(self) -> u32;
}

struct Named;

impl Job for Named {
    fn start(self) -> u32 {
        here()
    }
}

#[track_caller]
fn start<J: Job>(job: J) -> u32 {
    job.start()
}

macro_rules! inner {
    ($($call:tt)*) => {
        $($call)*
    };
}

macro_rules! call {
    () => {
        inner!(here())
    };
    (job) => {
        inner!(start(Named))
    };
}

fn main() {
    assert_eq!(call!(), line!());
    assert_eq!(call!(job), line!());
}
