//! The terminal: bars at its end, lines above them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::meter::Counts;
use super::text;
use crate::per_process::PerProcess;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

static SCREEN: PerProcess<Screen> = PerProcess::new(Screen::default);

/// All bars of the process.
#[derive(Default)]
struct Screen {
    bars: OnceLock<MultiProgress>,
    /// How many there are.
    count: AtomicUsize,
    /// They have been cleared away, and are not drawn until they are to be seen again.
    hidden: AtomicBool,
}

fn bars() -> &'static MultiProgress {
    let stderr = ProgressDrawTarget::stderr;
    SCREEN
        .bars
        .get_or_init(|| MultiProgress::with_draw_target(stderr()))
}

/// Writes something, with the bars out of the way if it goes to a terminal.
pub(super) fn above<R>(is_terminal: bool, write: impl FnOnce() -> R) -> R {
    let screen = &*SCREEN;
    let is_free = screen.count.load(Ordering::SeqCst) == 0 || screen.hidden.load(Ordering::SeqCst);
    match screen.bars.get() {
        Some(bars) if is_terminal && !is_free => bars.suspend(write),
        _ => write(),
    }
}

/// Clears the bars away until [`reveal`]. Not from a thread that panics: nothing is drawn there.
pub(super) fn hide() {
    SCREEN.hidden.store(true, Ordering::SeqCst);
    if let Some(bars) = SCREEN.bars.get() {
        // A terminal that is gone has nothing to be cleared.
        let _ = bars.clear();
    }
}

pub(super) fn reveal() {
    SCREEN.hidden.store(false, Ordering::SeqCst);
}

/// The bar of one call.
pub(super) struct Bar {
    bar: ProgressBar,
    words: Arc<Mutex<String>>,
}

impl Bar {
    /// A bar below those that there are.
    pub(super) fn new(title: &str, total: Option<u64>) -> Self {
        let words: Arc<Mutex<String>> = Arc::default();
        let shown = Arc::clone(&words);
        let template = match total {
            Some(_) => "{title} [{wide_bar}] {words}",
            None => "{title} {spinner} {words}",
        };
        let title = title.to_owned();
        let style = ProgressStyle::with_template(template)
            .expect("a template that is always the same")
            .progress_chars("#>-")
            .tick_chars("-\\|/ ")
            .with_key(
                "title",
                move |_: &ProgressState, to: &mut dyn fmt::Write| {
                    let _ = to.write_str(&title);
                },
            )
            .with_key(
                "words",
                move |_: &ProgressState, to: &mut dyn fmt::Write| {
                    let _ = to.write_str(&shown.lock());
                },
            );
        SCREEN.count.fetch_add(1, Ordering::SeqCst);
        let bar = bars().add(ProgressBar::hidden());
        bar.set_style(style);
        Self { bar, words }
    }

    /// Shows how far the call is.
    pub(super) fn draw(&self, counts: &Counts, words: &str) {
        let ended = counts.ended();
        let whole = counts.whole();
        *self.words.lock() = match whole {
            Some(whole) => format!("{:3}% {words}", percent(ended, whole)),
            None => words.to_owned(),
        };
        self.bar.update(|state| {
            state.set_pos(ended);
            if let Some(whole) = whole {
                state.set_len(whole);
            }
        });
    }

    /// Takes the bar away, and leaves a line in its place.
    pub(super) fn end(self, title: &str, counts: &Counts) {
        self.bar.finish_and_clear();
        bars().remove(&self.bar);
        let line = format!("{title}: {}", text::end(counts));
        super::eprintln(line);
        SCREEN.count.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Whole percents, 100 only when nothing is left.
fn percent(part: u64, whole: u64) -> u128 {
    if whole == 0 {
        return 100;
    }
    u128::from(part) * 100 / u128::from(whole)
}

#[cfg(test)]
mod tests {
    use std::io;

    use indicatif::TermLike;
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    /// A terminal of 40 columns, and what was drawn there.
    #[derive(Clone, Debug, Default)]
    struct Terminal(Arc<Mutex<String>>);

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            40
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A bar that is wider than its line goes on in the next, and is left behind there when it is drawn again.
    #[test]
    fn a_bar_fits_its_line_whatever_the_title() {
        for title in [
            "plain",
            "漢字の進捗",
            "🦀 crabs",
            "e\u{301}e\u{301}e\u{301}",
        ] {
            let terminal = Terminal::default();
            let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
            let bar = ProgressBar::with_draw_target(Some(10), target);
            let title = title.to_owned();
            let shown = title.clone();
            let style = ProgressStyle::with_template("{title} [{wide_bar}] 40%").unwrap();
            let write = move |_: &ProgressState, to: &mut dyn fmt::Write| {
                let _ = to.write_str(&shown);
            };
            bar.set_style(style.with_key("title", write));
            bar.set_position(4);
            bar.force_draw();
            let drawn = terminal.0.lock().clone();
            let line = drawn.rsplit(&title).next().unwrap();
            assert_eq!(title.width() + line.trim_end().width(), 40, "{drawn:?}");
        }
    }

    #[test]
    fn all_of_nothing_is_all() {
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(u64::MAX, u64::MAX), 100);
    }

    #[test]
    fn what_is_not_done_is_less_than_all() {
        assert_eq!(percent(999, 1000), 99);
        assert_eq!(percent(1, 1000), 0);
    }
}
