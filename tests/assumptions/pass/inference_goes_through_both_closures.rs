//! The captured values, the items, the worker and the result are inferred through a closure that makes a
//! closure that takes a closure, with methods called on all of them; `?`, `return` and nesting included.

struct Worker<T, R>(Vec<T>, Vec<R>);

impl<T, R> Worker<T, R> {
    fn run<F: FnMut(T) -> R>(&mut self, body: F) {
        self.1 = self.0.drain(..).map(body).collect();
    }
}

fn foreach<I, C, M, W, R>(items: I, captures: C, maker: M) -> Vec<R>
where
    I: IntoIterator,
    M: FnOnce(C) -> W,
    W: Fn(&mut Worker<I::Item, R>),
{
    let mut worker = Worker(items.into_iter().collect(), Vec::new());
    maker(captures)(&mut worker);
    worker.1
}

fn plain<I, K, C, W, R>(items: I, captures: K, maker: fn(C) -> W) -> Vec<R>
where
    I: IntoIterator,
    K: Same<Itself = C>,
    W: Fn(&mut Worker<I::Item, R>),
{
    foreach(items, captures.itself(), maker)
}

trait Same {
    type Itself;
    fn itself(self) -> Self::Itself;
}

impl<T> Same for T {
    type Itself = T;
    fn itself(self) -> T {
        self
    }
}

fn main() {
    let (prefix, list) = (String::from("#"), vec![1, 2]);
    let texts = foreach([3, 4], (prefix, (list, ())), |(prefix, (list, ()))| {
        move |worker| {
            let mut count = 0;
            worker.run(|n| {
                count += n;
                prefix.repeat(list.len()) + &count.to_string()
            });
        }
    });
    assert_eq!(texts, ["##3", "##7"]);
    let parsed = plain(["1", "x"], (10, ()), |(offset, ())| {
        move |worker| {
            worker.run(|text| {
                if text.is_empty() {
                    return Ok(0);
                }
                let inner = foreach([1], (offset, ()), |(offset, ())| {
                    move |worker| worker.run(|n| n + offset)
                });
                Ok::<i32, std::num::ParseIntError>(text.parse::<i32>()? + inner[0])
            });
        }
    });
    assert_eq!(parsed[0], Ok(12));
    assert!(parsed[1].is_err());
}
