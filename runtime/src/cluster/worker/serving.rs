//! A run that is served: items are pulled, and what comes of them is sent back.
//!
//! In this order, so that nothing is lost whenever this process or the server dies: the result is published, the
//! server says that it has it, the item is acknowledged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{Client, HeaderMap, Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::super::error::ClusterError;
use super::super::key::{Key, Sealed};
use super::super::message::{
    Announcement, Build, Control, Heard, InHand, ItemHead, NEAR, ResultHead, Said, WorkerEvent,
    WorkerNote, read, write,
};
use super::super::names::{Names, RUNS, WORKERS};
use super::super::pull::{Kept, Pull, Pulled, kept};
use super::super::store::{LARGEST, Store};
use super::Host;
use super::slot::{Flow, Made, Serving, Work};
use crate::policy;
use crate::process::pool::{Pool, PoolOptions};
use crate::stop::StopToken;

/// A message to the server that has no answer after so long is sent again.
const AGAIN: Duration = Duration::from_secs(2);

/// A try of an item.
type Name = (u64, u32);

/// An item in hand.
struct Held {
    token: u64,
    /// Where it is acknowledged; a later delivery's replaces it.
    reply: Subject,
    /// A result has been made: it is kept until the server has it.
    ended: bool,
    begun: bool,
    /// It was not delivered before.
    is_first: bool,
}

/// Something that was published, and that the server has not said it has.
struct Sent {
    parcel: Parcel,
    payload: Bytes,
    at: Instant,
}

/// What is known of something that is published.
#[derive(Clone)]
struct Parcel {
    token: u64,
    item: Name,
    ends: bool,
    is_output: bool,
    /// It goes where it is read when it is the item's turn.
    is_far: bool,
    id: String,
}

/// An item whose value is not in its message has been fetched, or could not be.
struct Fetched {
    work: Work,
    value: Result<Bytes, ClusterError>,
}

/// What is large has been put into the bucket.
struct Put {
    parcel: Parcel,
    payload: Result<Bytes, ClusterError>,
}

/// Serves a run until it is over, or this worker leaves.
pub(crate) struct Served {
    host: Arc<Host>,
    client: Client,
    names: Names,
    key: Key,
    serving: Arc<Serving>,
    /// For items that were delivered before: each in a process, since one of them may have killed its worker, and must
    /// not take others along again.
    ward: Option<Arc<Serving>>,
    out: UnboundedSender<Made>,
    flow: Arc<Flow>,
    store: Arc<Store>,
    pull: Pull,
    made: UnboundedReceiver<Made>,
    fetched: (UnboundedSender<Fetched>, UnboundedReceiver<Fetched>),
    put: (UnboundedSender<Put>, UnboundedReceiver<Put>),
    inbox: String,
    answers: Subscriber,
    control: Subscriber,
    held: HashMap<Name, Held>,
    sent: HashMap<u64, Sent>,
    last_token: u64,
    last_sent: u64,
    /// Nothing starts any more.
    closed: bool,
    /// The consumer was not there when it was last asked.
    gone: Option<Instant>,
    beat: Instant,
}

/// Why a run is not served any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Over,
    Left,
}

/// Serves the run of `heard`, an announcement by a client of this build.
pub(crate) async fn serve(host: Arc<Host>, heard: Heard) -> Result<Ended, String> {
    let announcement = heard.announcement().map_err(|error| error.to_string())?;
    let names = Names::new(&announcement.run);
    let key = heard.key.clone();
    let served = Served::open(Arc::clone(&host), names.clone(), key.clone(), announcement).await;
    match served {
        Ok(served) => Ok(served.run().await),
        Err(error) => {
            let text = error.to_string();
            tell(&host, &names, &key, WorkerEvent::Cannot(text.clone())).await;
            Err(text)
        }
    }
}

/// Whether this process may start others.
fn may_isolate() -> bool {
    policy::check(policy::Start::Block { name: None }).is_ok()
}

