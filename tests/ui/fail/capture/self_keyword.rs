use runspace::foreach_parallel;

#[derive(Clone)]
struct Counter(usize);

impl Counter {
    fn moved(self) {
        foreach_parallel!(0..3, using(self), |n: usize| self.0 + n);
    }

    fn cloned(&self) {
        foreach_parallel!(0..3, using(self.clone()), |n: usize| n);
    }

    fn by_dollar(self) {
        foreach_parallel!(0..3, |n: usize| $using:self.0 + n);
    }
}

fn main() {}
