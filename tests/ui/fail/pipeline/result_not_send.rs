use runspace::pipeline;
use std::rc::Rc;

fn main() {
    pipeline!(0..3 | foreach_parallel(|n| n) | map(Rc::new) | foreach_parallel(|n| *n));
}
