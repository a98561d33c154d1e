//! What a run has on the server.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use super::super::connect::Connection;
use super::super::error::ClusterError;
use super::super::names::{CLIENT, Names, RUNS, WORKERS};
use super::super::options::Settings;

/// The two streams of a run, and their consumers.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    connection: Arc<Connection>,
    pub(crate) names: Names,
    ack_wait: Duration,
    max_deliver: u32,
    replicas: usize,
    throttle: Option<usize>,
    /// See [`Announcement::in_order`](super::super::message::Announcement::in_order).
    pub(crate) in_order: bool,
}

impl Streams {
    pub(crate) fn new(
        connection: &Arc<Connection>,
        settings: &Settings,
        names: Names,
        throttle: Option<usize>,
        in_order: bool,
    ) -> Self {
        Self {
            connection: Arc::clone(connection),
            names,
            ack_wait: settings.ack_wait,
            max_deliver: settings.max_deliver,
            replicas: settings.replicas,
            throttle,
            in_order,
        }
    }

    fn context(&self) -> &Context {
        &self.connection.context
    }

    /// For how long the server knows which messages it has had: longer than it can take to deliver one as often
    /// as is allowed.
    fn window(&self) -> Duration {
        /// The server counts in nanoseconds, of 64 bits with a sign.
        const LONGEST: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());
        let deliveries = self.ack_wait.saturating_mul(self.max_deliver);
        let window = deliveries.saturating_add(Duration::from_secs(120));
        window.min(LONGEST)
    }

    fn stream(&self, name: String, subjects: Vec<String>, retention: RetentionPolicy) -> Config {
        Config {
            name,
            subjects,
            retention,
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            duplicate_window: self.window(),
            num_replicas: self.replicas,
            allow_direct: true,
            ..Config::default()
        }
    }

    /// The consumer that all workers share. The server lets no more than the throttle be with them at once.
    fn workers(&self) -> pull::Config {
        let limit = self.throttle.and_then(|it| i64::try_from(it).ok());
        pull::Config {
            durable_name: Some(WORKERS.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.ack_wait,
            max_deliver: i64::from(self.max_deliver),
            max_ack_pending: limit.unwrap_or(-1),
            max_waiting: 10_000,
            num_replicas: self.replicas,
            ..pull::Config::default()
        }
    }

    fn client(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(CLIENT.to_owned()),
            filter_subject: self.names.result_subject(),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::All,
            ack_wait: Duration::from_secs(30),
            max_ack_pending: -1,
            num_replicas: self.replicas,
            ..pull::Config::default()
        }
    }

    /// Makes what is not there.
    pub(crate) async fn make(&self) -> Result<(), ClusterError> {
        let one = async {
            let retention = RetentionPolicy::WorkQueue;
            let names = &self.names;
            let stream = self.stream(names.items(), vec![names.item_subject()], retention);
            self.make_one(stream, self.workers()).await
        };
        let other = async {
            let retention = RetentionPolicy::Limits;
            let names = &self.names;
            let mut subjects = vec![names.result_subject()];
            if self.in_order {
                subjects.push(names.far_subjects());
            }
            let stream = self.stream(names.results(), subjects, retention);
            self.make_one(stream, self.client()).await
        };
        tokio::try_join!(one, other).map(drop)
    }

    async fn make_one(&self, stream: Config, consumer: pull::Config) -> Result<(), ClusterError> {
        let name = stream.name.clone();
        self.context()
            .create_stream(stream)
            .await
            .map_err(|error| ClusterError::server("make a stream", error))?;
        self.context()
            .create_consumer_on_stream(consumer, name)
            .await
            .map_err(|error| ClusterError::server("make a consumer", error))?;
        Ok(())
    }

    /// Makes a consumer for the far outputs of an item, for as long as somebody asks it.
    pub(crate) async fn make_far(
        &self,
        consumer: &str,
        index: u64,
        attempt: u32,
    ) -> Result<(), ClusterError> {
        let config = pull::Config {
            name: Some(consumer.to_owned()),
            filter_subject: self.names.far_subject(index, attempt),
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: Duration::from_secs(60),
            ..pull::Config::default()
        };
        self.context()
            .create_consumer_on_stream(config, self.names.results())
            .await
            .map(drop)
            .map_err(|error| ClusterError::server("make a consumer", error))
    }

    /// The far outputs of an item have been read.
    pub(crate) async fn remove_far(&self, consumer: &str, index: u64, attempt: u32) {
        if let Ok(stream) = self
            .context()
            .get_stream_no_info(self.names.results())
            .await
        {
            let _ = stream.delete_consumer(consumer).await;
            let subject = self.names.far_subject(index, attempt);
            let _ = stream.purge().filter(subject).await;
        }
    }

    /// Changes how many items may be with workers at once.
    pub(crate) async fn set_throttle(&mut self, throttle: usize) {
        self.throttle = Some(throttle);
        let consumer = self.workers();
        let _ = self
            .context()
            .create_consumer_on_stream(consumer, self.names.items())
            .await;
    }

    /// Deletes the stream of items: nothing is delivered any more.
    pub(crate) async fn remove_items(&self) -> bool {
        self.context()
            .delete_stream(self.names.items())
            .await
            .is_ok()
    }

    /// Deletes everything.
    pub(crate) async fn remove(&self) {
        let names = &self.names;
        let announcement = async {
            if let Ok(runs) = self.context().get_stream_no_info(RUNS).await {
                let _ = runs.purge().filter(names.announcement()).await;
            }
        };
        let items = self.context().delete_stream(names.items());
        let results = self.context().delete_stream(names.results());
        // Which a worker may have made.
        let bucket = self.context().delete_stream(names.bucket_stream());
        announcement.await;
        let _ = tokio::join!(items, results, bucket);
    }
}
