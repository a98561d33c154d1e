#[runspace::job]
unsafe fn work() -> u8 {
    1
}

fn main() {}
