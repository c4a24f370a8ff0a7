//! The idea: one triplet of the test split, before and after training, at its true distances.

use crate::files::FileError;
use crate::images::Features;
use crate::report::figure::{Figure, N, Panel, WIDTH, picture};
use crate::report::input::{ReportInput, Triplet, Triplets, percent, thousands};
use crate::report::numbers::{Numbers, exact};
use maud::{Markup, html};

const HEIGHT: f64 = 250.0;
const SIDE: f64 = 44.0;

/// Nothing without a triplet.
pub(in crate::report) fn concept(
    e: &ReportInput<'_>,
    triplets: &Triplets,
) -> Result<Option<Figure>, FileError> {
    // A triplet that training put right, if there is one: the farther from right it was, the clearer the picture.
    let margin = e.margin().unwrap_or(1.0);
    let wrong_by = |t: &Triplet| (t.before.0 - t.before.1) / (t.before.0 + t.before.1).max(f64::MIN_POSITIVE);
    let solved = |t: &&Triplet| t.after.1 - t.after.0 >= margin;
    let best = |list: &mut dyn Iterator<Item = &Triplet>| {
        list.max_by(|a, b| wrong_by(a).total_cmp(&wrong_by(b))).copied()
    };
    let solved = best(&mut triplets.all.iter().filter(solved));
    let chosen = if solved.is_some() {
        "Of the triplets that training solved, this one was the most wrong before it"
    } else {
        "Training solved none of the test triplets by the margin; this one was the most wrong before it"
    };
    let Some(t) = solved.or_else(|| best(&mut triplets.all.iter())) else { return Ok(None) };
    let before = panel("Before training", e, &triplets.untrained, t)?;
    let after = panel("After training", e, e.queries, t)?;
    let mut numbers = Numbers::new(&["panel", "anchor_positive", "anchor_negative"]);
    for (name, (ap, an)) in [("before", t.before), ("after", t.after)] {
        numbers.push([name.to_owned(), exact(ap), exact(an)]);
    }
    let nearer = |ap: f64, an: f64| an <= ap;
    let caption = format!(
        "An anchor, a positive (another image of its class) and a negative (an image of another class), all from the \
         test split: dots are their embeddings, at their true Euclidean distances in the {}-dimensional embedding, each panel at its own \
         scale. The circle passes through the positive: a negative inside it is nearer than the positive. {chosen}. Over {} random test triplets, the negative is nearer in {} before training and in \
         {} after it.",
        e.queries.d(),
        thousands(triplets.all.len()),
        percent(triplets.share(|t| t.before, nearer)),
        percent(triplets.share(|t| t.after, nearer)),
    );
    Ok(Some(Figure {
        name: "concept",
        title: "The idea: alike is near".to_owned(),
        caption,
        numbers,
        panels: vec![before, after],
        columns: 2,
    }))
}

fn between(f: &Features, a: usize, b: usize) -> f64 {
    f.row(a).iter().zip(f.row(b)).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum::<f64>().sqrt()
}

