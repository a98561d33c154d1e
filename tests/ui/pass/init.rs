use runspace::foreach_parallel;

struct Connection {
    used: usize,
}

impl Connection {
    fn open(first: usize) -> Self {
        Connection { used: first }
    }

    fn ask(&mut self) -> usize {
        self.used += 1;
        self.used
    }
}

fn main() {
    let first = 10;
    let answers: Vec<usize> = foreach_parallel!(
        0..3,
        throttle = 1,
        using(first),
        init(connection = Connection::open(first), asked = Vec::new()),
        |n: usize| {
            asked.push(n);
            connection.ask() + asked.len()
        }
    )
    .collect();
    assert_eq!(answers, [12, 14, 16]);
}
