//! The task between a run and the server.
//!
//! It keeps each item until its result is there: what the server has not acknowledged is published again, and so is, after a
//! new connection, everything that has no result. The server knows messages by their ids and keeps one of each.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use async_nats::{Client, HeaderMap, Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::MissedTickBehavior;

use super::super::connect::Connection;
use super::super::error::{ClusterError, ClusterErrorKind};
use super::super::key::{Key, Sealed};
use super::super::message::{
    Build, Control, InHand, ItemHead, ResultHead, Said, Stored, WorkerEvent, WorkerNote, read,
    write,
};
use super::super::names::{CLIENT, WORKERS};
use super::super::options::Settings;
use super::super::pull::{Kept, Pull, Pulled, kept};
use super::super::store::{LARGEST, Store};
use super::far::Reading;
use super::streams::Streams;
use super::{Command, News, Shared};

/// How many results are asked for at once.
const BATCH: usize = 1024;
/// A message to the server that has no answer after so long is sent again.
const AGAIN: Duration = Duration::from_secs(2);
/// How often an announcement is renewed; see [`ANNOUNCED`](super::super::connect::ANNOUNCED).
const RENEW: Duration = Duration::from_secs(30);
/// A worker that has said nothing for so long is lost. It speaks every two seconds.
const SILENT: Duration = Duration::from_secs(10);
/// How long a run without workers waits before it says so.
const LONELY: Duration = Duration::from_secs(10);
/// How long workers have to say what they have in hand, and bodies that were stopped to end.
const TO_ANSWER: Duration = Duration::from_secs(1);
const TO_STOP: Duration = Duration::from_secs(2);
/// Results that have been read are deleted in lots of about so many.
const LOT: u64 = 4096;

/// An item that has no end yet.
pub(super) struct Pending {
    pub(super) attempt: u32,
    id: String,
    message: Bytes,
    /// Where its value is, if that is not in the message.
    stored: Option<Stored>,
    /// Where it is in the stream; `None` while the server has not said that it has it.
    place: Option<u64>,
    sent: Instant,
    /// How often it was published under a new id, since the server had lost it.
    copies: u32,
    /// The number of the next output to be passed on, and those that came before it.
    pub(super) next: u64,
    pub(super) early: BTreeMap<u64, Bytes>,
    /// The outputs that are being fetched from the bucket.
    pub(super) fetching: BTreeSet<u64>,
    /// Its end, while outputs are missing.
    pub(super) end: Option<(ResultHead, Bytes)>,
    /// The worker that has it, once the run is closed.
    holder: Option<u64>,
}

/// A worker that serves the run.
struct Known {
    slots: usize,
    heard: Instant,
}

/// The end of a run before its items have ended.
struct Closing {
    stop: bool,
    since: Instant,
    /// Where workers say what they have in hand, those who have, and whether all had the time to.
    answers: Option<Subscriber>,
    answered: HashSet<u64>,
    settled: bool,
}

/// What is done beside, and comes back.
enum Beside {
    /// The value of an item is in the bucket.
    Put {
        index: u64,
        attempt: u32,
        limit: Option<Duration>,
        stored: Result<Stored, ClusterError>,
    },
    /// The value of a result is here.
    Got {
        head: ResultHead,
        value: Result<Bytes, ClusterError>,
    },
    /// How things are on the server.
    Looked(Look),
    /// The streams are there (again).
    Made,
    /// These messages have been delivered as often as is allowed.
    Dead(Vec<(u64, Option<(u64, u32)>)>),
}

/// How things are on the server, when nothing has come for a while.
#[derive(Debug)]
enum Look {
    /// All is well, or cannot be seen.
    Fine,
    /// There are no streams.
    Missing,
    /// Nothing is under way, and these items lie there.
    Dead(Vec<(u64, Option<(u64, u32)>)>),
    /// Nothing is under way, and nothing lies there.
    Empty,
}

