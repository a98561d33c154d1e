use runspace::foreach_parallel;

fn main() {
    foreach_parallel!([1], journal = 7, |n: u32| n).wait();
}
