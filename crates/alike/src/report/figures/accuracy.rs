//! Image space against feature space, rule by rule.

use crate::eval::{Baseline, Comparison};
use crate::report::figure::{Figure, N, Panel, WIDTH};
use crate::report::input::{ReportInput, thousands};
use crate::report::numbers::{Numbers, exact};
use crate::report::text::{Anchor, SMALL, width, written};
use maud::html;

pub(in crate::report) fn accuracy(e: &ReportInput<'_>) -> Figure {
    let j = e.judgement;
    let caption = format!(
        "{} test images classified by {}. Class means: the nearest of the classes' mean vectors, after \
         scaling means and queries to length 1. k-NN: the majority among the k nearest in Euclidean distance, ties to \
         the nearest. {}. A difference is significant at p < 0.01, by {} on the same queries.",
        thousands(j.n_query),
        if j.leave_one_out {
            "each other, none of whose classes was trained on".to_owned()
        } else {
            format!("a gallery of {}", thousands(j.n_gallery))
        },
        match e.baseline() {
            Baseline::Features => "Input space is the features as they were given",
            _ => "Image space is raw pixels",
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
    let mut numbers = Numbers::new(&["rule", "image_space", "feature_space", "p_value"]);
    for c in &j.comparison {
        numbers.push([c.rule.clone(), exact(c.image), exact(c.feature), exact(c.paired.p_value)]);
    }
    Figure {
        name: "accuracy",
        title: format!("Does the learned space beat {}?", e.baseline().name()),
        caption,
        numbers,
        panels: vec![
            chart("Accuracy", &bars, 1.0, e.baseline()),
            chart(
                if most < 0.8 { "Errors, at a larger scale" } else { "Errors" },
                &errors,
                most,
                e.baseline(),
            ),
        ],
        columns: 2,
    }
}

/// What one comparison came to.
pub(in crate::report) fn sentence(c: &Comparison, baseline: Baseline) -> String {
    let points = 100.0 * (c.feature - c.image);
    let outcome = match (c.paired.is_real(), points > 0.0) {
        (true, true) => "the learned space is better".to_owned(),
        (true, false) => format!("{} are better", baseline.name()),
        (false, _) => "neither is clearly better".to_owned(),
    };
    format!(
        "{}: {:.2} % in {}, {:.2} % in feature space ({points:+.2} points): {outcome}, {}.",
        c.rule,
        100.0 * c.image,
        baseline.space(),
        100.0 * c.feature,
        c.paired.verdict()
    )
}

pub(in crate::report) struct Row<'a> {
    pub(in crate::report) name: &'a str,
    pub(in crate::report) image: f64,
    pub(in crate::report) feature: f64,
    pub(in crate::report) verdict: Option<String>,
}

/// Pairs of bars from zero to `most`.
pub(in crate::report) fn chart(title: &str, rows: &[Row<'_>], most: f64, baseline: Baseline) -> Panel {
    const LEFT: f64 = 92.0;
    const EACH: f64 = 62.0;
    let value = |v: f64| format!("{:.2} %", 100.0 * v);
    // Beside the longest bar there is room for its number.
    let room = width(&value(1.0), SMALL, true) + 8.0;
    let long = |v: f64| (WIDTH - LEFT - room) * (v / most).clamp(0.0, 1.0);
    let body = html! {
        @for (i, row) in rows.iter().enumerate() {
            @let y = i as f64 * EACH;
            (written("b f-ink", (LEFT - 8.0, y + 25.0), Anchor::End, row.name, LEFT - 8.0))
            @for (k, (colour, v, space)) in [("image", row.image, baseline.name()), ("feature", row.feature, "learned")].into_iter().enumerate() {
                @let top = y + 3.0 + k as f64 * 19.0;
                @let inside = long(v) > width(space, SMALL, true) + 12.0;
                rect class=(format!("f-{colour}")) x=(N(LEFT)) y=(N(top)) width=(N(long(v).max(0.5))) height="16" rx="2" {}
                text class="s b f-ink" x=(N(LEFT + long(v) + 4.0)) y=(N(top + 12.0)) {
                    (value(v))
                    @if !inside { " " (space) }
                }
                @if inside {
                    text class="s b f-paper" x=(N(LEFT + 6.0)) y=(N(top + 12.0)) { (space) }
                }
            }
            @if let Some(verdict) = &row.verdict {
                (written("s f-faint", (LEFT, y + 53.0), Anchor::Start, verdict, WIDTH - LEFT))
            }
        }
        line class="s-faint" x1=(N(LEFT)) x2=(N(LEFT)) y1="0" y2=(N(rows.len() as f64 * EACH - 20.0)) {}
    };
    let says = rows
        .iter()
        .map(|r| format!("{}: {} {}, learned {}", r.name, baseline.name(), value(r.image), value(r.feature)));
    let says = says.collect::<Vec<_>>().join("; ") + ".";
    Panel { title: title.to_owned(), says, height: rows.len() as f64 * EACH, body }
}
