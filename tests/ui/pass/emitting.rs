use runspace::{foreach_parallel, start_thread_job};

fn main() {
    let ends = 2;
    let all: Vec<i32> = foreach_parallel!(0..3, ordered = true, using(ends), |n: i32, job| -> () {
        for _ in 0..n.min(ends) {
            job.emit(n);
        }
    })
    .collect();
    assert_eq!(all, [1, 2, 2]);

    let list = vec![1, 2];
    let job = start_thread_job!(name = "two", using(list.clone()), |job| {
        list.iter().for_each(|n| job.emit(n * 2));
    });
    assert_eq!(job.iter().collect::<Vec<_>>(), [2, 4]);
    let job = start_thread_job!(move |job| list.into_iter().for_each(|n| job.emit(n)));
    assert_eq!(job.iter().count(), 2);
}
