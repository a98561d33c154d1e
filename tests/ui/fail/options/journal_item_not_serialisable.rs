use runspace::foreach_parallel;

struct Page(u32);

fn main() {
    foreach_parallel!([Page(1)], journal = "run.jsonl", |page| page.0).wait();
}
