//! What a figure has to be, and whether it is.

use super::figure::Unit;
use crate::measure::Figure;

/// The most that a figure may be, and what it was.
pub(crate) struct Bar {
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) most: f64,
    pub(crate) figure: Figure,
}

impl Bar {
    /// `what` as a multiple of something else, which `what` names.
    pub(crate) fn times(what: impl Into<String>, most: f64, figure: Figure) -> Self {
        Self::new(what, Unit::Times, most, figure)
    }

    pub(crate) fn seconds(what: impl Into<String>, most: f64, figure: Figure) -> Self {
        Self::new(what, Unit::Seconds, most, figure)
    }

    pub(crate) fn bytes(what: impl Into<String>, most: f64, figure: Figure) -> Self {
        Self::new(what, Unit::Bytes, most, figure)
    }

    fn new(what: impl Into<String>, unit: Unit, most: f64, figure: Figure) -> Self {
        Self {
            what: what.into(),
            unit,
            most,
            figure,
        }
    }

    /// As written: a figure that reads like the bar has met it.
    pub(crate) fn is_met(&self) -> bool {
        self.figure.median <= self.most
            || self.unit.write(self.figure.median) == self.unit.write(self.most)
    }

    pub(crate) fn cells(&self) -> [String; 5] {
        let verdict = match self.is_met() {
            true => "met".to_owned(),
            false => format!("missed, {:.2} x", self.figure.median / self.most),
        };
        [
            self.what.clone(),
            self.unit.write(self.most),
            self.unit.write(self.figure.median),
            self.unit.spread(self.figure),
            verdict,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_met_or_missed_by_a_factor() {
        let verdict = |figure| Bar::times("a", 0.5, Figure::once(figure)).cells()[4].clone();
        assert_eq!(verdict(0.4), "met");
        assert_eq!(verdict(0.504), "met");
        assert_eq!(verdict(0.51), "missed, 1.02 x");
        assert_eq!(verdict(1.0), "missed, 2.00 x");
        assert!(!Bar::seconds("a", 1e-8, Figure::once(f64::NAN)).is_met());
    }
}
