//! How figures are written.

use crate::measure::Figure;

/// What a figure is a figure of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Bytes,
    /// One thing as so many times another.
    Times,
}

impl Unit {
    /// Three digits, in the unit that keeps them readable.
    pub(crate) fn write(self, value: f64) -> String {
        match self {
            Self::Seconds => scaled(
                value * 1e9,
                1e3,
                &[(1.0, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s")],
            ),
            Self::Bytes => scaled(
                value,
                1024.0,
                &[
                    (1.0, "B"),
                    (1024.0, "KiB"),
                    (1_048_576.0, "MiB"),
                    (1_073_741_824.0, "GiB"),
                ],
            ),
            Self::Times => digits(value),
        }
    }

    /// The middle half of what was taken.
    pub(crate) fn spread(self, figure: Figure) -> String {
        format!("{} - {}", self.write(figure.low), self.write(figure.high))
    }
}

fn scaled(value: f64, step: f64, units: &[(f64, &str)]) -> String {
    let fits = |it: &&(f64, &str)| value.abs() < it.0 * step * 0.9995;
    let last = units.last().expect("units");
    let (size, name) = units.iter().find(fits).unwrap_or(last);
    format!("{} {name}", digits(value / size))
}

fn digits(value: f64) -> String {
    match value.abs() {
        it if it >= 99.95 => format!("{value:.0}"),
        it if it >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_in_the_unit_that_fits() {
        let seconds = |it| Unit::Seconds.write(it);
        assert_eq!(seconds(0.0), "0.00 ns");
        assert_eq!(seconds(9.87e-9), "9.87 ns");
        assert_eq!(seconds(123.4e-9), "123 ns");
        assert_eq!(seconds(999.9e-9), "1.00 us");
        assert_eq!(seconds(0.0123), "12.3 ms");
        assert_eq!(seconds(2000.0), "2000 s");
        assert_eq!(Unit::Bytes.write(1536.0), "1.50 KiB");
        assert_eq!(Unit::Bytes.write(-4096.0), "-4.00 KiB");
        assert_eq!(Unit::Times.write(1.049), "1.05");
    }
}
