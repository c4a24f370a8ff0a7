//! Scales, ticks and axes.

use super::figure::{N, WIDTH};
use super::text::{Anchor, SMALL, width, written};
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

/// A plot's two scales, with room for labels beside and below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) x: Scale,
    pub(super) y: Scale,
}

const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 8.0;
const BELOW: f64 = 38.0;

/// How numbers along an axis are written, and where its ticks stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unit {
    /// None at all: rows that are no numbers.
    None,
    Plain,
    /// Whole numbers.
    Count,
    /// Of shares, from 0 to 1.
    Percent,
    /// Of logarithms to the base 10.
    Log,
    /// Of normal deviates of shares.
    Deviate,
}

/// Shares that have a tick on an axis of normal deviates.
const SHARES: [f64; 13] = [1e-5, 1e-4, 1e-3, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.98];

impl Unit {
    fn write(self, v: f64, digits: usize) -> String {
        match self {
            Unit::None => String::new(),
            Unit::Percent => format!("{:.*} %", digits.saturating_sub(2), 100.0 * v),
            Unit::Log if v.abs() < 1e-9 => "1".to_owned(),
            Unit::Log => format!("10{}", raised(v.round() as i64)),
            Unit::Deviate => {
                let percent = 100.0 * normal_share(v);
                let digits = if percent < 0.095 {
                    3
                } else if percent < 0.95 {
                    1
                } else {
                    0
                };
                let text = format!("{percent:.digits$}");
                let text = if text.contains('.') {
                    text.trim_end_matches('0').trim_end_matches('.').to_owned()
                } else {
                    text
                };
                format!("{text} %")
            }
            Unit::Plain | Unit::Count if v.abs() >= 10_000.0 => {
                format!("{:.*}k", usize::from(v % 1000.0 != 0.0), v / 1000.0)
            }
            Unit::Count => format!("{v:.0}"),
            Unit::Plain => format!("{v:.digits$}"),
        }
    }

    /// Values within the scale that have a tick, and what stands there; no more than stand apart.
    fn ticks(self, scale: &Scale, n: usize) -> Vec<(f64, String)> {
        let (lo, hi) = scale.from;
        let inside = |v: &f64| *v >= lo - 1e-9 && *v <= hi + 1e-9;
        match self {
            Unit::None => Vec::new(),
            Unit::Log => {
                let all: Vec<i64> = (lo.ceil() as i64..=hi.floor() as i64).collect();
                all.iter().map(|v| (*v as f64, self.write(*v as f64, 0))).collect()
            }
            Unit::Deviate => {
                let all: Vec<f64> = SHARES.iter().map(|s| normal_deviate(*s)).filter(inside).collect();
                all.iter().map(|v| (*v, self.write(*v, 0))).collect()
            }
            _ => {
                let (all, digits) = scale.ticks(n);
                let whole = |v: &f64| self != Unit::Count || v.fract().abs() < 1e-9;
                all.into_iter().filter(whole).map(|v| (v, self.write(v, digits))).collect()
            }
        }
    }
}

/// Digits and a sign as they stand above a line.
fn raised(power: i64) -> String {
    let digit = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        c => char::from_u32(0x2070 + c as u32 - '0' as u32).unwrap_or(c),
    };
    power.to_string().chars().map(digit).collect()
}

