use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, |n: u32| {
        if n == 0 {
            return "none";
        }
        n
    });
}
