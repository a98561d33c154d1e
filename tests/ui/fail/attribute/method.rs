struct Counter(u8);

impl Counter {
    #[runspace::job]
    fn work(&self) -> u8 {
        self.0
    }
}

fn main() {}
