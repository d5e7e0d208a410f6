//! What was measured, as a table.

use std::fmt;

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// The ratio, at least.
    RatioFrom(f64),
    /// The ratio, at the most.
    RatioTo(f64),
    /// The figure itself, at least.
    From(f64),
    /// The figure itself, at the most.
    To(f64),
    /// No aim: the figure is for comparison.
    None,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    /// So many of these a second.
    PerSecond(&'static str),
    /// Milliseconds.
    Milliseconds,
    /// MiB.
    Mebibytes,
    /// So many of these.
    Of(&'static str),
}

/// One measurement beside its floor.
#[derive(Clone, Debug)]
pub struct Line {
    /// What was measured.
    pub name: String,
    /// What both figures count.
    pub unit: Unit,
    /// The server's figure.
    pub ours: f64,
    /// The floor's.
    pub floor: Option<f64>,
    /// What it should be.
    pub aim: Aim,
}

impl Line {
    fn ratio(&self) -> Option<f64> {
        self.floor.map(|floor| self.ours / floor)
    }

    fn met(&self) -> Option<bool> {
        let ratio = self.ratio();
        match self.aim {
            Aim::RatioFrom(aim) => ratio.map(|ratio| ratio >= aim),
            Aim::RatioTo(aim) => ratio.map(|ratio| ratio <= aim),
            Aim::From(aim) => Some(self.ours >= aim),
            Aim::To(aim) => Some(self.ours <= aim),
            Aim::None => None,
        }
    }

    fn cells(&self) -> [String; 6] {
        let ratio = self.ratio().map(|ratio| format!("{ratio:.2}"));
        let aim = match self.aim {
            Aim::RatioFrom(aim) => format!("ratio ≥ {aim}"),
            Aim::RatioTo(aim) => format!("ratio ≤ {aim}"),
            Aim::From(aim) => format!("≥ {}", self.unit.write(aim)),
            Aim::To(aim) => format!("≤ {}", self.unit.write(aim)),
            Aim::None => String::new(),
        };
        let met = self.met().map(|met| if met { "yes" } else { "no" });
        [
            self.name.clone(),
            self.unit.write(self.ours),
            self.floor.map(|floor| self.unit.write(floor)).unwrap_or_default(),
            ratio.unwrap_or_default(),
            aim,
            met.unwrap_or_default().to_owned(),
        ]
    }
}

impl Unit {
    fn write(self, figure: f64) -> String {
        match self {
            Self::PerSecond(what) => format!("{} {what}/s", thousands(figure)),
            Self::Milliseconds => format!("{figure:.2} ms"),
            Self::Mebibytes => format!("{figure:.1} MiB"),
            Self::Of(what) => format!("{} {what}", thousands(figure)),
        }
    }
}

/// A number without its fraction, in groups of three digits.
fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cells().join(" | "))
    }
}

/// The lines as an aligned markdown table.
pub fn table(lines: &[Line]) -> String {
    let headings = ["measurement", "ours", "floor", "ratio", "aim", "met"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(headings).chain(lines.iter().map(Line::cells)).collect();
    let mut widths = [3; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut table = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Figures are read by their last digit.
            let cell = if (1..4).contains(&at) { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            table.extend(["| ", &cell, " "]);
        }
        table.push_str("|\n");
        if index == 0 {
            for (at, width) in widths.iter().enumerate() {
                let rule = "-".repeat(width + 1);
                let ends = if (1..4).contains(&at) { ["|", &rule, ":"] } else { ["|-", &rule, ""] };
                table.extend(ends);
            }
            table.push_str("|\n");
        }
    }
    table
}