/// The processes for items that run in one.
fn pool(host: &Host) -> Pool {
    Pool::new(PoolOptions {
        workers: host.slots,
        ..PoolOptions::default()
    })
}

/// How often a message has been delivered, which is part of where it is acknowledged.
fn deliveries(reply: &str) -> u64 {
    let parts: Vec<&str> = reply.split('.').collect();
    // Newer servers name the domain and the account in front of the stream.
    let at = if parts.len() > 10 { 6 } else { 4 };
    parts.get(at).and_then(|it| it.parse().ok()).unwrap_or(1)
}

/// Tells the client of a run something.
pub(crate) async fn tell(host: &Host, names: &Names, key: &Key, event: WorkerEvent) {
    let note = WorkerNote {
        worker: host.id,
        place: host.place.clone(),
        event,
    };
    if let Ok(note) = write(key, Sealed::Note, &note, &[]) {
        let _ = host.connection.client.publish(names.notes(), note).await;
    }
}

/// Tells the client of a run of another build that it is not served here.
pub(crate) async fn refuse(host: &Host, heard: &Heard) {
    let names = Names::new(&heard.run);
    tell(host, &names, &heard.key, WorkerEvent::Refuses(Build::own())).await;
}

impl Served {
    async fn open(
        host: Arc<Host>,
        names: Names,
        key: Key,
        announcement: Announcement,
    ) -> Result<Self, ClusterError> {
        let client = host.connection.client.clone();
        let context = host.connection.context.clone();
        let store = Arc::new(Store::new(context, &names, host.connection.replicas));
        let captures = match &announcement.captures {
            Some(stored) => store.get(stored).await?,
            None => Bytes::new(),
        };
        let pull = Pull::new(&client, &names.items(), WORKERS).await?;
        let inbox = client.new_inbox();
        let subscribe = |subject: String| {
            let client = client.clone();
            async move {
                let it = client.subscribe(subject).await;
                it.map_err(|error| ClusterError::server("take a subscription", error))
            }
        };
        let answers = subscribe(format!("{inbox}.*")).await?;
        let control = subscribe(names.control()).await?;
        let isolate = announcement.isolate || host.isolate || announcement.is_job && may_isolate();
        let isolation = isolate.then(|| pool(&host));
        let (out, made) = unbounded_channel();
        let stop = StopToken::new();
        let flow = Arc::<Flow>::default();
        let (tell, flows) = (out.clone(), Arc::clone(&flow));
        let serving = Serving::new(announcement, captures, stop, isolation, tell, flows);
        Ok(Self {
            host,
            client,
            names,
            key,
            serving,
            ward: None,
            out,
            flow,
            store,
            pull,
            made,
            fetched: unbounded_channel(),
            put: unbounded_channel(),
            inbox,
            answers,
            control,
            held: HashMap::new(),
            sent: HashMap::new(),
            last_token: 0,
            last_sent: 0,
            closed: false,
            gone: None,
            beat: Instant::now(),
        })
    }

