#[runspace::job(nam = "work")]
async fn work(text: &str) -> usize {
    text.len()
}

fn main() {}
