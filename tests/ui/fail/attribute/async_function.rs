#[runspace::job]
async fn work() -> u8 {
    1
}

fn main() {}
