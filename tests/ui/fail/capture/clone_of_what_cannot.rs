use runspace::foreach_parallel;

fn main() {
    struct Token;
    let token = Token;
    foreach_parallel!(0..3, using(token.clone()), |n: u32| { let _ = &token; n });
}
