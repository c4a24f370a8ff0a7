//! How two kinds are spread along one axis.

use crate::report::axes::{Frame, Unit};
use crate::report::figure::{N, Panel};
use maud::{Markup, html};

const HEIGHT: f64 = 250.0;
const COLOURS: [&str; 2] = ["right", "wrong"];

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
    // The room above is the key's.
    let frame = Frame::new(HEIGHT, (0.0, most), (0.0, 1.2 * highest));
    let width = (frame.x.at(most) - frame.x.at(0.0)) / shares.len().max(1) as f64;
    let body = html! {
        (frame.axes((axis, Unit::Plain), ("share", Unit::Percent)))
        @for (bin, share) in shares.iter().enumerate() {
            @for (share, colour) in share.iter().zip(COLOURS).filter(|(share, _)| **share > 0.0) {
                rect class=(format!("f-{colour}")) fill-opacity="0.55" x=(N(frame.x.at(0.0) + bin as f64 * width)) width=(N(width))
                    y=(N(frame.y.at(*share))) height=(N(frame.y.at(0.0) - frame.y.at(*share))) {}
            }
        }
        @if let Some(at) = threshold.map(|t| frame.x.at(t)) {
            line class="s-ink" stroke-dasharray="4 3" x1=(N(at)) x2=(N(at)) y1=(N(frame.y.at(0.0))) y2=(N(frame.y.at(highest))) {}
        }
        (key(20.0, &[(COLOURS[0], names[0]), (COLOURS[1], names[1])]))
    };
    Panel { title: title.to_owned(), height: HEIGHT, body }
}

/// Colours and what they stand for, from `y` on, at the right.
pub(super) fn key(y: f64, entries: &[(&str, &str)]) -> Markup {
    html! {
        @for (k, (colour, name)) in entries.iter().enumerate() {
            @let y = y + 15.0 * k as f64;
            rect class=(format!("f-{colour}")) x="232" y=(N(y - 8.0)) width="12" height="8" rx="2" {}
            text class="s f-ink" x="249" y=(N(y)) { (name) }
        }
    }
}
