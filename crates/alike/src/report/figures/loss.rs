//! The loss: the hinge, and where the test split's triplets lie on it.

use crate::report::axes::{Frame, Scale, Unit, bins};
use crate::report::figure::{Figure, N, Panel};
use crate::report::input::{ReportInput, Triplet, Triplets, percent, thousands};
use crate::report::numbers::{Numbers, exact};
use maud::html;

const HEIGHT: f64 = 230.0;
const MOST_BINS: usize = 48;

/// What is drawn: the differences of distances, from the lowest to the highest that the axis shows.
struct Drawn<'a> {
    title: &'a str,
    gaps: &'a [f64],
    range: (f64, f64),
    margin: f64,
}

impl Drawn<'_> {
    /// How many triplets lie in each part of the axis.
    fn counts(&self) -> Vec<usize> {
        let n = bins(self.gaps.len(), MOST_BINS);
        let mut counts = vec![0usize; n];
        let (lo, hi) = self.range;
        for g in self.gaps {
            counts[((g - lo) / (hi - lo) * n as f64).clamp(0.0, n as f64 - 1.0) as usize] += 1;
        }
        counts
    }

    /// Without a loss.
    fn solved(&self) -> f64 {
        self.gaps.iter().filter(|g| **g >= self.margin).count() as f64 / self.gaps.len().max(1) as f64
    }

    fn panel(&self) -> Panel {
        let ((lo, hi), margin) = (self.range, self.margin);
        let counts = self.counts();
        let tallest = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
        let frame = Frame::new(HEIGHT, (lo, hi), (0.0, 1.08 * tallest)).below(18.0).before(34.0);
        let loss = Scale { from: (0.0, (margin - lo).max(f64::MIN_POSITIVE)), to: frame.y.to };
        let base = frame.y.at(0.0);
        let width = (frame.x.at(hi) - frame.x.at(lo)) / counts.len() as f64;
        let at = |gap: f64| (frame.x.at(gap), loss.at((margin - gap).max(0.0)));
        let hinge: String = [lo, margin, hi].iter().enumerate().fold(String::new(), |d, (i, gap)| {
            let (x, y) = at(*gap);
            format!("{d}{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' })
        });
        let body = html! {
            (frame.axes(("d(a,n) − d(a,p)", Unit::Plain), ("triplets", Unit::Count)))
            (frame.right_axis(&loss, "loss", Unit::Plain))
            @for (i, n) in counts.iter().enumerate() {
                @let (x, top) = (frame.x.at(lo) + i as f64 * width, frame.y.at(*n as f64));
                @if *n > 0 { rect class="f-bar" x=(N(x)) y=(N(top)) width=(N(width - 0.8)) height=(N(base - top)) {} }
            }
            line class="s-faint" stroke-dasharray="2 3" x1=(N(frame.x.at(0.0))) x2=(N(frame.x.at(0.0))) y1=(N(base)) y2=(N(frame.y.to.1)) {}
            line class="s-feature" stroke-dasharray="4 3" x1=(N(frame.x.at(margin))) x2=(N(frame.x.at(margin))) y1=(N(base)) y2=(N(frame.y.to.1)) {}
            path class="s-feature" stroke-width="2.5" d=(hinge) {}
            line class="s-feature" stroke-width="2.5" x1="52" x2="68" y1="10" y2="10" {}
            text class="s f-ink" x="72" y="14" { (format!("loss; zero from the margin, {margin}, on")) }
        };
        let says = format!("{} of the triplets have no loss.", percent(self.solved()));
        Panel { title: self.title.to_owned(), says, height: HEIGHT, body }
    }
}

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
    let range = if hi > lo { (lo, hi) } else { (-1.0, 1.0) };
    let drawn = [("Before training", &before), ("After training", &after)].map(|(title, gaps)| Drawn {
        title,
        gaps,
        range,
        margin,
    });
    let mut numbers = Numbers::new(&["panel", "from", "to", "triplets"]);
    for d in &drawn {
        let counts = d.counts();
        let edge = |i: usize| range.0 + (range.1 - range.0) * i as f64 / counts.len() as f64;
        for (i, n) in counts.iter().enumerate() {
            numbers.push([d.title.to_owned(), exact(edge(i)), exact(edge(i + 1)), n.to_string()]);
        }
    }
    let active = |of: fn(&Triplet) -> (f64, f64)| percent(triplets.share(of, |ap, an| an - ap < margin));
    let caption = format!(
        "The triplet margin loss max(0, d(a,p) − d(a,n) + {margin}) as a line, over the difference of the two distances ({}). Bars \
         count {} random triplets of the test split: below 0 the negative is nearer, above the margin the loss is zero and the \
         triplet teaches nothing more. Triplets with a loss above zero: {} before training, {} after. Triplets beyond the axis's \
         ends stand in its first and last bar.",
        e.distance(),
        thousands(triplets.all.len()),
        active(|t| t.before),
        active(|t| t.after),
    );
    let panels = drawn.iter().map(Drawn::panel).collect();
    Figure { name: "loss", title: "The loss".to_owned(), caption, numbers, panels, columns: 2 }
}