    async fn run(mut self) -> Ended {
        let third = self.serving.announcement.ack_wait / 3;
        let mut progress = tokio::time::interval(third.min(Duration::from_secs(10)));
        progress.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut look = tokio::time::interval(Duration::from_millis(20));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut connected = self.host.connection.connected.clone();
        connected.mark_unchanged();
        let mut leaving = self.host.leaving.clone();
        self.say_serves().await;
        let end = loop {
            self.ask().await;
            tokio::select! {
                pulled = self.pull.next() => {
                    if let Some(end) = self.pulled(pulled).await {
                        break end;
                    }
                    // Whatever else is here, before the next request.
                    while let Some(pulled) = self.pull.try_next() {
                        if let Some(end) = self.pulled(pulled).await {
                            return self.over(end).await;
                        }
                    }
                }
                Some(made) = self.made.recv() => {
                    self.publish(made).await;
                    while let Ok(made) = self.made.try_recv() {
                        self.publish(made).await;
                    }
                }
                Some(answer) = self.answers.next() => self.answered(&answer).await,
                Some(fetched) = self.fetched.1.recv() => self.take_fetched(fetched),
                Some(put) = self.put.1.recv() => match put.payload {
                    Ok(payload) => self.send(put.parcel, payload).await,
                    Err(error) => self.cannot_keep(put.parcel, &error).await,
                },
                Some(message) = self.control.next() => {
                    if self.told(&message).await {
                        break Ended::Over;
                    }
                }
                _ = progress.tick() => self.progress().await,
                _ = look.tick() => {
                    if let Some(end) = self.look().await {
                        break end;
                    }
                }
                changed = connected.changed() => {
                    let now = *connected.borrow_and_update();
                    if changed.is_ok() && now.1 {
                        self.reconnected().await;
                    }
                }
                _ = leaving.changed() => self.hand_back().await,
            }
            if *leaving.borrow() && self.held.is_empty() && self.sent.is_empty() {
                break Ended::Left;
            }
            if self.closed && self.held.is_empty() && self.sent.is_empty() && self.is_over().await {
                break Ended::Over;
            }
        };
        self.over(end).await
    }

    /// Lets go of the run.
    async fn over(self, end: Ended) -> Ended {
        self.serving.stop.stop();
        self.end_all();
        self.host.set_busy(&self.names.run, 0);
        if end == Ended::Left {
            tell(&self.host, &self.names, &self.key, WorkerEvent::Leaves).await;
        }
        end
    }

    /// From now on nothing starts. Answers what has not begun.
    fn end_all(&self) -> Vec<Work> {
        let all = [Some(&self.serving), self.ward.as_ref()];
        all.into_iter()
            .flatten()
            .flat_map(|it| it.close())
            .collect()
    }

    /// Where an item runs that was delivered before.
    fn ward(&mut self) -> Arc<Serving> {
        let serving = &self.serving;
        if serving.isolation.is_some() || (self.ward.is_none() && !may_isolate()) {
            return Arc::clone(serving);
        }
        let make = || {
            let (announcement, captures) = (serving.announcement.clone(), serving.captures.clone());
            let (stop, out) = (serving.stop.clone(), self.out.clone());
            let (pool, flow) = (pool(&self.host), Arc::clone(&self.flow));
            Serving::new(announcement, captures, stop, Some(pool), out, flow)
        };
        Arc::clone(self.ward.get_or_insert_with(make))
    }

    async fn say_serves(&mut self) {
        self.beat = Instant::now();
        let slots = WorkerEvent::Serves(self.host.slots);
        tell(&self.host, &self.names, &self.key, slots).await;
    }

    /// How many more items may be in hand.
    fn room(&self) -> usize {
        if self.closed || *self.host.leaving.borrow() {
            return 0;
        }
        let slots = self.host.share(&self.names.run);
        let open = self.held.values().filter(|it| !it.ended).count();
        self.serving.depth(slots).saturating_sub(open)
    }

    async fn ask(&mut self) {
        let waits = self
            .gone
            .is_some_and(|it| it.elapsed() < Duration::from_millis(250));
        let room = self.room();
        if room > 0 && !waits {
            self.pull.ask(room).await;
        }
    }

    /// Something has come of a request for items.
    async fn pulled(&mut self, pulled: Pulled) -> Option<Ended> {
        match pulled {
            Pulled::Nothing => None,
            Pulled::Message(message) => {
                self.gone = None;
                self.take(message).await;
                None
            }
            Pulled::Gone => {
                self.gone = Some(Instant::now());
                (self.held.is_empty() && self.is_over().await).then_some(Ended::Over)
            }
        }
    }

