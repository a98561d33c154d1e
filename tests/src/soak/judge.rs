//! Whether what is needed stays flat.

use super::sample::Sample;

/// What is looked at: its name, where it is, and by how much a median may differ from an earlier one: a part
/// of it, and an amount.
pub(crate) const MEASURES: [Measure; 5] = [
    Measure {
        // What the allocator has got of the system goes up and down with which thread has freed what last; a leak
        // shows in what is held of it.
        name: "memory, KiB",
        of: |it| it.memory,
        part: 0.15,
        amount: 2048.0,
    },
    Measure {
        name: "of it held, KiB",
        of: |it| it.held,
        part: 0.03,
        amount: 128.0,
    },
    Measure {
        name: "descriptors",
        of: |it| it.descriptors,
        part: 0.1,
        amount: 4.0,
    },
    Measure {
        name: "threads",
        of: |it| it.threads,
        part: 0.1,
        amount: 2.0,
    },
    Measure {
        name: "children",
        of: |it| it.children,
        part: 0.1,
        amount: 2.0,
    },
];

pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) of: fn(&Sample) -> u64,
    part: f64,
    amount: f64,
}

/// Says of each measure how it has changed. Answers whether none has grown.
pub(crate) fn judge(samples: &[Sample]) -> bool {
    let mut flat = true;
    println!("| measure | second quarter, median | last quarter, median | most | flat |");
    println!("|---|---|---|---|---|");
    for measure in &MEASURES {
        let values: Vec<u64> = samples.iter().map(measure.of).collect();
        let (before, after) = (median(&values, 1), median(&values, 3));
        let is_flat = after <= before * (1.0 + measure.part) + measure.amount;
        flat &= is_flat;
        println!(
            "| {} | {before} | {after} | {} | {} |",
            measure.name,
            values.iter().max().unwrap_or(&0),
            if is_flat { "yes" } else { "NO" }
        );
    }
    flat
}

/// The median of one of the four quarters of the time.
fn median(values: &[u64], quarter: usize) -> f64 {
    let length = values.len() / 4;
    let mut part: Vec<u64> = values
        .iter()
        .skip(quarter * length)
        .take(length.max(1))
        .copied()
        .collect();
    part.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    part.get(part.len() / 2).map_or(0.0, |it| *it as f64)
}
