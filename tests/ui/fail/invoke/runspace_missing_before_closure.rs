use runspace::invoke;

fn main() {
    let _ = invoke!(|rs| 1);
}
