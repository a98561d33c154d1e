use runspace::foreach_parallel;

fn main() {
    let name = String::from("a");
    foreach_parallel!(0..3, |n: u32| println!("{n} {$using:name} {{$using}}"));
}
