//! The programs: so many functions, each with a call in it, and a `main` that calls them all.

use std::fmt::Write as _;

/// A kind of item: its input, what a body makes of item `it` and `offset`, and what counts of a result.
struct Kind {
    items: &'static str,
    body: &'static str,
    count: &'static str,
}

/// Programs have loops over more than one type.
const KINDS: [Kind; 4] = [
    Kind {
        items: "0..size",
        body: "offset[0] + it",
        count: "it",
    },
    Kind {
        items: "vec![String::from(\"one\"), size.to_string()].into_iter()",
        body: "it.len() as u64 + offset[0]",
        count: "it",
    },
    Kind {
        items: "[(size, 'a'), (1, 'b')].into_iter()",
        body: "(it.1, offset[0] + it.0)",
        count: "it.1",
    },
    Kind {
        items: "(0..size).map(move |it| it + step)",
        body: "format!(\"{it}{}\", offset[1])",
        count: "it.len() as u64",
    },
];

/// With the macros.
pub(super) fn of_calls(count: usize) -> String {
    let head = match count {
        0 => "",
        _ => "use runspace::{foreach_parallel, start_thread_job};\n",
    };
    program(
        head,
        count,
        |Kind { items, body, count }| {
            format!(
                "    foreach_parallel!({items}, throttle = 4, using(offset), |it| {body})\n        \
                 .map(|it| {count})\n        .sum()\n"
            )
        },
        |number| {
            format!(
                "    let job = start_thread_job!(name = \"job {number}\", using(offset), {{\n        \
                 offset.iter().sum::<u64>() + {number}\n    }});\n    job.join().unwrap()\n"
            )
        },
    )
}

/// With std alone.
pub(super) fn by_hand(count: usize) -> String {
    program(
        "use std::sync::{Arc, Mutex, mpsc};\nuse std::thread;\n",
        count,
        |Kind { items, body, count }| {
            format!(
                "    let offset = Arc::new(offset);
    let items = Arc::new(Mutex::new({items}));
    let (sender, results) = mpsc::sync_channel(8);
    let workers: Vec<_> = (0..4)
        .map(|_| {{
            let (items, sender, offset) = (Arc::clone(&items), sender.clone(), Arc::clone(&offset));
            thread::spawn(move || loop {{
                let Some(it) = items.lock().unwrap().next() else {{
                    break;
                }};
                if sender.send({body}).is_err() {{
                    break;
                }}
            }})
        }})
        .collect();
    drop(sender);
    let sum = results.iter().map(|it| {count}).sum();
    for worker in workers {{
        worker.join().unwrap();
    }}
    sum
"
            )
        },
        |number| {
            format!(
                "    let job = thread::Builder::new().name(String::from(\"job {number}\")).spawn(move || {{\n        \
                 offset.iter().sum::<u64>() + {number}\n    }});\n    job.unwrap().join().unwrap()\n"
            )
        },
    )
}

fn program(
    head: &str,
    count: usize,
    a_loop: impl Fn(&Kind) -> String,
    a_job: impl Fn(usize) -> String,
) -> String {
    let mut text = format!("#![allow(unused)]\n{head}");
    for number in 0..count {
        let body = match number % 2 {
            0 => a_loop(&KINDS[number / 2 % KINDS.len()]),
            _ => a_job(number),
        };
        let _ = write!(
            text,
            "\nfn work_{number}(size: u64) -> u64 {{\n    let step = {number};\n    \
             let offset = vec![step, size];\n{body}}}\n"
        );
    }
    text += "\nfn main() {\n    let mut sum = 0;\n";
    for number in 0..count {
        let _ = writeln!(text, "    sum += work_{number}(3);");
    }
    text += "    println!(\"{sum}\");\n}\n";
    text
}
