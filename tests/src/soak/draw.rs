//! The samples as a picture: one curve above the other.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use super::judge::{MEASURES, Measure};
use super::sample::Sample;

const COLOURS: [RGBColor; 5] = [
    RGBColor(0x17, 0x3f, 0x6b),
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0x2c, 0xa0, 0x2c),
    RGBColor(0xd6, 0x6a, 0x1f),
    RGBColor(0x94, 0x46, 0xbd),
];

pub(crate) fn draw(samples: &[Sample], path: &Path) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(path, (1000, 1000)).into_drawing_area();
    area.fill(&WHITE)?;
    let parts = area.split_evenly((MEASURES.len(), 1));
    for ((measure, colour), part) in MEASURES.iter().zip(COLOURS).zip(parts) {
        draw_one(samples, measure, colour, &part)?;
    }
    area.present()?;
    Ok(())
}

fn draw_one(
    samples: &[Sample],
    measure: &Measure,
    colour: RGBColor,
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
) -> Result<(), Box<dyn Error>> {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let value = |it: &Sample| (measure.of)(it) as f64;
    let points: Vec<(f64, f64)> = samples
        .iter()
        .map(|it| (it.at.as_secs_f64() / 60.0, value(it)))
        .collect();
    let end = points.last().map_or(1.0, |it| it.0);
    let most = points.iter().map(|it| it.1).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(measure.name, ("sans-serif", 18))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(60)
        // From zero: what is flat has to look flat, and what is not has to look as much as it is.
        .build_cartesian_2d(0.0..end, 0.0..most * 1.1)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .y_labels(5)
        .x_label_formatter(&|minutes| format!("{minutes:.0} min"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .draw()?;
    chart.draw_series([PathElement::new(points, colour.stroke_width(1))])?;
    Ok(())
}
