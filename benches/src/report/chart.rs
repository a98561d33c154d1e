//! Bars beside each other, in panels, as a picture.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::OURS;
use super::figure::Unit;

/// Some contenders and a figure of each; shorter is better.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) rows: Vec<(String, f64)>,
    /// What the bars are to be held against, and where it is.
    pub(crate) mark: Option<(String, f64)>,
}

const WIDTH: u32 = 1000;
const COLUMNS: usize = 2;
const MARGIN: i32 = 14;
const TITLE: i32 = 42;
const ROW: i32 = 20;
/// Where the names end and the bars begin.
const NAMES: i32 = 252;
/// What is kept free for a figure behind the longest bar.
const VALUES: i32 = 62;

const OURS_COLOUR: RGBColor = RGBColor(0xd9, 0x5f, 0x0e);
const PEER_COLOUR: RGBColor = RGBColor(0x8d, 0xa4, 0xbf);
const TEXT_COLOUR: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const QUIET_COLOUR: RGBColor = RGBColor(0x6a, 0x73, 0x7d);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws all panels, two in a row.
pub(crate) fn draw(panels: &[Panel], footer: &str, path: &Path) -> Result<(), Box<dyn Error>> {
    let rows: Vec<&[Panel]> = panels.chunks(COLUMNS).collect();
    let height_of = |row: &[Panel]| row.iter().map(Panel::height).max().unwrap_or(0);
    let heights: Vec<i32> = rows.iter().map(|it| height_of(it)).collect();
    let height = heights.iter().sum::<i32>() + 2 * MARGIN;
    let root = SVGBackend::new(path, (WIDTH, u32::try_from(height)?)).into_drawing_area();
    root.fill(&WHITE)?;
    let width = i32::try_from(WIDTH)? / i32::try_from(COLUMNS)?;
    let mut top = 0;
    for (row, height) in rows.iter().zip(&heights) {
        let mut left = 0;
        for panel in *row {
            panel.draw(&root, (left, top), width)?;
            left += width;
        }
        top += height;
    }
    let style = text(13, QUIET_COLOUR, HPos::Left);
    root.draw(&Text::new(footer.to_owned(), (MARGIN, top + MARGIN), style))?;
    root.present()?;
    Ok(())
}

impl Panel {
    fn height(&self) -> i32 {
        TITLE + ROW * i32::try_from(self.rows.len()).unwrap_or(0) + MARGIN
    }

    fn draw(
        &self,
        on: &Area<'_>,
        (left, top): (i32, i32),
        width: i32,
    ) -> Result<(), Box<dyn Error>> {
        let title = text(17, TEXT_COLOUR, HPos::Left);
        let at = (left + MARGIN, top + TITLE / 3);
        on.draw(&Text::new(self.title.clone(), at, title))?;
        let (start, room) = (left + NAMES, width - NAMES - VALUES - MARGIN);
        let longest = self.rows.iter().map(|it| it.1).fold(0.0, f64::max);
        let length = |value: f64| (f64::from(room) * value / longest).round() as i32;
        let mut middle = top + TITLE + ROW / 2;
        for (name, value) in &self.rows {
            let is_ours = name.starts_with(OURS);
            let (bar, label) = match is_ours {
                true => (OURS_COLOUR, TEXT_COLOUR),
                false => (PEER_COLOUR, QUIET_COLOUR),
            };
            let end = start + length(*value).max(1);
            let corners = [(start, middle - 7), (end, middle + 7)];
            on.draw(&Rectangle::new(corners, bar.filled()))?;
            let style = text(13, label, HPos::Right);
            on.draw(&Text::new(name.clone(), (start - 6, middle), style))?;
            let style = text(13, label, HPos::Left);
            on.draw(&Text::new(
                self.unit.write(*value),
                (end + 5, middle),
                style,
            ))?;
            middle += ROW;
        }
        if let Some((name, value)) = &self.mark {
            let x = start + length(*value);
            let ends = [(x, top + TITLE - 2), (x, middle - ROW / 2 + 2)];
            on.draw(&PathElement::new(ends, TEXT_COLOUR))?;
            let style = text(13, TEXT_COLOUR, HPos::Center);
            on.draw(&Text::new(name.clone(), (x, top + TITLE - 8), style))?;
        }
        Ok(())
    }
}

/// `size` is that of the box around a line; its letters are four fifths of it.
fn text(size: u32, colour: RGBColor, side: HPos) -> TextStyle<'static> {
    ("sans-serif", size)
        .into_font()
        .color(&colour)
        .pos(Pos::new(side, VPos::Center))
}
