//! How two kinds are spread along one axis.

use crate::report::axes::{Frame, Unit};
use crate::report::figure::{N, Panel};
use crate::report::text::BODY;
use maud::{Markup, html};

const HEIGHT: f64 = 250.0;
const COLOURS: [&str; 2] = ["right", "wrong"];
/// What a key's line takes.
const KEY: f64 = 16.0;

/// Shares of two kinds in equal parts of the values from zero to `most`; and a threshold, if there is one.
pub(super) fn histogram(
    title: &str,
    axis: &str,
    most: f64,
    shares: &[[f64; 2]],
    names: [&str; 2],
    threshold: Option<f64>,
) -> Panel {
    let most = most.max(f64::MIN_POSITIVE);
    let highest = shares.iter().flatten().copied().fold(0.01, f64::max);
    let frame = Frame::new(HEIGHT, (0.0, most), (0.0, highest)).below(2.0 * KEY + 4.0);
    let width = (frame.x.at(most) - frame.x.at(0.0)) / shares.len().max(1) as f64;
    let body = html! {
        (frame.axes((axis, Unit::Plain), ("share of its kind", Unit::Percent)))
        @for (bin, share) in shares.iter().enumerate() {
            @for (k, (share, colour)) in share.iter().zip(COLOURS).enumerate().filter(|(_, (share, _))| **share > 0.0) {
                @let (x, top) = (frame.x.at(0.0) + bin as f64 * width, frame.y.at(*share));
                rect class=(format!("f-{colour}")) fill-opacity=(if k == 0 { "0.55" } else { "0.3" }) x=(N(x)) width=(N(width))
                    y=(N(top)) height=(N(frame.y.at(0.0) - top)) {}
                // The second kind has an outline, so that colour is not all that tells.
                @if k == 1 {
                    line class=(format!("s-{colour}")) stroke-width="1.5" x1=(N(x)) x2=(N(x + width)) y1=(N(top)) y2=(N(top)) {}
                }
            }
        }
        @if let Some(at) = threshold.map(|t| frame.x.at(t)) {
            line class="s-ink" stroke-dasharray="4 3" x1=(N(at)) x2=(N(at)) y1=(N(frame.y.at(0.0))) y2=(N(frame.y.at(highest))) {}
        }
        (key(12.0, &[(COLOURS[0], names[0]), (COLOURS[1], names[1])]))
    };
    let peak = |k: usize| {
        let best = shares.iter().enumerate().max_by(|a, b| a.1[k].total_cmp(&b.1[k])).map_or(0, |b| b.0);
        (best as f64 + 0.5) * most / shares.len().max(1) as f64
    };
    let says = format!(
        "{} are most frequent at about {:.2}, {} at about {:.2}.{}",
        names[0],
        peak(0),
        names[1],
        peak(1),
        threshold.map_or(String::new(), |t| format!(" The threshold is at {t:.3}."))
    );
    Panel { title: title.to_owned(), says, height: HEIGHT, body }
}

/// Colours and what they stand for, a line each from `y` on, above a plot.
pub(super) fn key(y: f64, entries: &[(&str, &str)]) -> Markup {
    html! {
        @for (k, (colour, name)) in entries.iter().enumerate() {
            @let y = y + KEY * k as f64;
            rect class=(format!("f-{colour}")) x="52" y=(N(y - 0.75 * BODY)) width="14" height="9" rx="2" {}
            text class="s f-ink" x="72" y=(N(y)) { (name) }
        }
    }
}
