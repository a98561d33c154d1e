use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, init(a = 1), init(b = 2), |n| {
        a += n;
        b += a;
        b
    });
}