pub(crate) struct Actor {
    connection: Arc<Connection>,
    pub(super) client: Client,
    settings: Settings,
    key: Key,
    announcement: Bytes,
    pub(super) streams: Streams,
    store: Arc<Store>,
    shared: Arc<Shared>,
    pull: Pull,
    inbox: String,
    answers: Subscriber,
    notes: Subscriber,
    advisories: Subscriber,
    beside: (UnboundedSender<Beside>, UnboundedReceiver<Beside>),
    pub(super) pending: HashMap<u64, Pending>,
    pub(super) reading: Reading,
    workers: HashMap<u64, Known>,
    refused: HashMap<u64, (String, Build)>,
    slots: usize,
    closing: Option<Closing>,
    started: Instant,
    /// When something has last come of any item.
    moved: Instant,
    looking: bool,
    announced: Instant,
    out_since: Option<Instant>,
    said_lonely: bool,
    /// The last message of results that has not been acknowledged.
    to_ack: Option<Message>,
    read: u64,
    deleted: u64,
    news: Vec<News>,
    over: bool,
}

impl Actor {
    pub(super) async fn open(
        connection: Arc<Connection>,
        settings: Settings,
        key: Key,
        announcement: Bytes,
        streams: Streams,
        store: Arc<Store>,
        shared: Arc<Shared>,
    ) -> Result<Self, ClusterError> {
        let client = connection.client.clone();
        let subscribe = |subject: String| {
            let client = client.clone();
            async move {
                let it = client.subscribe(subject).await;
                it.map_err(|error| ClusterError::server("take a subscription", error))
            }
        };
        let names = &streams.names;
        let inbox = client.new_inbox();
        let advisory = format!(
            "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{}.{WORKERS}",
            names.items()
        );
        let answers = subscribe(format!("{inbox}.>")).await?;
        let notes = subscribe(names.notes()).await?;
        let advisories = subscribe(advisory).await?;
        let pull = Pull::new(&client, &names.results(), CLIENT).await?;
        let now = Instant::now();
        Ok(Self {
            connection,
            client,
            settings,
            key,
            announcement,
            streams,
            store,
            shared,
            pull,
            inbox,
            answers,
            notes,
            advisories,
            beside: unbounded_channel(),
            pending: HashMap::new(),
            reading: Reading::default(),
            workers: HashMap::new(),
            refused: HashMap::new(),
            slots: 0,
            closing: None,
            started: now,
            moved: now,
            looking: false,
            announced: now,
            out_since: None,
            said_lonely: false,
            to_ack: None,
            read: 0,
            deleted: 0,
            news: Vec::new(),
            over: false,
        })
    }

    /// Tells workers that there is a run.
    pub(super) async fn announce(&self) -> Result<(), ClusterError> {
        let subject = self.streams.names.announcement();
        let sent = self
            .connection
            .context
            .publish(subject, self.announcement.clone())
            .await
            .map_err(|error| ClusterError::server("announce a run", error))?;
        let kept = sent.await;
        kept.map(drop)
            .map_err(|error| ClusterError::server("announce a run", error))
    }

    pub(super) async fn run(mut self, mut commands: UnboundedReceiver<Command>) {
        let mut look = tokio::time::interval(Duration::from_millis(100));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connected = self.connection.connected.clone();
        connected.mark_unchanged();
        let done: Option<Sender<()>> = loop {
            if !self.shared.full.load(Ordering::SeqCst) {
                self.pull.ask(BATCH).await;
            }
            self.ask_far().await;
            tokio::select! {
                command = commands.recv() => {
                    let Some(command) = command else { break None };
                    if let Some(done) = self.act(command).await {
                        break Some(done);
                    }
                    while let Ok(command) = commands.try_recv() {
                        if let Some(done) = self.act(command).await {
                            self.tell();
                            return self.finish(Some(done)).await;
                        }
                    }
                }
                pulled = self.pull.next() => {
                    self.pulled(pulled);
                    while let Some(pulled) = self.pull.try_next() {
                        self.pulled(pulled);
                    }
                    self.acknowledge().await;
                }
                pulled = self.reading.next() => {
                    self.pulled_far(pulled);
                    while let Some(pulled) = self.reading.try_next() {
                        self.pulled_far(pulled);
                    }
                }
                Some(answer) = self.answers.next() => self.answered(&answer),
                Some(note) = self.notes.next() => self.noted(&note),
                Some(advisory) = self.advisories.next() => self.advised(&advisory),
                Some(beside) = self.beside.1.recv() => self.done_beside(beside).await,
                answer = in_hand(&mut self.closing) => self.settle(&answer),
                _ = look.tick() => self.look().await,
                changed = connected.changed() => {
                    let now = *connected.borrow_and_update();
                    if changed.is_ok() && now.1 {
                        self.reconnected();
                    }
                }
            }
            self.tell();
        };
        self.finish(done).await;
    }

