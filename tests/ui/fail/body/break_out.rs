use runspace::foreach_parallel;

fn main() {
    loop {
        foreach_parallel!(0..3, |_| break);
    }
}
