//! Who ran what, and when: spans of the crate `tracing`, as a timeline for <https://ui.perfetto.dev> and
//! as a picture in which the throttle can be seen.
//!
//! ```text
//! $ cargo run --release --example timeline -- target
//! on threads: 24 items, at most 4 at once
//! in processes: 24 items, at most 4 at once
//! target/timeline.json: open it at https://ui.perfetto.dev
//! target/timeline.svg
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use plotters::prelude::*;
use runspace::foreach_parallel;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::info;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const THROTTLE: usize = 4;
const ITEMS: u64 = 24;

/// The calls, and what their bars look like.
const CALLS: [(&str, RGBColor); 2] = [
    ("on threads", RGBColor(0x3b, 0x7d, 0xd8)),
    ("in processes", RGBColor(0xe0, 0x7b, 0x39)),
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(PathBuf::new, PathBuf::from);
    let timeline = Timeline::default();
    let subscriber = tracing_subscriber::registry().with(timeline.clone());
    tracing::subscriber::with_default(subscriber, || {
        foreach_parallel!(
            0..ITEMS,
            throttle = THROTTLE,
            name = "on threads",
            |n| work(n)
        )
        .wait();
        foreach_parallel!(
            0..ITEMS,
            throttle = THROTTLE,
            name = "in processes",
            on = process,
            |n| { work(n) }
        )
        .wait();
    });

    let seen = timeline.seen();
    for (call, _) in CALLS {
        let bars: Vec<&Bar> = seen.bars.iter().filter(|it| it.call == call).collect();
        let most = steps(&bars).into_iter().map(|(_, count)| count).max();
        println!(
            "{call}: {} items, at most {} at once",
            bars.len(),
            most.unwrap_or(0)
        );
    }
    let path = folder.join("timeline.json");
    fs::write(&path, serde_json::to_vec(&trace_events(&seen))?)?;
    println!("{}: open it at https://ui.perfetto.dev", path.display());
    let path = folder.join("timeline.svg");
    draw(&seen, &path)?;
    println!("{}", path.display());
    Ok(())
}

/// An item takes from 20 to 140 ms.
fn work(n: u64) {
    let millis = 20 + (n * 53) % 121;
    thread::sleep(Duration::from_millis(millis / 2));
    info!(millis, "half done");
    thread::sleep(Duration::from_millis(millis / 2));
}

/// A layer that keeps the spans of items, and what was said in them.
#[derive(Clone)]
struct Timeline {
    start: Instant,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone, Default)]
struct Seen {
    bars: Vec<Bar>,
    marks: Vec<Mark>,
}

/// An item; times are since the start.
#[derive(Clone, Default)]
struct Bar {
    call: String,
    index: u64,
    worker: String,
    outcome: String,
    start: Duration,
    end: Duration,
}

/// Something that was said.
#[derive(Clone)]
struct Mark {
    worker: String,
    text: String,
    at: Duration,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            seen: Arc::default(),
        }
    }
}

impl Timeline {
    /// What there is, in the order in which it began.
    fn seen(&self) -> Seen {
        let mut seen = self.seen.lock().expect("no layer panics").clone();
        seen.bars.sort_by_key(|it| it.start);
        seen
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Timeline {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        if metadata.target() == "runspace"
            && metadata.name() == "item"
            && let Some(span) = context.span(id)
        {
            let mut bar = Bar {
                start: self.start.elapsed(),
                ..Bar::default()
            };
            attributes.record(&mut bar);
            span.extensions_mut().insert(bar);
        }
    }

    // Which process runs an item is known when it has run.
    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(bar) = span.extensions_mut().get_mut::<Bar>()
        {
            values.record(bar);
        }
    }

    // What a child process has said arrives here as well, with its number.
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut mark = Mark {
            worker: format!("{:?}", thread::current().id()),
            text: String::new(),
            at: self.start.elapsed(),
        };
        event.record(&mut mark);
        self.seen.lock().expect("no layer panics").marks.push(mark);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(span) = context.span(&id)
            && let Some(mut bar) = span.extensions_mut().remove::<Bar>()
        {
            bar.end = self.start.elapsed();
            self.seen.lock().expect("no layer panics").bars.push(bar);
        }
    }
}

