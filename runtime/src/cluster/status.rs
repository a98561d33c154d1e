//! What a cluster is doing.

use std::fmt;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt, TryStreamExt};

use super::error::ClusterError;
use super::key::{Sealed, TAG};
use super::message::{Heard, WorkerReport, read};
use super::names::{CLIENT, Names, PING, RUNS, WORKERS};
use super::options::Cluster;

/// What a cluster is doing at a moment: its runs and its workers. Prints as a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// When it was asked.
    pub time: SystemTime,
    /// The runs that are announced, by their names.
    pub runs: Vec<RunStatus>,
    /// The workers that have answered, by host and process.
    pub workers: Vec<WorkerStatus>,
}

/// A run: one call of `foreach_parallel!` or one job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunStatus {
    /// Its name, 32 digits.
    pub run: String,
    /// What errors call it: its name, or its place in the source. Empty for a run of another build.
    pub title: String,
    /// Who has started it: host and process. Empty for a run of another build.
    pub client: String,
    /// The build that it is of, in hexadecimal digits.
    pub build: String,
    /// Items that wait for a worker.
    pub waiting: u64,
    /// Items that are with workers.
    pub running: u64,
    /// Items that have ended.
    pub done: u64,
    /// Items with workers that have been delivered more than once.
    pub redelivered: u64,
}

/// A worker: a process with slots.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// The host it is on.
    pub host: String,
    /// Its number there.
    pub pid: u32,
    /// Its build, in hexadecimal digits.
    pub build: String,
    /// How many items it runs at once at most.
    pub slots: usize,
    /// How many items it has in hand.
    pub busy: usize,
    /// How many items it has ended since it started.
    pub done: u64,
    /// The runs that it serves.
    pub runs: Vec<String>,
    /// It has been told to leave.
    pub leaving: bool,
}

/// Asks what the cluster is doing. It takes about `patience`, which is how long workers have to answer; 300 ms are
/// plenty in one building.
///
/// ```no_run
/// use std::time::Duration;
///
/// use runspace::cluster::{self, Cluster};
///
/// # fn main() -> Result<(), runspace::cluster::ClusterError> {
/// let cluster = Cluster::connect("nats://localhost:4222")?;
/// println!("{}", cluster::status(&cluster, Duration::from_millis(300))?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The server does not answer.
pub fn status(cluster: &Cluster, patience: Duration) -> Result<Status, ClusterError> {
    let asked = cluster.clone();
    let limit = patience.saturating_add(Duration::from_secs(15));
    cluster.connection.wait_for(limit, async move {
        let (workers, runs) = tokio::join!(workers(&asked, patience), runs(&asked));
        Ok(Status {
            time: SystemTime::now(),
            runs: runs?,
            workers: workers?,
        })
    })
}

async fn workers(cluster: &Cluster, patience: Duration) -> Result<Vec<WorkerStatus>, ClusterError> {
    let connection = &cluster.connection;
    let client = &connection.client;
    let failed = |error: &dyn fmt::Display| ClusterError::server("ask its workers", error);
    let inbox = client.new_inbox();
    let mut answers = client
        .subscribe(inbox.clone())
        .await
        .map_err(|error| failed(&error))?;
    let mut ping = vec![0; TAG];
    ping.extend_from_slice(inbox.as_bytes());
    connection.key.seal(Sealed::Control, &mut ping);
    client
        .publish_with_reply(PING, inbox, ping.into())
        .await
        .map_err(|error| failed(&error))?;
    let mut all = Vec::new();
    let end = tokio::time::sleep(patience);
    tokio::pin!(end);
    loop {
        let answer = tokio::select! {
            answer = answers.next() => answer,
            () = &mut end => None,
        };
        let Some(answer) = answer.filter(|it| it.status.is_none()) else {
            break;
        };
        if let Some((report, _)) =
            read::<WorkerReport>(&connection.key, Sealed::Note, &answer.payload)
        {
            all.push(WorkerStatus {
                host: report.host,
                pid: report.pid,
                build: report.build.to_string(),
                slots: report.slots,
                busy: report.busy,
                done: report.done,
                runs: report.runs,
                leaving: report.leaving,
            });
        }
    }
    all.sort_by(|a, b| (&a.host, a.pid).cmp(&(&b.host, b.pid)));
    Ok(all)
}

async fn runs(cluster: &Cluster) -> Result<Vec<RunStatus>, ClusterError> {
    let context = &cluster.connection.context;
    let failed = |error: &dyn fmt::Display| ClusterError::server("list its runs", error);
    let stream = context
        .get_stream_no_info(RUNS)
        .await
        .map_err(|error| failed(&error))?;
    let mut subjects = stream
        .info_with_subjects(">")
        .await
        .map_err(|error| failed(&error))?;
    let mut all = Vec::new();
    while let Some((subject, _)) = subjects.try_next().await.map_err(|error| failed(&error))? {
        let Ok(message) = stream.get_last_raw_message_by_subject(&subject).await else {
            continue; // it is over
        };
        if let Some(heard) = Heard::read(&message.payload, &cluster.connection.key)
            && let Some(run) = run(cluster, &heard).await
        {
            all.push(run);
        }
    }
    all.sort_by(|a, b| a.run.cmp(&b.run));
    Ok(all)
}

async fn run(cluster: &Cluster, heard: &Heard) -> Option<RunStatus> {
    let context = &cluster.connection.context;
    let names = Names::new(&heard.run);
    let stream = context.get_stream_no_info(names.items()).await.ok()?;
    let info = stream.consumer_info(WORKERS).await.ok()?;
    let announcement = heard.announcement().ok();
    let results = context.get_stream_no_info(names.results()).await.ok()?;
    results.consumer_info(CLIENT).await.ok()?;
    let running = info.num_ack_pending as u64;
    // Every delivery counts, those of the same item once more.
    let delivered = info.delivered.stream_sequence;
    Some(RunStatus {
        run: heard.run.clone(),
        title: announcement
            .as_ref()
            .map(|it| it.title.clone())
            .unwrap_or_default(),
        client: announcement.map(|it| it.client).unwrap_or_default(),
        build: heard.build.to_string(),
        waiting: info.num_pending,
        running,
        done: delivered.saturating_sub(running),
        redelivered: info.num_redelivered as u64,
    })
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &str| text.chars().take(8).collect::<String>();
        writeln!(
            f,
            "{:<8}  {:>8}  {:>8}  {:>10}  {:>11}  {:<8}  CALL",
            "RUN", "WAITING", "RUNNING", "DONE", "REDELIVERED", "BUILD"
        )?;
        for run in &self.runs {
            writeln!(
                f,
                "{:<8}  {:>8}  {:>8}  {:>10}  {:>11}  {:<8}  {}",
                short(&run.run),
                run.waiting,
                run.running,
                run.done,
                run.redelivered,
                short(&run.build),
                run.title
            )?;
        }
        writeln!(
            f,
            "\n{:<24}  {:>8}  {:>6}  {:>6}  {:>10}  {:<8}  RUNS",
            "WORKER", "PID", "SLOTS", "BUSY", "DONE", "BUILD"
        )?;
        for worker in &self.workers {
            let runs: Vec<String> = worker.runs.iter().map(|it| short(it)).collect();
            let leaving = if worker.leaving { " (leaving)" } else { "" };
            writeln!(
                f,
                "{:<24}  {:>8}  {:>6}  {:>6}  {:>10}  {:<8}  {}{leaving}",
                worker.host,
                worker.pid,
                worker.slots,
                worker.busy,
                worker.done,
                short(&worker.build),
                runs.join(" ")
            )?;
        }
        Ok(())
    }
}
