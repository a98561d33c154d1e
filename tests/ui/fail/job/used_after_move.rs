use runspace::start_thread_job;

fn main() {
    let list = vec![1];
    let _ = start_thread_job!(using(list), { list.len() });
    println!("{}", list.len());
}
