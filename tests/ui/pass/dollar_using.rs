use runspace::{foreach_parallel, start_thread_job};

fn main() {
    let (a, b) = (String::from("a"), vec![1, 2]);
    let texts: Vec<String> = foreach_parallel!(0..2, ordered = true, |n: usize| {
        let shown = format!("{}{}", $using:a, $using:b[n]);
        assert_eq!(vec![$using:a.len()], [1]);
        shown
    })
    .collect();
    assert_eq!(texts, ["a1", "a2"]);

    let name = String::from("n");
    let sum: usize =
        foreach_parallel!(0..2, using(name.clone()), |n| n + $using:name.len() + name.len()).sum();
    assert_eq!(sum, 5);
    let job = start_thread_job! { let length = $using:name.len(); length + 1 };
    assert_eq!(job.join().unwrap(), 2);
}
