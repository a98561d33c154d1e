use runspace::start_job;

fn main() {
    let cluster = "nats://localhost:4222";
    start_job!(on = cluster(&cluster), { 1 });
}