    /// Whether nobody announces the run any more.
    async fn is_over(&self) -> bool {
        let Ok(stream) = self.host.connection.context.get_stream_no_info(RUNS).await else {
            return false;
        };
        let found = stream
            .get_last_raw_message_by_subject(&self.names.announcement())
            .await;
        use async_nats::jetstream::stream::LastRawMessageErrorKind;
        matches!(found, Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound)
    }

    async fn take(&mut self, message: Message) {
        let Some(reply) = message.reply else {
            return;
        };
        let Some((head, value)) = read::<ItemHead>(&self.key, Sealed::Item, &message.payload)
        else {
            self.host.say(&format!(
                "refused a message among the items of run {}: it was not made with this key",
                self.names.run
            ));
            let _ = self.client.publish(reply, "+TERM".into()).await;
            return;
        };
        let is_first = deliveries(&reply) <= 1;
        let item = (head.index, head.attempt);
        if let Some(held) = self.held.get_mut(&item) {
            // Delivered once more to the very worker that has it.
            held.reply = reply;
            return;
        }
        self.last_token += 1;
        let token = self.last_token;
        self.held.insert(
            item,
            Held {
                token,
                reply,
                ended: false,
                begun: false,
                is_first,
            },
        );
        let work = Work {
            token,
            index: head.index,
            attempt: head.attempt,
            limit: head.limit,
            value,
            emitted: Arc::default(),
        };
        if self.closed {
            return self.not_run(work).await;
        }
        match head.stored {
            None => self.begin(work),
            Some(stored) => {
                let (store, tell) = (Arc::clone(&self.store), self.fetched.0.clone());
                tokio::spawn(async move {
                    let value = store.get(&stored).await;
                    let _ = tell.send(Fetched { work, value });
                });
            }
        }
    }

    fn take_fetched(&mut self, fetched: Fetched) {
        let Fetched { mut work, value } = fetched;
        match value {
            Ok(value) => {
                work.value = value;
                self.begin(work);
            }
            Err(error) => {
                // It will be delivered again.
                self.host.say(&format!("item {}: {error}", work.index));
                self.held.remove(&(work.index, work.attempt));
            }
        }
    }

    fn begin(&mut self, work: Work) {
        let mut is_first = true;
        if let Some(held) = self.held.get_mut(&(work.index, work.attempt)) {
            held.begun = true;
            is_first = held.is_first;
        }
        let slots = self.host.share(&self.names.run);
        match is_first {
            true => self.serving.push(work, slots),
            false => self.ward().push(work, slots),
        }
        self.host.set_busy(&self.names.run, self.held.len());
    }

    async fn not_run(&mut self, work: Work) {
        let made = Made {
            token: work.token,
            index: work.index,
            attempt: work.attempt,
            number: 0,
            said: Said::NotRun,
            took: Duration::ZERO,
            value: Vec::new(),
        };
        self.publish(made).await;
    }

    /// Publishes something of an item.
    async fn publish(&mut self, made: Made) {
        let Made {
            token,
            index,
            attempt,
            number,
            said,
            took,
            value,
        } = made;
        let ends = said.ends();
        if ends {
            match self.held.get_mut(&(index, attempt)) {
                Some(held) if held.token == token && !held.ended => held.ended = true,
                // Given back meanwhile, or ended in another way.
                _ => return,
            }
            self.host.count_done();
        }
        let is_output = matches!(said, Said::Output);
        let id = match &said {
            Said::Output => format!("{}o{number}", self.names.id(index, attempt)),
            Said::Note(_) => format!(
                "{}n{:x}.{}",
                self.names.id(index, attempt),
                self.host.id,
                self.last_sent
            ),
            // What a stop has made of it must not stand in the way of another worker's result.
            Said::NotRun | Said::Stopped => {
                format!("{}x{:x}", self.names.id(index, attempt), self.host.id)
            }
            _ => self.names.id(index, attempt),
        };
        let parcel = Parcel {
            token,
            item: (index, attempt),
            ends,
            is_output,
            is_far: is_output && number >= NEAR && self.serving.announcement.in_order,
            id,
        };
        let mut head = ResultHead {
            index,
            attempt,
            number,
            said,
            took,
            stored: None,
        };
        if value.len() <= LARGEST {
            match write(&self.key, Sealed::Result, &head, &value) {
                Ok(payload) => self.send(parcel, payload).await,
                Err(error) => self.cannot_keep(parcel, &error).await,
            }
            return;
        }
        let (store, key, tell) = (
            Arc::clone(&self.store),
            self.key.clone(),
            self.put.0.clone(),
        );
        let object = format!("r{index}.{attempt}.{number}.{:x}.{token}", self.host.id);
        tokio::spawn(async move {
            let mut stored = Err(ClusterError::server("keep a large value", "no try"));
            for _ in 0..5 {
                stored = store.put(object.clone(), &value).await;
                if stored.is_ok() {
                    break;
                }
                tokio::time::sleep(AGAIN).await;
            }
            let payload = stored.and_then(|stored| {
                head.stored = Some(stored);
                write(&key, Sealed::Result, &head, &[])
            });
            let _ = tell.send(Put { parcel, payload });
        });
    }

