//! Without the braces rustc loses the second and adds its own: why the macros put them there.

macro_rules! call {
    () => {
        ::core::compile_error! { "the first" }
        ::core::compile_error! { "the second" }
    };
}

fn main() {
    let text: String = call!();
}
