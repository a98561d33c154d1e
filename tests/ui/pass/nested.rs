use runspace::{foreach_parallel, start_thread_job};

fn main() {
    let tables: Vec<Vec<u32>> = foreach_parallel!(1..3u32, ordered = true, |row| {
        foreach_parallel!(1..3u32, ordered = true, using(row), |column| row * column).collect()
    })
    .collect();
    assert_eq!(tables, [[1, 2], [2, 4]]);

    let items = vec![1, 2, 3];
    let sums: Vec<i32> = foreach_parallel!(&items, ordered = true, |&n| {
        foreach_parallel!(&items, |m| m * n).sum()
    })
    .collect();
    assert_eq!(sums, [6, 12, 18]);

    let job = start_thread_job!({
        let inner = start_thread_job! { 20 };
        foreach_parallel!(0..3, |n| n).sum::<i32>() + inner.join().unwrap()
    });
    assert_eq!(job.join().unwrap(), 23);
}