    /// Hands on what there is to say.
    fn tell(&mut self) {
        if !self.news.is_empty() {
            self.shared.tell_all(self.news.drain(..));
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        let now = *self.connection.connected.borrow();
        now.1 || now.0 == 0
    }

    async fn act(&mut self, command: Command) -> Option<Sender<()>> {
        match command {
            Command::Item {
                index,
                attempt,
                limit,
                value,
            } => self.give(index, attempt, limit, value).await,
            Command::Throttle(throttle) => {
                let mut streams = self.streams.clone();
                streams.set_throttle(throttle).await;
                self.streams = streams;
            }
            Command::Close { stop } => self.close(stop).await,
            Command::Room => {}
            Command::Turn(turn) => self.reading.turn = Some(turn),
            Command::Finish(done) => return Some(done),
        }
        None
    }

    async fn give(&mut self, index: u64, attempt: u32, limit: Option<Duration>, value: Vec<u8>) {
        if self.closing.is_some() || self.over {
            return self.news.push(News::NotRun { index, attempt });
        }
        if self.pending.is_empty() {
            self.moved = Instant::now();
        }
        let head = ItemHead {
            index,
            attempt,
            limit,
            stored: None,
        };
        let large = value.len() > LARGEST;
        let inline: &[u8] = if large { &[] } else { &value };
        let message = match write(&self.key, Sealed::Item, &head, inline) {
            Ok(message) => message,
            Err(error) => {
                return self.news.push(News::Failed {
                    index,
                    attempt,
                    error,
                });
            }
        };
        let pending = Pending {
            attempt,
            id: self.streams.names.id(index, attempt),
            message,
            stored: None,
            place: None,
            sent: Instant::now(),
            copies: 0,
            next: 0,
            early: BTreeMap::new(),
            fetching: BTreeSet::new(),
            end: None,
            holder: None,
        };
        if !large {
            self.transmit(index, &pending).await;
            self.pending.insert(index, pending);
            return;
        }
        // Nothing is sent before the value is where its message says.
        self.pending.insert(
            index,
            Pending {
                message: Bytes::new(),
                ..pending
            },
        );
        let (store, tell) = (Arc::clone(&self.store), self.beside.0.clone());
        tokio::spawn(async move {
            let name = format!("i{index}.{attempt}");
            let mut stored = store.put(name.clone(), &value).await;
            for _ in 0..30 {
                if stored.is_ok() {
                    break;
                }
                tokio::time::sleep(AGAIN).await;
                stored = store.put(name.clone(), &value).await;
            }
            let _ = tell.send(Beside::Put {
                index,
                attempt,
                limit,
                stored,
            });
        });
    }

    /// Publishes an item, if there is a connection; a new one sends all again.
    async fn transmit(&self, index: u64, pending: &Pending) {
        if !self.is_connected() || pending.message.is_empty() {
            return;
        }
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", pending.id.as_str());
        let reply = format!("{}.{index}.{}", self.inbox, pending.attempt);
        let subject = self.streams.names.item_subject();
        let message = pending.message.clone();
        let sent = self
            .client
            .publish_with_reply_and_headers(subject, reply, headers, message);
        let _ = sent.await;
    }

    async fn transmit_all(&mut self, which: impl Fn(&Pending) -> bool) {
        let now = Instant::now();
        let all: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, it)| it.end.is_none() && which(it))
            .map(|(index, _)| *index)
            .collect();
        for index in all {
            if let Some(pending) = self.pending.get_mut(&index) {
                pending.sent = now;
            }
            if let Some(pending) = self.pending.get(&index) {
                self.transmit(index, pending).await;
            }
        }
    }

    /// The server has said something to an item that was published.
    fn answered(&mut self, answer: &Message) {
        let mut parts = answer.subject.rsplit('.');
        let (Some(attempt), Some(index)) = (parts.next(), parts.next()) else {
            return;
        };
        let (Ok(attempt), Ok(index)) = (attempt.parse::<u32>(), index.parse::<u64>()) else {
            return;
        };
        let Some(pending) = self
            .pending
            .get_mut(&index)
            .filter(|it| it.attempt == attempt)
        else {
            return;
        };
        match kept(answer) {
            Kept::At(place) => pending.place = Some(place),
            // The next look sees whether the stream is there.
            Kept::Not => pending.place = None,
        }
    }

    /// Something has come of a request for results.
    fn pulled(&mut self, pulled: Pulled) {
        let Pulled::Message(message) = pulled else {
            return;
        };
        self.read += 1;
        self.read_result(&message);
        self.to_ack = Some(message);
    }

    pub(super) fn read_result(&mut self, message: &Message) {
        if let Some((head, value)) = read::<ResultHead>(&self.key, Sealed::Result, &message.payload)
        {
            match &head.stored {
                None => self.take(head, value),
                Some(stored) => {
                    if !self.is_wanted(&head) {
                        return;
                    }
                    let (store, tell) = (Arc::clone(&self.store), self.beside.0.clone());
                    let stored = stored.clone();
                    tokio::spawn(async move {
                        let mut value = store.get(&stored).await;
                        for _ in 0..30 {
                            if value.is_ok() {
                                break;
                            }
                            tokio::time::sleep(AGAIN).await;
                            value = store.get(&stored).await;
                        }
                        store.remove(&stored).await;
                        let _ = tell.send(Beside::Got { head, value });
                    });
                }
            }
        }
    }

    /// Whether something large is to be fetched: an output may be read twice, and is in the bucket once.
    fn is_wanted(&mut self, head: &ResultHead) -> bool {
        let is_it = |it: &&mut Pending| it.attempt == head.attempt;
        let Some(pending) = self.pending.get_mut(&head.index).filter(is_it) else {
            return false;
        };
        if !matches!(head.said, Said::Output) {
            return true;
        }
        let number = head.number;
        let is_new = number >= pending.next && !pending.early.contains_key(&number);
        is_new && pending.fetching.insert(number)
    }

    /// It has been fetched.
    fn has_come(&mut self, head: &ResultHead) {
        let is_it = |it: &&mut Pending| it.attempt == head.attempt;
        if let Some(pending) = self.pending.get_mut(&head.index).filter(is_it) {
            pending.fetching.remove(&head.number);
        }
    }

    /// Takes a result in.
    fn take(&mut self, head: ResultHead, value: Bytes) {
        self.moved = Instant::now();
        let (index, attempt) = (head.index, head.attempt);
        let Some(pending) = self
            .pending
            .get_mut(&index)
            .filter(|it| it.attempt == attempt)
        else {
            return; // it has had its end
        };
        match head.said {
            Said::Note(_) => return self.say(head, value),
            Said::Output if head.number >= pending.next => {
                pending.early.insert(head.number, value);
            }
            // The same from a worker that was given the item after another.
            Said::Output => {}
            _ => {
                // One that waits for outputs gives way to one that says why they do not come.
                if pending.end.is_none() || matches!(head.said, Said::Crashed(_)) {
                    pending.end = Some((head, value));
                }
            }
        }
        while let Some(value) = pending.early.remove(&pending.next) {
            pending.next += 1;
            self.news.push(News::Said {
                index,
                attempt,
                said: Said::Output,
                took: Duration::ZERO,
                value,
            });
        }
        let complete = |(head, _): &(ResultHead, Bytes)| head.number <= pending.next;
        if pending.end.as_ref().is_some_and(complete)
            && let Some(pending) = self.pending.remove(&index)
            && let Some((head, value)) = pending.end
        {
            self.let_go(pending.stored);
            match head.said {
                Said::NotRun => self.news.push(News::NotRun { index, attempt }),
                _ => self.say(head, value),
            }
        }
    }

    fn say(&mut self, head: ResultHead, value: Bytes) {
        self.news.push(News::Said {
            index: head.index,
            attempt: head.attempt,
            said: head.said,
            took: head.took,
            value,
        });
    }

    /// Nobody needs the value in the bucket any more.
    fn let_go(&self, stored: Option<Stored>) {
        if let Some(stored) = stored {
            let store = Arc::clone(&self.store);
            tokio::spawn(async move { store.remove(&stored).await });
        }
    }

    /// Acknowledges what has been read, and has it deleted now and then.
    async fn acknowledge(&mut self) {
        let Some(message) = self.to_ack.take() else {
            return;
        };
        let Some(reply) = message.reply.clone() else {
            return;
        };
        let _ = self.client.publish(reply, "+ACK".into()).await;
        if self.read - self.deleted < LOT {
            return;
        }
        self.deleted = self.read;
        let context = self.connection.context.clone();
        let stream = self.streams.names.results();
        let subject = self.streams.names.result_subject();
        tokio::spawn(async move {
            let message = async_nats::jetstream::Message {
                message,
                context: context.clone(),
            };
            if let Ok(info) = message.info()
                && let Ok(stream) = context.get_stream_no_info(stream).await
            {
                // Up to, and without.
                let purge = stream.purge().filter(subject);
                let _ = purge.sequence(info.stream_sequence).await;
            }
        });
    }

    /// A worker has said something.
    fn noted(&mut self, note: &Message) {
        let Some((note, _)) = read::<WorkerNote>(&self.key, Sealed::Note, &note.payload) else {
            return;
        };
        let WorkerNote {
            worker,
            place,
            event,
        } = note;
        match event {
            WorkerEvent::Serves(slots) => {
                let heard = Instant::now();
                self.workers.insert(worker, Known { slots, heard });
            }
            WorkerEvent::Leaves => drop(self.workers.remove(&worker)),
            WorkerEvent::Refuses(build) => drop(self.refused.insert(worker, (place, build))),
            WorkerEvent::Cannot(text) => {
                eprintln!(
                    "runspace: {place} cannot serve the run {}: {text}",
                    self.streams.names.run
                );
            }
        }
        self.count_slots();
    }

    fn count_slots(&mut self) {
        // A worker may say that it has any number of them.
        let slots = self.workers.values().map(|it| it.slots);
        let slots = slots.fold(0, usize::saturating_add);
        if slots != self.slots {
            self.slots = slots;
            self.news.push(News::Slots(slots));
        }
    }

    /// An item has been delivered as often as is allowed.
    fn advised(&mut self, advisory: &Message) {
        #[derive(serde::Deserialize)]
        struct Advisory {
            stream_seq: u64,
        }
        if let Ok(advisory) = serde_json::from_slice::<Advisory>(&advisory.payload) {
            let place = advisory.stream_seq;
            let known = self.pending.iter().find(|(_, it)| it.place == Some(place));
            let item = known.map(|(index, it)| (*index, it.attempt));
            self.bury(vec![(place, item)]);
        }
    }

    /// Finds out which items lie at these places, and takes them out of the stream.
    fn bury(&self, dead: Vec<(u64, Option<(u64, u32)>)>) {
        let context = self.connection.context.clone();
        let (stream, key) = (self.streams.names.items(), self.key.clone());
        let tell = self.beside.0.clone();
        tokio::spawn(async move {
            let mut found = Vec::new();
            if let Ok(stream) = context.get_stream_no_info(stream).await {
                for (place, item) in dead {
                    let message = stream.get_raw_message(place).await.ok();
                    let read =
                        message.and_then(|it| read::<ItemHead>(&key, Sealed::Item, &it.payload));
                    let item = item.or(read.map(|(head, _)| (head.index, head.attempt)));
                    let _ = stream.delete_message(place).await;
                    found.push((place, item));
                }
            }
            let _ = tell.send(Beside::Dead(found));
        });
    }

    async fn done_beside(&mut self, beside: Beside) {
        match beside {
            Beside::Put {
                index,
                attempt,
                limit,
                stored,
            } => {
                let head = stored.map(|stored| ItemHead {
                    index,
                    attempt,
                    limit,
                    stored: Some(stored),
                });
                let message = head.and_then(|head| {
                    let message = write(&self.key, Sealed::Item, &head, &[])?;
                    Ok((message, head.stored))
                });
                let Some(pending) = self.pending.get_mut(&index) else {
                    return;
                };
                match message {
                    Ok((message, stored)) => {
                        pending.message = message;
                        pending.stored = stored;
                        pending.sent = Instant::now();
                    }
                    Err(error) => {
                        self.pending.remove(&index);
                        return self.news.push(News::Failed {
                            index,
                            attempt,
                            error,
                        });
                    }
                }
                if let Some(pending) = self.pending.get(&index) {
                    self.transmit(index, pending).await;
                }
            }
            Beside::Got { head, value } => {
                self.has_come(&head);
                match value {
                    Ok(value) => self.take(head, value),
                    Err(error) => self.cannot_get(&head, error),
                }
            }
            Beside::Dead(dead) => self.end_dead(dead),
            Beside::Made => {
                self.looking = false;
                self.pull.reset();
                self.reading.lose();
                self.transmit_all(|_| true).await;
                let _ = tokio::time::timeout(AGAIN, self.announce()).await;
            }
            Beside::Looked(look) => self.looked(look).await,
        }
    }

    /// A large value cannot be had: the item ends without it.
    fn cannot_get(&mut self, head: &ResultHead, error: ClusterError) {
        let (index, attempt) = (head.index, head.attempt);
        let is_it = |it: &Pending| it.attempt == attempt;
        if self.pending.get(&index).is_some_and(is_it) {
            self.pending.remove(&index);
            self.news.push(News::Failed {
                index,
                attempt,
                error,
            });
        }
    }

    fn end_dead(&mut self, dead: Vec<(u64, Option<(u64, u32)>)>) {
        for (_, item) in dead {
            let Some((index, attempt)) = item else {
                continue;
            };
            let is_it = |it: &Pending| it.attempt == attempt && it.end.is_none();
            if !self.pending.get(&index).is_some_and(is_it) {
                continue;
            }
            self.moved = Instant::now();
            self.pending.remove(&index);
            let text = format!(
                "it was delivered to workers {} times, and none came to its end with it: each died, or lost its \
                 connection (`max_deliver` sets how often, `isolate` keeps a crash from its worker)",
                self.settings.max_deliver
            );
            let error = ClusterError::new(ClusterErrorKind::Poison, text);
            self.news.push(News::Failed {
                index,
                attempt,
                error,
            });
        }
    }

    /// What time brings.
    async fn look(&mut self) {
        let now = Instant::now();
        if self.is_connected() {
            self.out_since = None;
        } else {
            let since = *self.out_since.get_or_insert(now);
            if now.duration_since(since) > self.settings.outage {
                let text = format!(
                    "the NATS server at {} was out of reach for {:?}",
                    self.connection.url, self.settings.outage
                );
                self.fail(ClusterErrorKind::Outage, text);
            }
            return self.end_of_closing(now);
        }
        self.transmit_all(|it| it.place.is_none() && now.duration_since(it.sent) > AGAIN)
            .await;
        if now.duration_since(self.announced) > RENEW {
            self.announced = now;
            let renewed = tokio::time::timeout(AGAIN, self.announce()).await;
            if !matches!(renewed, Ok(Ok(()))) {
                self.make_again();
            }
        }
        self.workers
            .retain(|_, it| now.duration_since(it.heard) < SILENT);
        self.count_slots();
        self.look_for_workers(now);
        self.end_of_closing(now);
        // Nothing has come for a while: is it still under way?
        let quiet = self
            .settings
            .ack_wait
            .clamp(Duration::from_secs(1), Duration::from_secs(30));
        if !self.pending.is_empty()
            && self.closing.is_none()
            && !self.looking
            && now.duration_since(self.moved) > quiet
        {
            self.moved = now;
            self.look_at_server();
        }
    }

    fn fail(&mut self, kind: ClusterErrorKind, text: String) {
        if !std::mem::replace(&mut self.over, true) {
            self.news.push(News::Over(ClusterError::new(kind, text)));
        }
    }

    fn look_for_workers(&mut self, now: Instant) {
        if !self.workers.is_empty() {
            self.started = now;
            return;
        }
        let waited = now.duration_since(self.started);
        let text = || {
            let mut text = format!(
                "no worker of this program (build {}) serves the run {} at {}; start one with \
                 RUNSPACE_WORKER={} and the same RUNSPACE_KEY",
                Build::own(),
                self.streams.names.run,
                self.connection.url,
                self.connection.url
            );
            for (place, build) in self.refused.values() {
                text.push_str(&format!("; the worker at {place} is of build {build}"));
            }
            text
        };
        if waited > LONELY && !self.said_lonely {
            eprintln!("runspace: {}", text());
            self.said_lonely = true;
        }
        if self.settings.worker_timeout.is_some_and(|it| waited > it) && !self.pending.is_empty() {
            let text = text();
            self.fail(ClusterErrorKind::NoWorker, text);
        }
    }

    /// Looks at the server whether anything is under way.
    fn look_at_server(&mut self) {
        self.looking = true;
        let context = self.connection.context.clone();
        let (items, results) = (self.streams.names.items(), self.streams.names.results());
        let (key, tell) = (self.key.clone(), self.beside.0.clone());
        tokio::spawn(async move {
            let look = look_at(&context, &items, &results, &key);
            let look = tokio::time::timeout(Duration::from_secs(10), look).await;
            let _ = tell.send(Beside::Looked(look.unwrap_or(Look::Fine)));
        });
    }

    async fn looked(&mut self, look: Look) {
        self.looking = false;
        match look {
            Look::Fine => {}
            Look::Missing => self.make_again(),
            Look::Dead(dead) => self.bury(dead),
            Look::Empty => {
                // What the server has lost with its last breath; it would take the same ids for what it had.
                for pending in self.pending.values_mut() {
                    if pending.place.is_none() || pending.end.is_some() {
                        continue;
                    }
                    pending.copies += 1;
                    pending.place = None;
                    pending.id = format!("{}+{}", pending.id, pending.copies);
                }
                self.transmit_all(|it| it.place.is_none()).await;
            }
        }
    }

    /// Makes the streams if they are not there, and sends everything that has no result.
    fn make_again(&mut self) {
        if self.looking || self.closing.is_some() {
            return;
        }
        self.looking = true;
        let (connection, streams) = (Arc::clone(&self.connection), self.streams.clone());
        let tell = self.beside.0.clone();
        tokio::spawn(async move {
            let make = async {
                while connection.make_runs().await.is_err() || streams.make().await.is_err() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(30), make).await;
            let _ = tell.send(Beside::Made);
        });
    }

    /// There is a new connection.
    fn reconnected(&mut self) {
        self.out_since = None;
        self.pull.reset();
        self.reading.lose();
        self.moved = Instant::now();
        for worker in self.workers.values_mut() {
            worker.heard = Instant::now();
        }
        self.make_again();
    }

    /// Has no item start any more.
    async fn close(&mut self, stop: bool) {
        if let Some(closing) = &mut self.closing {
            if stop && !closing.stop {
                closing.stop = true;
                closing.since = Instant::now();
                self.control(Control::Stop, None).await;
            }
            return;
        }
        // First: nothing is delivered any more.
        let _ = tokio::time::timeout(AGAIN, self.streams.remove_items()).await;
        let inbox = self.client.new_inbox();
        let answers = self.client.subscribe(inbox.clone()).await.ok();
        self.closing = Some(Closing {
            stop,
            since: Instant::now(),
            answers,
            answered: HashSet::new(),
            settled: false,
        });
        let control = if stop { Control::Stop } else { Control::Close };
        self.control(control, Some(inbox.into())).await;
        self.settle_if_all();
    }

    async fn control(&self, control: Control, reply: Option<Subject>) {
        let Ok(message) = write(&self.key, Sealed::Control, &control, &[]) else {
            return;
        };
        let subject = self.streams.names.control();
        let _ = match reply {
            Some(reply) => {
                self.client
                    .publish_with_reply(subject, reply, message)
                    .await
            }
            None => self.client.publish(subject, message).await,
        };
    }

    /// A worker has said what it has in hand.
    fn settle(&mut self, answer: &Message) {
        let Some((answer, _)) = read::<InHand>(&self.key, Sealed::Note, &answer.payload) else {
            return;
        };
        for index in answer.items {
            if let Some(pending) = self.pending.get_mut(&index) {
                pending.holder = Some(answer.worker);
            }
        }
        if let Some(closing) = &mut self.closing {
            closing.answered.insert(answer.worker);
        }
        self.settle_if_all();
    }

    fn settle_if_all(&mut self) {
        let workers = &self.workers;
        let all = |it: &Closing| workers.keys().all(|worker| it.answered.contains(worker));
        if self.closing.as_ref().is_some_and(all) {
            self.settle_rest();
        }
    }

    /// What no worker has in hand does not run.
    fn settle_rest(&mut self) {
        let Some(closing) = &mut self.closing else {
            return;
        };
        if std::mem::replace(&mut closing.settled, true) {
            return;
        }
        let free = self
            .pending
            .extract_if(|_, it| it.holder.is_none() && it.end.is_none());
        for (index, pending) in free {
            let attempt = pending.attempt;
            self.news.push(News::NotRun { index, attempt });
        }
    }

    /// What is left of a run that has been closed.
    fn end_of_closing(&mut self, now: Instant) {
        let Some(closing) = &self.closing else {
            return;
        };
        let (stop, waited) = (closing.stop, now.duration_since(closing.since));
        if waited > TO_ANSWER {
            self.settle_rest();
        }
        if stop && waited > TO_STOP {
            for (index, pending) in self.pending.drain() {
                self.news.push(News::Said {
                    index,
                    attempt: pending.attempt,
                    said: Said::Stopped,
                    took: Duration::ZERO,
                    value: Bytes::new(),
                });
            }
            return;
        }
        // Nobody gives their items to others any more.
        let workers = &self.workers;
        let lost = self.pending.extract_if(|_, it| {
            let is_lost = |worker: u64| !workers.contains_key(&worker);
            it.end.is_none() && it.holder.is_some_and(is_lost)
        });
        for (index, pending) in lost {
            let text = "its worker was lost while the call was coming to its end";
            self.news.push(News::Failed {
                index,
                attempt: pending.attempt,
                error: ClusterError::new(ClusterErrorKind::WorkerLost, text),
            });
        }
    }

    /// The run is over.
    async fn finish(mut self, done: Option<Sender<()>>) {
        let end = async {
            self.control(Control::End, None).await;
            self.streams.remove().await;
            // Workers look up whether there is such a run, when they find nothing to take.
            self.control(Control::End, None).await;
            let _ = self.client.flush().await;
        };
        let _ = tokio::time::timeout(super::PATIENCE, end).await;
        self.tell();
        if let Some(done) = done {
            let _ = done.send(());
        }
    }
}

