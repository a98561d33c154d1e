use runspace::foreach_parallel;

fn main() {
    let cluster = "nats://localhost:4222";
    foreach_parallel!(0..3, on = cluster(&cluster), |n| n);
}
