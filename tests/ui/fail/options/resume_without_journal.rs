use runspace::foreach_parallel;

fn main() {
    foreach_parallel!([1], resume = true, |n: u32| n).wait();
}
