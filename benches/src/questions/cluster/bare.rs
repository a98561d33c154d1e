//! The same work done with `async-nats` and nothing else: publish an item, take it, publish what comes of it, acknowledge
//! the item, read the result. No item is sent again, nothing is checked, and nobody dies.

use std::future::{Future, IntoFuture};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::runtime::Runtime;

/// A client and its workers, each with a connection.
pub(super) struct Bare {
    context: Context,
    results: Option<pull::Stream>,
    sent: u64,
    workers: Vec<Child>,
    runtime: Runtime,
}

/// The variable that makes this program a worker of that kind.
const WORKER: &str = "RUNSPACE_BENCH_BARE_WORKER";

/// In a worker: works until it is killed.
pub(crate) fn serve_if_bare_worker() {
    let Ok(url) = std::env::var(WORKER) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("threads");
    runtime.block_on(async { work(connect(&url).await).await });
    std::process::exit(0)
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It wants to be dropped where there is a runtime.
        let _in_place = self.runtime.enter();
        self.results = None;
        for worker in &mut self.workers {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

impl Bare {
    pub(super) fn start(url: &str, workers: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads");
        let (context, results) = runtime.block_on(async {
            let context = connect(url).await;
            let items = stream("BARE_I", "bare.i", RetentionPolicy::WorkQueue);
            context.create_stream(items).await.expect("a stream");
            let results = stream("BARE_R", "bare.r", RetentionPolicy::Limits);
            context.create_stream(results).await.expect("a stream");
            for (name, stream, ack) in [
                ("workers", "BARE_I", AckPolicy::Explicit),
                ("client", "BARE_R", AckPolicy::All),
            ] {
                let consumer = pull::Config {
                    durable_name: Some(name.to_owned()),
                    ack_policy: ack,
                    max_ack_pending: 10_000,
                    ..pull::Config::default()
                };
                let made = context.create_consumer_on_stream(consumer, stream).await;
                made.expect("a consumer");
            }
            let results = messages(&context, "client", "BARE_R").await;
            (context, results)
        });
        let program = std::env::current_exe().expect("this program");
        let worker = || {
            Command::new(&program)
                .env(WORKER, url)
                .stdin(Stdio::null())
                .spawn()
                .expect("a worker starts")
        };
        Self {
            context,
            results: Some(results),
            sent: 0,
            workers: (0..workers).map(|_| worker()).collect(),
            runtime,
        }
    }

    /// Sends `count` items of `size` bytes, and reads as many results.
    pub(super) fn round(&mut self, count: u64, size: usize) -> u64 {
        let context = self.context.clone();
        let results = self.results.as_mut().expect("until the drop");
        let first = self.sent;
        self.sent += count;
        self.runtime.block_on(async move {
            let payload = Bytes::from(vec![7; size]);
            let publish = async {
                let mut acks = futures_util::stream::FuturesUnordered::new();
                for n in first..first + count {
                    acks.push(send(&context, "bare.i", n, payload.clone()).await);
                    if acks.len() >= 512 {
                        acks.next().await.expect("an answer").expect("kept");
                    }
                }
                while let Some(ack) = acks.next().await {
                    ack.expect("kept");
                }
            };
            let read = async {
                for n in 0..count {
                    let message = results.next().await.expect("a result").expect("a result");
                    if n + 1 == count || n % 64 == 0 {
                        message.ack().await.expect("acknowledged");
                    }
                }
            };
            tokio::join!(publish, read);
        });
        count
    }
}

async fn connect(url: &str) -> Context {
    let client = async_nats::connect(url).await.expect("the server");
    let builder = jetstream::ContextBuilder::new().timeout(Duration::from_secs(5));
    builder.build(client)
}

fn stream(name: &str, subject: &str, retention: RetentionPolicy) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        retention,
        duplicate_window: Duration::from_secs(270),
        allow_direct: true,
        ..Config::default()
    }
}

async fn messages(context: &Context, consumer: &str, stream: &str) -> pull::Stream {
    let consumer: jetstream::consumer::Consumer<pull::Config> = context
        .get_consumer_from_stream(consumer, stream)
        .await
        .expect("a consumer");
    let messages = consumer.stream().max_messages_per_batch(256).messages();
    messages.await.expect("messages")
}

async fn send(
    context: &Context,
    subject: &'static str,
    n: u64,
    payload: Bytes,
) -> impl Future<Output = Result<jetstream::publish::PublishAck, jetstream::context::PublishError>> + Send
{
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", format!("{subject}:{n}").as_str());
    headers.insert("n", n.to_string().as_str());
    let sent = context
        .publish_with_headers(subject, headers, payload)
        .await;
    sent.expect("sent").into_future()
}

async fn work(context: Context) {
    let mut items = messages(&context, "workers", "BARE_I").await;
    while let Some(Ok(item)) = items.next().await {
        let context = context.clone();
        tokio::spawn(async move {
            let number = item.headers.as_ref().and_then(|it| it.get("n"));
            let n = number.and_then(|it| it.as_str().parse().ok()).unwrap_or(0);
            send(&context, "bare.r", n, item.payload.clone())
                .await
                .await
                .expect("kept");
            item.ack().await.expect("acknowledged");
        });
    }
}
