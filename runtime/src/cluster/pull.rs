//! Reading from a durable consumer by pull requests of our own making: as many messages as there is room for.
//!
//! `async_nats` has streams over pulls, of a fixed size each; here the size changes with every message.

use std::time::{Duration, Instant};

use async_nats::{Client, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;

use super::error::ClusterError;

/// How long a request waits on the server.
const EXPIRES: Duration = Duration::from_secs(10);
/// A request of which nothing has been heard for so long after that is gone.
const LATE: Duration = Duration::from_secs(5);

/// What comes of a request.
#[derive(Debug)]
pub(crate) enum Pulled {
    Message(Message),
    /// Something about requests: look again how many are wanted.
    Nothing,
    /// The consumer is not there, or not now.
    Gone,
}

/// The reader of one consumer.
#[derive(Debug)]
pub(crate) struct Pull {
    client: Client,
    subject: String,
    inbox: String,
    subscriber: Subscriber,
    /// How many messages have been asked for and not come.
    asked: usize,
    heard: Instant,
}

impl Pull {
    pub(crate) async fn new(
        client: &Client,
        stream: &str,
        consumer: &str,
    ) -> Result<Self, ClusterError> {
        let inbox = client.new_inbox();
        let subscriber = client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| ClusterError::server("take a subscription", error))?;
        Ok(Self {
            client: client.clone(),
            subject: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            inbox,
            subscriber,
            asked: 0,
            heard: Instant::now(),
        })
    }

    /// Nothing that was asked for comes: the connection is another one.
    pub(crate) fn reset(&mut self) {
        self.asked = 0;
    }

    /// Has `room` messages under way. Small gaps wait until they are worth a request.
    pub(crate) async fn ask(&mut self, room: usize) {
        if self.asked > 0 && self.heard.elapsed() > EXPIRES + LATE {
            self.asked = 0;
        }
        let more = room.saturating_sub(self.asked);
        if more == 0 || more < room / 4 {
            return;
        }
        let expires = EXPIRES.as_nanos();
        let request = format!("{{\"batch\":{more},\"expires\":{expires}}}");
        let sent = self.client.publish_with_reply(
            self.subject.clone(),
            self.inbox.clone(),
            Bytes::from(request),
        );
        if sent.await.is_ok() {
            if self.asked == 0 {
                self.heard = Instant::now();
            }
            self.asked += more;
        }
    }

    /// The next thing that comes.
    pub(crate) async fn next(&mut self) -> Pulled {
        let Some(message) = self.subscriber.next().await else {
            // Only when the connection is closed for good.
            return std::future::pending().await;
        };
        self.took(message)
    }

    /// What is here already.
    pub(crate) fn try_next(&mut self) -> Option<Pulled> {
        use futures_util::FutureExt;
        let message = self.subscriber.next().now_or_never()??;
        Some(self.took(message))
    }

    fn took(&mut self, message: Message) -> Pulled {
        self.heard = Instant::now();
        let Some(status) = message.status else {
            self.asked = self.asked.saturating_sub(1);
            return Pulled::Message(message);
        };
        if status == StatusCode::IDLE_HEARTBEAT {
            return Pulled::Nothing;
        }
        let left = message
            .headers
            .as_ref()
            .and_then(|it| it.get("Nats-Pending-Messages"))
            .and_then(|it| it.as_str().parse::<usize>().ok());
        self.asked = match left {
            Some(left) => self.asked.saturating_sub(left),
            None => 0,
        };
        let deleted = message.description.as_deref() == Some("Consumer Deleted");
        if status == StatusCode::NO_RESPONDERS || deleted {
            self.asked = 0;
            return Pulled::Gone;
        }
        Pulled::Nothing
    }
}

/// What the server has done with a message for a stream.
#[derive(Debug)]
pub(crate) enum Kept {
    /// It is kept, or was already, under this number.
    At(u64),
    /// The stream is not there, or takes nothing now.
    Not,
}

/// Reads the answer to a message that was published to a stream.
pub(crate) fn kept(message: &Message) -> Kept {
    #[derive(serde::Deserialize)]
    struct Answer {
        seq: Option<u64>,
        error: Option<serde::de::IgnoredAny>,
    }
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Kept::Not;
    }
    match serde_json::from_slice::<Answer>(&message.payload) {
        Ok(Answer {
            seq: Some(seq),
            error: None,
        }) => Kept::At(seq),
        _ => Kept::Not,
    }
}
