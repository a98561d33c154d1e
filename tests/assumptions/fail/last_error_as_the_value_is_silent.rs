//! Several errors, the last of them in the place of the value: nothing is added about the value.

macro_rules! call {
    () => {{
        ::core::compile_error! { "the first" }
        ::core::compile_error! { "the second" }
    }};
}

fn main() {
    let value = call!();
    let text: String = value;
    text.len();
}
