use runspace::foreach_parallel;

struct Table;

fn main() {
    let table = Table;
    foreach_parallel!(0..3, on = plan, using(table), |n: i32| {
        let Table = table;
        n
    });
}
