//! Inside of a future, and with futures inside. Nothing is polled by a call: it blocks.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use runspace::{Runspace, foreach_parallel, invoke, start_job, start_thread_job};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

async fn double(n: u32) -> u32 {
    2 * n
}

async fn sum(items: Vec<u32>) -> Result<u32, String> {
    let offset = double(1).await;
    let doubled: Vec<u32> = foreach_parallel!(items, using(offset = double(offset).await), |n| {
        block_on(async { double(n).await + offset })
    })
    .collect();
    let total = start_thread_job!(using(doubled), { doubled.iter().sum::<u32>() });
    let total = total.join().map_err(|error| error.to_string())?;
    let runspace = Runspace::open().unwrap();
    let total = invoke!(&runspace, using(total), { total + 1 })
        .end()
        .unwrap();
    let job = start_job!(using(total), { total + 1 });
    Ok(job.join().unwrap() + double(0).await)
}

fn needs_send<T: Send>(value: T) -> T {
    value
}

fn main() {
    let future = needs_send(async {
        let job = start_thread_job!({ 1 });
        let stream = foreach_parallel!(0..3, |n: u32| n);
        double(0).await;
        job.join().unwrap() + stream.sum::<u32>()
    });
    assert_eq!(block_on(future), 4);
    assert_eq!(block_on(sum(vec![1, 2, 3])), Ok(12 + 3 * 4 + 2));
}
