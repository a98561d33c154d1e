//! A name that a macro makes up cannot be seen from what the user wrote, and does not shadow it.

macro_rules! run {
    ($body:expr) => {{
        let worker = 1;
        $body + worker
    }};
}

fn main() {
    run!(worker);
}