    /// The server does not take something that has come of an item: that is the item's end, since nobody would get the rest
    /// of it otherwise.
    async fn cannot_keep(&mut self, parcel: Parcel, error: &ClusterError) {
        let (index, attempt) = parcel.item;
        self.host
            .say(&format!("a result of item {index} is lost: {error}"));
        if parcel.is_output {
            self.flow.flowed();
        }
        let is_it = |it: &&mut Held| it.token == parcel.token;
        if let Some(held) = self.held.get_mut(&parcel.item).filter(is_it) {
            held.ended = true;
        }
        let head = ResultHead {
            index,
            attempt,
            number: 0,
            said: Said::Crashed(format!("a result of it cannot be kept: {error}")),
            took: Duration::ZERO,
            stored: None,
        };
        let parcel = Parcel {
            ends: true,
            is_output: false,
            is_far: false,
            // Its end may be there already, under the id of the item.
            id: format!("{}k{:x}", self.names.id(index, attempt), self.host.id),
            ..parcel
        };
        if let Ok(payload) = write(&self.key, Sealed::Result, &head, &[]) {
            self.send(parcel, payload).await;
        }
    }

    async fn send(&mut self, parcel: Parcel, payload: Bytes) {
        self.last_sent += 1;
        let number = self.last_sent;
        let sent = Sent {
            parcel,
            payload,
            at: Instant::now(),
        };
        self.transmit(number, &sent).await;
        self.sent.insert(number, sent);
    }

    async fn transmit(&self, number: u64, sent: &Sent) {
        if !self.host.connection.connected.borrow().1
            && self.host.connection.connected.borrow().0 > 0
        {
            return; // once there is a connection
        }
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", sent.parcel.id.as_str());
        let reply = format!("{}.{number}", self.inbox);
        let (index, attempt) = sent.parcel.item;
        let subject = match sent.parcel.is_far {
            true => self.names.far_subject(index, attempt),
            false => self.names.result_subject(),
        };
        let _ = self
            .client
            .publish_with_reply_and_headers(subject, reply, headers, sent.payload.clone())
            .await;
    }

    /// The server has said something to what was published.
    async fn answered(&mut self, answer: &Message) {
        let number = answer.subject.rsplit('.').next();
        let Some(number) = number.and_then(|it| it.parse::<u64>().ok()) else {
            return;
        };
        match kept(answer) {
            Kept::At(_) => {
                let Some(sent) = self.sent.remove(&number) else {
                    return;
                };
                if sent.parcel.is_output {
                    self.flow.flowed();
                }
                if sent.parcel.ends
                    && let Some(held) = self.held.remove(&sent.parcel.item)
                {
                    let _ = self.client.publish(held.reply, "+ACK".into()).await;
                    self.host.set_busy(&self.names.run, self.held.len());
                }
            }
            Kept::Not => {
                // The stream is not there: for good, or until the client has made it again.
                if let Some(sent) = self.sent.get_mut(&number) {
                    sent.at = Instant::now();
                }
                self.gone = Some(Instant::now());
                if self.is_over().await {
                    self.forget();
                }
            }
        }
    }

