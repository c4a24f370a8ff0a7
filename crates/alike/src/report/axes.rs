//! Scales, ticks and axes.

use super::figure::{N, WIDTH};
use maud::{Markup, html};

/// A straight scale from values to units of the drawing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) from: (f64, f64),
    pub(super) to: (f64, f64),
}

impl Scale {
    pub(super) fn at(&self, v: f64) -> f64 {
        let span = self.from.1 - self.from.0;
        let share = if span > 0.0 { (v - self.from.0) / span } else { 0.5 };
        self.to.0 + share * (self.to.1 - self.to.0)
    }

    /// About `n` round values within the scale, and the digits after the point that they need.
    fn ticks(&self, n: usize) -> (Vec<f64>, usize) {
        let span = self.from.1 - self.from.0;
        if span.is_nan() || span <= 0.0 || !span.is_finite() {
            return (vec![self.from.0], 2);
        }
        let rough = span / n as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|m| m * power)
            .into_iter()
            .find(|s| *s >= rough * 0.99)
            .unwrap_or(power);
        let first = (self.from.0 / step).ceil() as i64;
        let last = (self.from.1 / step + 1e-9).floor() as i64;
        let digits = (-step.log10().floor()).max(0.0) as usize;
        ((first..=last).map(|i| i as f64 * step).collect(), digits)
    }
}

/// A plot's two scales, with room for labels left of and below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) x: Scale,
    pub(super) y: Scale,
}

const LEFT: f64 = 44.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 6.0;
const BELOW: f64 = 38.0;

/// How numbers along an axis are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unit {
    Plain,
    /// Of shares, from 0 to 1.
    Percent,
}

impl Unit {
    fn write(self, v: f64, digits: usize) -> String {
        match self {
            Unit::Percent => format!("{:.*} %", digits.saturating_sub(2), 100.0 * v),
            Unit::Plain if v.abs() >= 10_000.0 => {
                format!("{:.*}k", usize::from(v % 1000.0 != 0.0), v / 1000.0)
            }
            Unit::Plain => format!("{v:.digits$}"),
        }
    }
}

impl Frame {
    pub(super) fn new(height: f64, x: (f64, f64), y: (f64, f64)) -> Frame {
        Frame {
            x: Scale { from: x, to: (LEFT, WIDTH - RIGHT) },
            y: Scale { from: y, to: (height - BELOW, TOP) },
        }
    }

    /// Grid, numbers and the axes' names.
    pub(super) fn axes(&self, x: (&str, Unit), y: (&str, Unit)) -> Markup {
        let (bottom, top) = self.y.to;
        let (left, right) = self.x.to;
        let ((xs, x_digits), (ys, y_digits)) = (self.x.ticks(5), self.y.ticks(5));
        html! {
            @for v in ys {
                line class="s-line" x1=(N(left)) x2=(N(right)) y1=(N(self.y.at(v))) y2=(N(self.y.at(v))) {}
                text class="s f-faint" x=(N(left - 5.0)) y=(N(self.y.at(v) + 3.5)) text-anchor="end" { (y.1.write(v, y_digits)) }
            }
            @for v in xs {
                line class="s-line" x1=(N(self.x.at(v))) x2=(N(self.x.at(v))) y1=(N(bottom)) y2=(N(bottom + 4.0)) {}
                text class="s f-faint" x=(N(self.x.at(v))) y=(N(bottom + 15.0)) text-anchor="middle" { (x.1.write(v, x_digits)) }
            }
            line class="s-faint" x1=(N(left)) x2=(N(right)) y1=(N(bottom)) y2=(N(bottom)) {}
            text class="s f-ink" x=(N((left + right) / 2.0)) y=(N(bottom + 31.0)) text-anchor="middle" { (x.0) }
            @if !y.0.is_empty() {
                text class="s f-ink" text-anchor="middle"
                    transform=(format!("translate(9 {:.1}) rotate(-90)", (top + bottom) / 2.0)) { (y.0) }
            }
        }
    }

    /// A line through points, as a path.
    pub(super) fn path(&self, points: &[(f64, f64)]) -> String {
        let mut d = String::new();
        for (i, (x, y)) in points.iter().enumerate() {
            let verb = if i == 0 { 'M' } else { 'L' };
            d.push_str(&format!("{verb}{:.1} {:.1}", self.x.at(*x), self.y.at(*y)));
        }
        d
    }
}

/// The least and the largest value, widened by `share` of their distance on both sides.
pub(super) fn range(values: impl Iterator<Item = f64>, share: f64) -> (f64, f64) {
    let (lo, hi) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    if lo > hi {
        return (0.0, 1.0);
    }
    let room = if hi > lo { (hi - lo) * share } else { lo.abs().max(1.0) * 0.5 };
    (lo - room, hi + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let ticks = |a, b| Scale { from: (a, b), to: (0.0, 1.0) }.ticks(5);
        assert_eq!(ticks(0.0, 1.0), (vec![0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0], 1));
        assert_eq!(ticks(0.0, 2811.0).0, [0.0, 1000.0, 2000.0]);
        assert_eq!(ticks(-0.03, 0.02), (vec![-0.03, -0.02, -0.01, 0.0, 0.01, 0.02], 2));
        assert_eq!(ticks(3.0, 3.0).0, [3.0]);
    }
}
