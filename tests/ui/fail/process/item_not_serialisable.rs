use runspace::foreach_parallel;

struct Request(u32);

fn main() {
    let requests = vec![Request(1)];
    foreach_parallel!(requests, on = process, |request| request.0);
}
