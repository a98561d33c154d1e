use runspace::foreach_parallel;

struct Answer(u32);

fn main() {
    foreach_parallel!(0..3, on = process, |n: u32| Answer(n));
}