/// Any three points have a place in the plane that keeps their three distances.
fn panel(title: &str, e: &ReportInput<'_>, f: &Features, t: Triplet) -> Result<Panel, FileError> {
    let [a, p, n] = t.images;
    let (ap, an, pn) = (between(f, a, p), between(f, a, n), between(f, p, n));
    let longest = ap.max(an).max(f64::MIN_POSITIVE);
    let scale = 88.0 / longest;
    // The law of cosines gives the angle at the anchor; the positive lies up and to the left, the negative turned from it.
    let cosine = if ap > 0.0 && an > 0.0 { (ap * ap + an * an - pn * pn) / (2.0 * ap * an) } else { 1.0 };
    let angle = cosine.clamp(-1.0, 1.0).acos();
    let towards_p = std::f64::consts::PI * 0.80;
    // Thumbnails would cover the points: they stand off, and a dotted line leads to each.
    let centre = (WIDTH / 2.0, HEIGHT / 2.0 + 4.0);
    let place = |turn: f64, d: f64| (centre.0 + scale * d * turn.cos(), centre.1 - scale * d * turn.sin());
    let (pos, neg) = (place(towards_p, ap), place(towards_p - angle, an));
    let thumbs = apart([centre, pos, neg]);
    let parts = [
        ("anchor", "feature", centre, thumbs[0], a),
        ("positive", "right", pos, thumbs[1], p),
        ("negative", "wrong", neg, thumbs[2], n),
    ];
    let edge = |colour: &str, to: (f64, f64)| -> Markup {
        html! { line class=(format!("s-{colour}")) stroke-width="2" x1=(N(centre.0)) y1=(N(centre.1)) x2=(N(to.0)) y2=(N(to.1)) {} }
    };
    let body = html! {
        rect class="f-card" width=(N(WIDTH)) height=(N(HEIGHT)) rx="8" {}
        circle class="s-right" stroke-dasharray="3 3" cx=(N(centre.0)) cy=(N(centre.1)) r=(N(scale * ap)) {}
        @for (_, colour, at, thumb, _) in parts {
            line class=(format!("s-{colour}")) stroke-dasharray="1 2" x1=(N(at.0)) y1=(N(at.1)) x2=(N(thumb.0)) y2=(N(thumb.1)) {}
        }
        @for (role, colour, _, thumb, image) in parts {
            (picture(&e.data.test.images, image, thumb.0, thumb.1, SIDE)?)
            rect class=(format!("s-{colour}")) stroke-width="2" x=(N(thumb.0 - SIDE / 2.0)) y=(N(thumb.1 - SIDE / 2.0))
                width=(N(SIDE)) height=(N(SIDE)) {}
            text class="s b f-ink o" text-anchor="middle" x=(N(thumb.0)) y=(N(thumb.1 - SIDE / 2.0 - 4.0)) { (role) }
        }
        (edge("wrong", neg)) (edge("right", pos))
        @for (_, colour, at, _, _) in parts {
            circle class=(format!("f-{colour}")) cx=(N(at.0)) cy=(N(at.1)) r="5" {}
        }
        text class="b f-ink" x="8" y="16" { (format!("d(a,p) = {ap:.3}")) }
        text class="b f-ink" text-anchor="end" x=(N(WIDTH - 8.0)) y="16" { (format!("d(a,n) = {an:.3}")) }
        text class="f-ink" text-anchor="middle" x=(N(WIDTH / 2.0)) y=(N(HEIGHT - 8.0)) {
            @if an > ap { "✓ the positive is nearer" } @else { "✗ the negative is nearer" }
        }
    };
    let says = format!(
        "The positive is at {ap:.3}, the negative at {an:.3}: the {} is nearer.",
        if an > ap { "positive" } else { "negative" }
    );
    Ok(Panel { title: title.to_owned(), says, height: HEIGHT, body })
}

/// Where the thumbnails of three points stand: outwards of the points, off each other, inside the panel.
fn apart(points: [(f64, f64); 3]) -> [(f64, f64); 3] {
    let middle = points.iter().fold((0.0, 0.0), |m, p| (m.0 + p.0 / 3.0, m.1 + p.1 / 3.0));
    let room = SIDE + 18.0;
    let mut at = [0, 1, 2].map(|i| {
        let (dx, dy) = (points[i].0 - middle.0, points[i].1 - middle.1);
        let d = dx.hypot(dy);
        // Points at one place part along fixed directions.
        let (ux, uy) = if d > 1.0 { (dx / d, dy / d) } else { [(0.0, 1.0), (-1.0, -0.3), (1.0, -0.3)][i] };
        (points[i].0 + 40.0 * ux, points[i].1 + 40.0 * uy)
    });
    for _ in 0..80 {
        for i in 0..3 {
            for j in 0..3 {
                // Off the other thumbnails, and off every point with its edges.
                let (other, least) = if j < i { (at[j], room) } else { (points[j], 0.68 * room) };
                let (dx, dy) = (at[i].0 - other.0, at[i].1 - other.1);
                let d = dx.hypot(dy).max(1e-6);
                if d < least {
                    let push = (least - d) / d;
                    at[i] = (at[i].0 + push * dx, at[i].1 + push * dy);
                }
            }
        }
        for p in &mut at {
            p.0 = p.0.clamp(SIDE / 2.0 + 6.0, WIDTH - SIDE / 2.0 - 6.0);
            p.1 = p.1.clamp(SIDE / 2.0 + 36.0, HEIGHT - SIDE / 2.0 - 24.0);
        }
    }
    at
}