/// The next answer of a worker to the closing of the run.
async fn in_hand(closing: &mut Option<Closing>) -> Message {
    if let Some(closing) = closing
        && let Some(answers) = &mut closing.answers
        && let Some(answer) = answers.next().await
        && answer.status.is_none()
    {
        return answer;
    }
    std::future::pending().await
}

async fn look_at(
    context: &async_nats::jetstream::Context,
    items: &str,
    results: &str,
    key: &Key,
) -> Look {
    use async_nats::jetstream::ErrorCode;
    use async_nats::jetstream::context::GetStreamErrorKind;
    let stream = match context.get_stream(items).await {
        Ok(stream) => stream,
        Err(error) => {
            let missing = matches!(
                error.kind(),
                GetStreamErrorKind::JetStream(it) if it.error_code() == ErrorCode::STREAM_NOT_FOUND
            );
            return if missing { Look::Missing } else { Look::Fine };
        }
    };
    let other = context.get_stream_no_info(results).await;
    let Ok(other) = other else {
        return Look::Fine;
    };
    let (at_workers, at_client) =
        tokio::join!(stream.consumer_info(WORKERS), other.consumer_info(CLIENT));
    let (Ok(at_workers), Ok(at_client)) = (at_workers, at_client) else {
        return Look::Missing;
    };
    let is_quiet = at_workers.num_pending == 0
        && at_workers.num_ack_pending == 0
        && at_client.num_pending == 0
        && at_client.num_ack_pending == 0;
    if !is_quiet {
        return Look::Fine;
    }
    let state = &stream.cached_info().state;
    if state.messages == 0 {
        return Look::Empty;
    }
    let mut dead = Vec::new();
    let mut next = state.first_sequence;
    while next <= state.last_sequence && dead.len() < 10_000 {
        let Ok(message) = stream.get_first_raw_message_by_subject(">", next).await else {
            break;
        };
        if message.sequence > state.last_sequence {
            break; // it has come since
        }
        let item = read::<ItemHead>(key, Sealed::Item, &message.payload);
        dead.push((message.sequence, item.map(|(it, _)| (it.index, it.attempt))));
        next = message.sequence + 1;
    }
    Look::Dead(dead)
}
