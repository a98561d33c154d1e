use runspace::foreach_parallel;

struct NoSerde(u32);

fn main() {
    let factor = NoSerde(2);
    let doubled = foreach_parallel!(0..3, on = process, retry = 1, using(factor), |n: u32| {
        n * factor.0
    });
    assert_eq!(doubled.sum::<u32>(), 6);
}