/// The share of a normal distribution that lies below `z`.
pub(super) fn normal_share(z: f64) -> f64 {
    // Abramowitz and Stegun 1964, 7.1.26, whose error is below 2e-7.
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly = t
        * (0.254_829_592
            + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let upper = 0.5 * poly * (-x * x).exp();
    if z > 0.0 { 1.0 - upper } else { upper }
}

/// Below what a share of a normal distribution lies: shares of 0 and 1 stand where 10^-6 of all is left.
pub(super) fn normal_deviate(share: f64) -> f64 {
    let p = share.clamp(1e-6, 1.0 - 1e-6);
    // Halving an interval is slow, and few points are asked for.
    let (mut lo, mut hi) = (-6.0, 6.0);
    for _ in 0..60 {
        let middle = 0.5 * (lo + hi);
        if normal_share(middle) < p { lo = middle } else { hi = middle }
    }
    0.5 * (lo + hi)
}

impl Frame {
    pub(super) fn new(height: f64, x: (f64, f64), y: (f64, f64)) -> Frame {
        Frame {
            x: Scale { from: x, to: (LEFT, WIDTH - RIGHT) },
            y: Scale { from: y, to: (height - BELOW, TOP) },
        }
    }

    /// With room above the plot, as for a key.
    pub(super) fn below(mut self, room: f64) -> Frame {
        self.y.to.1 += room;
        self
    }

    /// With room for an axis at the right.
    pub(super) fn before(mut self, room: f64) -> Frame {
        self.x.to.1 -= room;
        self
    }

    /// Grid, numbers and the axes' names.
    pub(super) fn axes(&self, x: (&str, Unit), y: (&str, Unit)) -> Markup {
        let (bottom, top) = self.y.to;
        let (left, right) = self.x.to;
        let xs = apart(x.1.ticks(&self.x, 5), |v, text| {
            let half = width(text, SMALL, false) / 2.0;
            (self.x.at(v) - half - 4.0, self.x.at(v) + half + 4.0)
        });
        let ys = apart(y.1.ticks(&self.y, 5), |v, _| (-self.y.at(v) - 6.5, -self.y.at(v) + 6.5));
        html! {
            @for (v, text) in ys {
                line class="s-line" x1=(N(left)) x2=(N(right)) y1=(N(self.y.at(v))) y2=(N(self.y.at(v))) {}
                text class="s f-faint" x=(N(left - 5.0)) y=(N(self.y.at(v) + 4.0)) text-anchor="end" { (text) }
            }
            @for (v, text) in xs {
                line class="s-faint" x1=(N(self.x.at(v))) x2=(N(self.x.at(v))) y1=(N(bottom)) y2=(N(bottom + 4.0)) {}
                // A number at the panel's edge keeps inside.
                @let half = width(&text, SMALL, false) / 2.0;
                text class="s f-faint" x=(N(self.x.at(v).min(WIDTH - half))) y=(N(bottom + 16.0)) text-anchor="middle" { (text) }
            }
            line class="s-faint" x1=(N(left)) x2=(N(right)) y1=(N(bottom)) y2=(N(bottom)) {}
            (written("s f-ink", ((left + right) / 2.0, bottom + 32.0), Anchor::Middle, x.0, WIDTH - left))
            (upright(10.0, (top + bottom) / 2.0, y.0))
        }
    }

    /// Numbers at the right, of an axis of its own, and its name.
    pub(super) fn right_axis(&self, scale: &Scale, name: &str, unit: Unit) -> Markup {
        let (bottom, top) = self.y.to;
        let right = self.x.to.1;
        let ticks = apart(unit.ticks(scale, 5), |v, _| (-scale.at(v) - 6.5, -scale.at(v) + 6.5));
        html! {
            @for (v, text) in ticks {
                text class="s f-faint" x=(N(right + 5.0)) y=(N(scale.at(v) + 4.0)) { (text) }
            }
            (upright(WIDTH - 3.0, (top + bottom) / 2.0, name))
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

/// An axis's name along it.
fn upright(x: f64, middle: f64, name: &str) -> Markup {
    html! {
        @if !name.is_empty() {
            text class="s f-ink" text-anchor="middle" transform=(format!("translate({x:.1} {middle:.1}) rotate(-90)")) { (name) }
        }
    }
}

/// Ticks whose texts do not touch; `span` says from where to where one reaches.
fn apart(ticks: Vec<(f64, String)>, span: impl Fn(f64, &str) -> (f64, f64)) -> Vec<(f64, String)> {
    // Every second, third and so on, so that what is left stays even.
    let clear = |every: &usize| {
        let kept: Vec<(f64, f64)> = ticks.iter().rev().step_by(*every).map(|(v, t)| span(*v, t)).collect();
        kept.windows(2).all(|w| w[1].1 <= w[0].0 || w[0].1 <= w[1].0)
    };
    let every = (1..=ticks.len().max(1)).find(clear).unwrap_or(1);
    let n = ticks.len();
    ticks.into_iter().enumerate().filter(|(i, _)| (n - 1 - i).is_multiple_of(every)).map(|(_, t)| t).collect()
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

/// How many bins a histogram of so many values has, at most `most`: about twice the cube root (Rice's rule).
pub(super) fn bins(values: usize, most: usize) -> usize {
    ((2.0 * (values as f64).cbrt()).ceil() as usize).clamp(4, most)
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

    #[test]
    fn logarithms_and_normal_deviates_are_written_as_shares() {
        let ticks = |unit: Unit, from| -> Vec<String> {
            unit.ticks(&Scale { from, to: (0.0, 300.0) }, 5).into_iter().map(|t| t.1).collect()
        };
        assert_eq!(ticks(Unit::Log, (-4.0, 0.0)), ["10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "1"]);
        assert_eq!(ticks(Unit::Deviate, (-2.4, 0.3)), ["2 %", "5 %", "10 %", "20 %", "40 %", "60 %"]);
        assert_eq!(ticks(Unit::Count, (0.0, 3.0)), ["0", "1", "2", "3"]);
        // Quantiles of the normal distribution from tables.
        for (share, z) in [(0.5, 0.0), (0.975, 1.959_964), (0.001, -3.090_232), (0.2, -0.841_621)] {
            assert!((normal_deviate(share) - z).abs() < 1e-3, "{share}");
            assert!((normal_share(z) - share).abs() < 1e-6, "{z}");
        }
    }

    #[test]
    fn few_values_have_few_bins() {
        assert_eq!([3, 20, 1000, 1_000_000].map(|n| bins(n, 60)), [4, 6, 20, 60]);
    }
}
