//! The loss: the hinge, and where the test split's triplets lie on it.

use crate::report::axes::{Frame, Unit};
use crate::report::figure::{Figure, N, Panel};
use crate::report::input::{ReportInput, Triplet, Triplets, percent, thousands};
use maud::html;

const HEIGHT: f64 = 220.0;
const BINS: usize = 48;

pub(in crate::report) fn loss(e: &ReportInput<'_>, triplets: &Triplets) -> Figure {
    let margin = e.margin().unwrap_or(1.0);
    let gaps = |of: fn(&Triplet) -> (f64, f64)| -> Vec<f64> {
        triplets.all.iter().map(of).map(|(ap, an)| an - ap).collect()
    };
    let (before, after) = (gaps(|t| t.before), gaps(|t| t.after));
    // The outermost hundredths would squeeze all others.
    let mut sorted: Vec<f64> = after.iter().chain(&before).copied().collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get(((sorted.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(0.0);
    let (lo, hi) = (at(0.005).min(-0.6 * margin), at(0.995).max(1.6 * margin));
    let (lo, hi) = if hi > lo { (lo, hi) } else { (-1.0, 1.0) };
    let panel = |title: &str, gaps: &[f64]| {
        let mut bins = [0usize; BINS];
        for g in gaps {
            let bin = ((g - lo) / (hi - lo) * BINS as f64).clamp(0.0, BINS as f64 - 1.0);
            bins[bin as usize] += 1;
        }
        let tallest = bins.iter().copied().max().unwrap_or(1).max(1) as f64;
        let frame = Frame::new(HEIGHT, (lo, hi), (0.0, (margin - lo).max(f64::MIN_POSITIVE)));
        let base = frame.y.at(0.0);
        let width = (frame.x.at(hi) - frame.x.at(lo)) / BINS as f64;
        let mut body = html! {
            (frame.axes(("d(a,n) − d(a,p)", Unit::Plain), ("loss", Unit::Plain)))
            @for (i, n) in bins.iter().enumerate() {
                @let (x, h) = (frame.x.at(lo) + i as f64 * width, *n as f64 / tallest * (base - 12.0));
                @if *n > 0 { rect class="f-quiet" x=(N(x)) y=(N(base - h)) width=(N(width - 0.8)) height=(N(h)) {} }
            }
        };
        let hinge = frame.path(&[(lo, margin - lo), (margin, 0.0), (hi, 0.0)]);
        let zero = frame.x.at(0.0);
        body.0.push_str(&html! {
            line class="s-faint" stroke-dasharray="2 3" x1=(N(zero)) x2=(N(zero)) y1=(N(base)) y2="6" {}
            path class="s-feature" stroke-width="2.5" d=(hinge) {}
            text class="s f-ink" x=(N(frame.x.at(margin) + 4.0)) y=(N(base - 6.0)) { (format!("margin {margin}")) }
        }.0);
        Panel { title: title.to_owned(), height: HEIGHT, body }
    };
    let active = |of: fn(&Triplet) -> (f64, f64)| percent(triplets.share(of, |ap, an| an - ap < margin));
    let caption = format!(
        "The triplet margin loss max(0, d(a,p) − d(a,n) + {margin}) as a blue line, over the difference of the two \
         distances ({}). Grey bars count {} random triplets of the test split: left of 0 the negative is nearer, \
         right of the margin the loss is zero and the triplet teaches nothing more. Triplets with a loss above zero: {} \
         before training, {} after. Triplets beyond the axis's ends stand in its first and last bar.",
        e.distance(),
        thousands(triplets.all.len()),
        active(|t| t.before),
        active(|t| t.after),
    );
    Figure {
        name: "loss",
        title: "The loss".to_owned(),
        caption,
        panels: vec![panel("Before training", &before), panel("After training", &after)],
        columns: 2,
    }
}
