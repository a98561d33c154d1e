//! What runs have left behind whose client was killed.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::Context;
use futures_util::TryStreamExt;

use super::names::{Names, RUNS};

/// A run that is younger may be about to be announced.
const YOUNG: Duration = Duration::from_secs(600);

/// Deletes the streams of runs that nobody announces any more. A client that lives announces its run again
/// and again; should its streams be deleted all the same, after a long time without a connection, it makes them anew.
pub(crate) async fn sweep(context: &Context) {
    let Some(old) = old(context).await else {
        return;
    };
    if old.is_empty() {
        return;
    }
    // Announcements may have been lost with the server's last start: their clients are given time.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let Some(announced) = announced(context).await else {
        return;
    };
    for stream in old {
        let run = Names::run_of(&stream).unwrap_or_default();
        if !announced.contains(run) {
            let _ = context.delete_stream(&stream).await;
        }
    }
}

/// The streams of runs that are old and not announced.
async fn old(context: &Context) -> Option<Vec<String>> {
    let announced = announced(context).await?;
    let now = std::time::SystemTime::now();
    let mut old = Vec::new();
    let mut streams = context.streams();
    while let Some(info) = streams.try_next().await.ok()? {
        let name = info.config.name;
        let Some(run) = Names::run_of(&name) else {
            continue;
        };
        let made = u64::try_from(info.created.unix_timestamp()).unwrap_or(0);
        let made = std::time::UNIX_EPOCH + Duration::from_secs(made);
        let age = now.duration_since(made).unwrap_or_default();
        if age > YOUNG && !announced.contains(run) {
            old.push(name);
        }
    }
    Some(old)
}

/// The runs that are announced.
pub(crate) async fn announced(context: &Context) -> Option<HashSet<String>> {
    let stream = context.get_stream_no_info(RUNS).await.ok()?;
    let mut subjects = stream.info_with_subjects(">").await.ok()?;
    let mut runs = HashSet::new();
    while let Some((subject, _)) = subjects.try_next().await.ok()? {
        runs.extend(subject.rsplit('.').next().map(str::to_owned));
    }
    Some(runs)
}