impl Visit for Bar {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "index" {
            self.index = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "call" => value.clone_into(&mut self.call),
            "worker" => value.clone_into(&mut self.worker),
            "outcome" => value.clone_into(&mut self.outcome),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

impl Visit for Mark {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "child.pid" {
            self.worker = format!("process {value}");
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.text = format!("{value:?}");
        }
    }
}

/// When the number of items at once changes, and what it is from then on.
fn steps(bars: &[&Bar]) -> Vec<(Duration, usize)> {
    // Of what happens at the same time, an end comes first.
    let mut changes: Vec<(Duration, bool)> = bars
        .iter()
        .flat_map(|it| [(it.start, true), (it.end, false)])
        .collect();
    changes.sort_unstable();
    let mut count = 0;
    let count_up = |(at, begins)| {
        count = if begins { count + 1 } else { count - 1 };
        (at, count)
    };
    changes.into_iter().map(count_up).collect()
}

/// The rows of the timeline: a number for each worker, in the order of their first items.
fn rows(seen: &Seen) -> BTreeMap<&str, usize> {
    let mut rows = BTreeMap::new();
    for bar in &seen.bars {
        let next = rows.len();
        rows.entry(bar.worker.as_str()).or_insert(next);
    }
    rows
}

/// The format of Chrome's tracing, which Perfetto reads: a group for each call, in it a row for each
/// worker and a curve of how many items there are at once.
fn trace_events(seen: &Seen) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a few seconds")]
    let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
    let rows = rows(seen);
    let mut events = Vec::new();
    for (group, (call, _)) in CALLS.into_iter().enumerate() {
        events.push(json!({
            "ph": "M", "name": "process_name", "pid": group, "args": { "name": call },
        }));
        let bars: Vec<&Bar> = seen.bars.iter().filter(|it| it.call == call).collect();
        for (worker, row) in &rows {
            if bars.iter().any(|it| it.worker == *worker) {
                events.push(json!({
                    "ph": "M", "name": "thread_name", "pid": group, "tid": row,
                    "args": { "name": worker },
                }));
            }
        }
        for bar in &bars {
            events.push(json!({
                "ph": "X", "cat": "item", "name": format!("item {}", bar.index), "pid": group,
                "tid": rows[bar.worker.as_str()],
                "ts": micros(bar.start), "dur": micros(bar.end - bar.start),
                "args": { "index": bar.index, "outcome": bar.outcome },
            }));
        }
        for (at, count) in steps(&bars) {
            events.push(json!({
                "ph": "C", "name": "items at once", "pid": group, "ts": micros(at),
                "args": { "items": count },
            }));
        }
        for mark in &seen.marks {
            if bars.iter().any(|it| it.worker == mark.worker) {
                events.push(json!({
                    "ph": "i", "s": "t", "name": mark.text, "pid": group,
                    "tid": rows[mark.worker.as_str()], "ts": micros(mark.at),
                }));
            }
        }
    }
    json!({ "displayTimeUnit": "ms", "traceEvents": events })
}

/// Above a row for each worker with a bar for each item, below how many items there are at once, with a
/// line at the throttle.
fn draw(seen: &Seen, path: &Path) -> Result<(), Box<dyn Error>> {
    let rows = rows(seen);
    let end = seen
        .bars
        .iter()
        .map(|it| it.end.as_secs_f64())
        .fold(0.0, f64::max);
    // To the left of the start there is room for the names of the workers.
    let left = -0.12 * end;
    let height = 120 + 26 * u32::try_from(rows.len())?;
    let area = SVGBackend::new(path, (1100, height + 180)).into_drawing_area();
    area.fill(&WHITE)?;
    let (above, below) = area.split_vertically(height);
    draw_workers(seen, &rows, left..end, &above)?;
    draw_count(seen, left..end, &below)?;
    area.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_workers(
    seen: &Seen,
    rows: &BTreeMap<&str, usize>,
    time: std::ops::Range<f64>,
    area: &Area<'_>,
) -> Result<(), Box<dyn Error>> {
    let place = |row: usize| u32::try_from(row).map(f64::from);
    let mut chart = ChartBuilder::on(area)
        .caption(
            format!(
                "{ITEMS} items twice, throttle = {THROTTLE}: {} and {}",
                CALLS[0].0, CALLS[1].0
            ),
            ("sans-serif", 20),
        )
        .margin(12)
        .x_label_area_size(24)
        // The first worker is at the top.
        .build_cartesian_2d(time.clone(), place(rows.len())?..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_label_formatter(&seconds)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (worker, row) in rows {
        let at = (time.start, place(*row)? + 0.25);
        chart.draw_series([Text::new((*worker).to_owned(), at, ("sans-serif", 13))])?;
    }
    for bar in &seen.bars {
        let row = place(rows[bar.worker.as_str()])?;
        let (start, end) = (bar.start.as_secs_f64(), bar.end.as_secs_f64());
        let colour = CALLS
            .iter()
            .find(|it| it.0 == bar.call)
            .map_or(BLACK, |it| it.1);
        let corners = [(start, row + 0.1), (end, row + 0.9)];
        chart.draw_series([Rectangle::new(corners, colour.filled())])?;
        let style = ("sans-serif", 11).into_font().color(&WHITE);
        let name = bar.index.to_string();
        chart.draw_series([Text::new(name, (start, row + 0.25), style)])?;
    }
    Ok(())
}

fn draw_count(
    seen: &Seen,
    time: std::ops::Range<f64>,
    area: &Area<'_>,
) -> Result<(), Box<dyn Error>> {
    let throttle = f64::from(u32::try_from(THROTTLE)?);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(24)
        .build_cartesian_2d(time.clone(), 0.0..throttle + 1.0)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_y_axis()
        .x_label_formatter(&seconds)
        .draw()?;
    for (call, colour) in CALLS {
        let bars: Vec<&Bar> = seen.bars.iter().filter(|it| it.call == call).collect();
        let mut line = Vec::new();
        let mut before = 0.0;
        for (at, count) in steps(&bars) {
            let count = f64::from(u32::try_from(count)?);
            line.extend([(at.as_secs_f64(), before), (at.as_secs_f64(), count)]);
            before = count;
        }
        chart.draw_series([PathElement::new(line, colour.stroke_width(2))])?;
    }
    let limit = vec![(0.0, throttle), (time.end, throttle)];
    chart.draw_series([PathElement::new(limit, RED.stroke_width(1))])?;
    for (text, at) in [
        ("items at once".to_owned(), 0.6),
        (format!("throttle = {THROTTLE}"), throttle + 0.2),
    ] {
        chart.draw_series([Text::new(text, (time.start, at), ("sans-serif", 13))])?;
    }
    Ok(())
}

fn seconds(time: &f64) -> String {
    match *time < 0.0 {
        true => String::new(),
        false => format!("{time:.1} s"),
    }
}
