//! Markdown tables, aligned so that they can be read as they are.

use std::fmt;

/// A table: the first column holds words, the others figures.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<H: Into<String>>(head: impl IntoIterator<Item = H>) -> Self {
        Self {
            rows: vec![head.into_iter().map(Into::into).collect()],
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        assert_eq!(
            cells.len(),
            self.rows[0].len(),
            "a row has a cell for each column"
        );
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.rows[0].len())
            .map(|at| {
                self.rows
                    .iter()
                    .map(|row| row[at].chars().count())
                    .max()
                    .unwrap_or(0)
                    .max(3)
            })
            .collect();
        for (at, row) in self.rows.iter().enumerate() {
            write!(f, "|")?;
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(f, " {cell:<width$} |")?,
                    _ => write!(f, " {cell:>width$} |")?,
                }
            }
            writeln!(f)?;
            if at == 0 {
                write!(f, "|")?;
                for (column, &width) in widths.iter().enumerate() {
                    let line = "-".repeat(width);
                    match column {
                        0 => write!(f, " {line} |")?,
                        _ => write!(f, " {}: |", &line[1..])?,
                    }
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
