use runspace::foreach_parallel;

fn main() {
    let (a, b, c) = (String::from("a"), String::from("b"), (1, 2));
    foreach_parallel!(0..3, using(clone a, ref b, c.0), |n| {
        let wrong: u8 = a;
        b.len() + c.0 + n
    });
}
