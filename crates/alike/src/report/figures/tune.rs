//! What a search found: every trial's accuracy, by loss.

use crate::loss::Losses;
use crate::report::axes::{Frame, Unit, range};
use crate::report::figure::{Figure, N, Panel, WIDTH};
use crate::report::numbers::{Numbers, exact};
use crate::report::text::{Anchor, written};
use crate::text::Choice;
use crate::tune::{JudgeBy, Search, Trial};
use maud::html;

/// Draws a search: a row a loss, a dot a trial, the better to the right; dots are larger the more images they saw.
pub fn tuned(search: &Search) -> Figure {
    const EACH: f64 = 26.0;
    let name = |t: &Trial| match t.loss.parse::<Losses>() {
        Ok(losses) => losses.0.iter().map(|(_, loss)| loss.name()).collect::<Vec<_>>().join(" + "),
        Err(_) => t.loss.clone(),
    };
    let done = search.trials.iter().filter(|t| t.accuracy >= 0.0);
    let done: Vec<(String, &Trial)> = done.map(|t| (name(t), t)).collect();
    // Losses by their best trial in the highest round that they reached.
    let mut losses: Vec<(String, (usize, f64))> = Vec::new();
    for (name, t) in &done {
        let reached = (t.rung, t.accuracy);
        match losses.iter_mut().find(|(n, _)| n == name) {
            Some((_, best)) => *best = if reached > *best { reached } else { *best },
            None => losses.push((name.clone(), reached)),
        }
    }
    losses.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap_or(std::cmp::Ordering::Equal));
    let height = losses.len() as f64 * EACH + 52.0;
    // The worst candidates would press the others together.
    let mut values: Vec<f64> = done.iter().map(|(_, t)| t.accuracy).collect();
    values.sort_by(f64::total_cmp);
    let low = values.get(values.len() / 4).copied().unwrap_or(0.0);
    let (lo, hi) = range(values.iter().copied().filter(|v| *v >= low), 0.05);
    let frame = Frame::new(height, (lo, hi.min(1.0)), (0.0, 1.0));
    let top = search.rungs.len().saturating_sub(1);
    let body = html! {
        (frame.axes(("Precision@1 on what was held out", Unit::Percent), ("", Unit::None)))
        @for (i, (loss, _)) in losses.iter().enumerate() {
            @let y = 20.0 + i as f64 * EACH;
            line class="s-line" x1=(N(frame.x.to.0)) x2=(N(frame.x.to.1)) y1=(N(y)) y2=(N(y)) {}
            @for (_, t) in done.iter().filter(|(name, _)| name == loss) {
                @let x = frame.x.at(t.accuracy.max(lo));
                circle class=(if t.rung == top { "f-feature" } else { "f-image" }) cx=(N(x)) cy=(N(y))
                    r=(N(2.0 + 1.5 * t.rung as f64)) fill-opacity="0.75" {}
            }
            (written("s f-ink", (0.0, y - 6.0), Anchor::Start, loss, WIDTH))
        }
    };
    let says = losses.first().map_or(String::new(), |(loss, (_, best))| {
        format!("The best is {loss}, with {:.2} %.", 100.0 * best)
    });
    let mut numbers = Numbers::new(&["loss", "round", "accuracy"]);
    for (loss, t) in &done {
        numbers.push([loss.clone(), t.rung.to_string(), exact(t.accuracy)]);
    }
    let by = match search.judge_by() {
        JudgeBy::Image => "images",
        JudgeBy::Class => "images of classes that were not trained on",
    };
    Figure {
        name: "tune",
        title: "Which loss?".to_owned(),
        caption: format!(
            "{} trials, judged by {} held-out {by} among themselves. A dot is a trial; larger dots were trained on more \
             images, and those of the second colour on all of them. Trials worse than three quarters of all stand where the axis begins.",
            search.trials.len(),
            search.queries()
        ),
        numbers,
        panels: vec![Panel { title: "Which loss?".to_owned(), says, height, body }],
        columns: 1,
    }
}
