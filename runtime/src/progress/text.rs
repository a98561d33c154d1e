//! Counts and times as words.

use std::fmt::Write as _;
use std::time::Duration;

use super::meter::Counts;

/// How far a call is: `3 of 40 done, 1 failed, 12 s left`.
pub(super) fn state(counts: &Counts, left: Option<Duration>) -> String {
    let mut text = match counts.whole() {
        // Padded, so that lines below each other can be compared.
        Some(total) => {
            let width = total.to_string().len();
            format!("{:width$} of {total} done", counts.ended())
        }
        None => format!("{} done", counts.ended()),
    };
    failures(&mut text, counts);
    match (counts.whole(), left) {
        (Some(_), Some(left)) => _ = write!(text, ", {} left", time(left)),
        _ => _ = write!(text, ", after {}", time(counts.elapsed)),
    }
    text
}

/// What a call has come to: `40 of 40 done, 3 failed, in 12 s`.
pub(super) fn end(counts: &Counts) -> String {
    let ended = counts.ended();
    let is_whole = counts.total.is_none_or(|total| ended >= total) && counts.not_run == 0;
    let mut text = match (is_whole, counts.whole()) {
        (true, Some(total)) => format!("{ended} of {total} done"),
        (true, None) => format!("{ended} done"),
        (false, Some(total)) => format!("stopped at {ended} of {total}"),
        (false, None) => format!("stopped at {ended}"),
    };
    failures(&mut text, counts);
    let word = if is_whole { "in" } else { "after" };
    let _ = write!(text, ", {word} {}", time(counts.elapsed));
    text
}

fn failures(text: &mut String, counts: &Counts) {
    if counts.failed > 0 {
        let _ = write!(text, ", {} failed", counts.failed);
    }
}

/// A time in the unit that suits it.
fn time(time: Duration) -> String {
    const FAR: u64 = 365 * 24 * 3600;
    let secs = time.as_secs();
    match secs {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{secs} s"),
        60..3600 => format!("{} min {:02} s", secs / 60, secs % 60),
        3600..FAR => format!("{} h {:02} min", secs / 3600, secs / 60 % 60),
        _ => "more than a year".to_owned(),
    }
}

/// A title on one line, whatever is in it.
pub(super) fn title(text: &str) -> String {
    let visible = |it: char| if it.is_control() { ' ' } else { it };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(good: u64, failed: u64, total: Option<u64>) -> Counts {
        Counts {
            good,
            known: 0,
            failed,
            not_run: 0,
            total,
            elapsed: Duration::from_millis(4200),
            working: None,
        }
    }

    #[test]
    fn counts_are_padded_to_the_digits_of_the_total() {
        let left = Some(Duration::from_secs(12));
        assert_eq!(
            state(&counts(2, 1, Some(4000)), left),
            "   3 of 4000 done, 1 failed, 12 s left"
        );
        assert_eq!(
            state(&counts(0, 0, Some(40)), None),
            " 0 of 40 done, after 4.2 s"
        );
    }

    #[test]
    fn without_a_total_there_is_no_end_to_tell() {
        assert_eq!(
            state(&counts(120, 3, None), None),
            "123 done, 3 failed, after 4.2 s"
        );
    }

    #[test]
    fn more_than_there_should_be_raises_the_total() {
        assert_eq!(
            state(&counts(101, 0, Some(100)), Some(Duration::ZERO)),
            "101 of 101 done, 0.0 s left"
        );
        assert_eq!(end(&counts(101, 0, Some(100))), "101 of 101 done, in 4.2 s");
    }

    #[test]
    fn an_end_says_whether_it_came_too_early() {
        assert_eq!(
            end(&counts(7, 1, Some(8))),
            "8 of 8 done, 1 failed, in 4.2 s"
        );
        assert_eq!(
            end(&counts(5, 0, Some(8))),
            "stopped at 5 of 8, after 4.2 s"
        );
        assert_eq!(end(&counts(5, 0, None)), "5 done, in 4.2 s");
        let left_over = Counts {
            not_run: 2,
            ..counts(5, 0, None)
        };
        assert_eq!(end(&left_over), "stopped at 5, after 4.2 s");
    }

    #[test]
    fn times_have_two_units_at_most() {
        let of = |secs| time(Duration::from_secs(secs));
        assert_eq!(time(Duration::from_millis(340)), "0.3 s");
        assert_eq!(of(59), "59 s");
        assert_eq!(of(65), "1 min 05 s");
        assert_eq!(of(3600 * 25 + 61), "25 h 01 min");
        assert_eq!(time(Duration::MAX), "more than a year");
    }

    #[test]
    fn a_title_stays_on_its_line() {
        assert_eq!(title("a\nb\u{1b}[2Jc"), "a b [2Jc");
    }
}
