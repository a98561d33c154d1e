use runspace::collections::Dictionary;
use runspace::start_job;

fn main() {
    let found = Dictionary::new();
    let job = start_job!(using(found.clone()), { found.insert(1, "one") });
    job.wait();
    assert_eq!(found.try_get(&1), Some("one"));
}
