//! Image space against feature space, rule by rule.

use crate::eval::Comparison;
use crate::report::figure::{Figure, N, Panel, WIDTH};
use crate::report::input::{ReportInput, thousands};
use maud::html;

pub(in crate::report) fn accuracy(e: &ReportInput<'_>) -> Figure {
    let j = e.judgement;
    let caption = format!(
        "{} test images classified by {}. Class means: the nearest of the classes' mean vectors, after \
         scaling means and queries to length 1. k-NN: the majority among the k nearest in Euclidean distance, ties to \
         the nearest. Image space is raw pixels. Whether a difference is real is judged by {} on the \
         same queries, at p < 0.01.",
        thousands(j.n_query),
        if j.leave_one_out {
            "each other, none of whose classes was trained on".to_owned()
        } else {
            format!("a gallery of {}", thousands(j.n_gallery))
        },
        if j.comparison.iter().any(|c| c.paired.classes.is_some()) {
            "exchanging the two spaces in whole classes, in every way,"
        } else {
            "McNemar's exact test"
        },
    );
    let bars: Vec<Row> = j
        .comparison
        .iter()
        .map(|c| Row { name: &c.rule, image: c.image, feature: c.feature, verdict: Some(c.paired.verdict()) })
        .collect();
    let errors: Vec<Row> = j
        .comparison
        .iter()
        .map(|c| Row { name: &c.rule, image: 1.0 - c.image, feature: 1.0 - c.feature, verdict: None })
        .collect();
    let most = errors.iter().map(|r| r.image.max(r.feature)).fold(0.01, f64::max);
    Figure {
        name: "accuracy",
        title: "Does the learned space beat pixels?".to_owned(),
        caption,
        panels: vec![chart("Accuracy", &bars, 1.0), chart("Errors, at a larger scale", &errors, most)],
        columns: 2,
    }
}

/// What one comparison came to.
pub(in crate::report) fn sentence(c: &Comparison) -> String {
    let points = 100.0 * (c.feature - c.image);
    let outcome = match (c.paired.is_real(), points > 0.0) {
        (true, true) => "the learned space is better",
        (true, false) => "pixels are better",
        (false, _) => "no real difference",
    };
    format!(
        "{}: {:.2} % in image space, {:.2} % in feature space ({points:+.2} points): {outcome}, {}.",
        c.rule,
        100.0 * c.image,
        100.0 * c.feature,
        c.paired.verdict()
    )
}

pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    pub(super) image: f64,
    pub(super) feature: f64,
    pub(super) verdict: Option<String>,
}

/// Pairs of bars from zero to `most`.
pub(super) fn chart(title: &str, rows: &[Row<'_>], most: f64) -> Panel {
    const LEFT: f64 = 84.0;
    const EACH: f64 = 62.0;
    let long = |v: f64| (WIDTH - LEFT - 62.0) * (v / most).clamp(0.0, 1.0);
    let body = html! {
        @for (i, row) in rows.iter().enumerate() {
            @let y = i as f64 * EACH;
            text class="b f-ink" text-anchor="end" x=(N(LEFT - 8.0)) y=(N(y + 25.0)) { (row.name) }
            @for (k, (colour, v, space)) in [("image", row.image, "pixels"), ("feature", row.feature, "learned")].into_iter().enumerate() {
                @let top = y + 3.0 + k as f64 * 19.0;
                rect class=(format!("f-{colour}")) x=(N(LEFT)) y=(N(top)) width=(N(long(v).max(0.5))) height="16" rx="2" {}
                @let inside = long(v) > 60.0;
                text class="s f-ink" x=(N(LEFT + long(v) + 4.0)) y=(N(top + 12.0)) {
                    tspan class="b" { (format!("{:.2} %", 100.0 * v)) }
                    @if !inside { " " (space) }
                }
                @if inside {
                    text class="s b f-paper" x=(N(LEFT + 6.0)) y=(N(top + 11.5)) { (space) }
                }
            }
            @if let Some(verdict) = &row.verdict {
                text class="s f-faint" x=(N(LEFT + 6.0)) y=(N(y + 52.0)) { (verdict) }
            }
        }
        line class="s-faint" x1=(N(LEFT)) x2=(N(LEFT)) y1="0" y2=(N(rows.len() as f64 * EACH - 8.0)) {}
    };
    Panel { title: title.to_owned(), height: rows.len() as f64 * EACH, body }
}
