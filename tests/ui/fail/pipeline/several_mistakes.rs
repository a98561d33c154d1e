use runspace::pipeline;

fn main() {
    let a = 1;
    pipeline!(
        0..3
            | foreach_parallel(throtle = 2, |n| n + unknown)
            | foreach_parallel(using(ref a), |n| n)
            | collect
    );
}