    /// The run is over: nobody wants what is in hand.
    fn forget(&mut self) {
        self.closed = true;
        self.serving.stop.stop();
        self.end_all();
        self.held.clear();
        self.sent.clear();
    }

    /// The client has said something. True at the end of the run.
    async fn told(&mut self, message: &Message) -> bool {
        let Some((control, _)) = read::<Control>(&self.key, Sealed::Control, &message.payload)
        else {
            return false;
        };
        if control == Control::End {
            return true;
        }
        self.closed = true;
        for work in self.end_all() {
            if let Some(held) = self.held.get_mut(&(work.index, work.attempt)) {
                held.begun = false;
            }
            self.not_run(work).await;
        }
        if control == Control::Stop {
            self.serving.stop.stop();
        }
        if let Some(reply) = message.reply.clone() {
            let begun = self.held.iter().filter(|(_, it)| it.begun || it.ended);
            let answer = InHand {
                worker: self.host.id,
                items: begun.map(|((index, _), _)| *index).collect(),
            };
            if let Ok(answer) = write(&self.key, Sealed::Note, &answer, &[]) {
                let _ = self.client.publish(reply, answer).await;
            }
        }
        false
    }

    /// Says of everything in hand that it is being worked on.
    async fn progress(&mut self) {
        for held in self.held.values() {
            let _ = self.client.publish(held.reply.clone(), "+WPI".into()).await;
        }
        if self.beat.elapsed() >= Duration::from_secs(2) {
            self.say_serves().await;
        }
    }

    /// What time brings.
    async fn look(&mut self) -> Option<Ended> {
        let now = Instant::now();
        self.serving.give_up_late(now);
        let late: Vec<u64> = self
            .sent
            .iter()
            .filter(|(_, it)| now.duration_since(it.at) > AGAIN)
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            if let Some(sent) = self.sent.get_mut(&number) {
                sent.at = now;
            }
            if let Some(sent) = self.sent.get(&number) {
                self.transmit(number, sent).await;
            }
        }
        if self.beat.elapsed() >= Duration::from_secs(2) {
            self.say_serves().await;
        }
        // Nobody may have told this worker that the run is over.
        let gone = self
            .gone
            .is_some_and(|it| it.elapsed() > Duration::from_secs(1));
        if gone {
            self.gone = Some(now);
            if self.is_over().await {
                self.forget();
                return Some(Ended::Over);
            }
        }
        None
    }

    async fn reconnected(&mut self) {
        self.pull.reset();
        let numbers: Vec<u64> = self.sent.keys().copied().collect();
        for number in numbers {
            if let Some(sent) = self.sent.get_mut(&number) {
                sent.at = Instant::now();
            }
            if let Some(sent) = self.sent.get(&number) {
                self.transmit(number, sent).await;
            }
        }
        self.progress().await;
    }

    /// This worker leaves: what has not begun goes to others at once.
    async fn hand_back(&mut self) {
        let all = self.host.must_go();
        let mut waiting = self.serving.take_waiting();
        if let Some(ward) = &self.ward {
            waiting.extend(ward.take_waiting());
        }
        let mut back: Vec<Name> = waiting.iter().map(|it| (it.index, it.attempt)).collect();
        if all {
            self.serving.stop.stop();
            back.extend(
                self.held
                    .iter()
                    .filter(|(_, it)| !it.ended)
                    .map(|(item, _)| *item),
            );
        }
        for item in back {
            if let Some(held) = self.held.remove(&item) {
                let _ = self.client.publish(held.reply, "-NAK".into()).await;
            }
        }
        self.host.set_busy(&self.names.run, self.held.len());
    }
}
