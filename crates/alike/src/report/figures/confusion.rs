//! Which classes are taken for which.

use crate::eval::{Classification, SpaceJudgement};
use crate::report::figure::{Figure, N, Panel, WIDTH};
use crate::report::input::{ReportInput, percent};
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// Up to here every cell has its number; beyond [`MOST_CELLS`] only the commonest confusions are listed.
const MOST_NUMBERS: usize = 12;
const MOST_CELLS: usize = 40;

pub(in crate::report) fn confusion(e: &ReportInput<'_>) -> Option<Figure> {
    let spaces = &e.judgement.spaces;
    let rule = |space: &SpaceJudgement| {
        let (k, c) = space.knn.first_key_value()?;
        Some((format!("{k}-NN"), c.clone()))
    };
    let ((name, image), (_, feature)) = (rule(&spaces.image)?, rule(&spaces.feature)?);
    let panels = vec![
        panel(&format!("Image space, {name}"), e, &image),
        panel(&format!("Feature space, {name}"), e, &feature),
    ];
    let caption = format!(
        "{name}. A row is a true class, a column the answer; numbers are test images. The diagonal (framed) is right. \
         Off it, the darker a cell, the larger its share of the row. Right in all: {} in image space, {} in feature \
         space.",
        percent(image.accuracy),
        percent(feature.accuracy),
    );
    Some(Figure {
        name: "confusion",
        title: "What is taken for what".to_owned(),
        caption,
        panels,
        columns: 2,
    })
}

fn panel(title: &str, e: &ReportInput<'_>, c: &Classification) -> Panel {
    let counts = c.confusion(&e.data.test.labels);
    // Classes that neither ask nor answer say nothing, as those trained on where others are judged.
    let heard: BTreeSet<u32> = counts.keys().flat_map(|(t, p)| [*t, *p]).collect();
    let name = |class: u32| e.data.classes[class as usize].as_str();
    let (body, height) = if heard.len() <= MOST_CELLS {
        let row = |t: &u32| heard.iter().map(|p| counts.get(&(*t, *p)).copied().unwrap_or(0)).collect();
        let matrix: Vec<Vec<u32>> = heard.iter().map(row).collect();
        cells(&matrix, &heard.iter().map(|class| name(*class)).collect::<Vec<_>>())
    } else {
        list(&counts, name)
    };
    Panel { title: title.to_owned(), height, body }
}

fn cells(matrix: &[Vec<u32>], classes: &[&str]) -> (Markup, f64) {
    let n = classes.len();
    let longest = classes.iter().map(|c| c.chars().count()).max().unwrap_or(1).min(11) as f64;
    let left = 10.0 + longest * 5.8;
    let side = (WIDTH - left) / n as f64;
    let top = if longest > 2.0 { left } else { 16.0 };
    let short = |name: &str| -> String { name.chars().take(11).collect() };
    // The worst confusion is the darkest, so that a good matrix is not blank.
    let share = |row: &[u32], v: u32| f64::from(v) / f64::from(row.iter().sum::<u32>().max(1));
    let worst = matrix
        .iter()
        .enumerate()
        .flat_map(|(t, row)| {
            row.iter().enumerate().filter(move |(p, _)| *p != t).map(move |(_, v)| share(row, *v))
        })
        .fold(1e-9, f64::max);
    let body = html! {
        @for (t, row) in matrix.iter().enumerate() {
            @let y = top + t as f64 * side;
            @if side > 7.0 {
                text class="s f-ink" text-anchor="end" x=(N(left - 4.0)) y=(N(y + side / 2.0 + 3.5)) { (short(classes[t])) }
                text class="s f-ink" text-anchor=(if longest > 2.0 { "start" } else { "middle" })
                    transform=(format!("translate({:.1} {:.1}) rotate({})", left + (t as f64 + 0.5) * side + if longest > 2.0 { 3.0 } else { 0.0 }, top - 4.0, if longest > 2.0 { -90 } else { 0 })) { (short(classes[t])) }
            }
            @for (p, v) in row.iter().enumerate() {
                @let x = left + p as f64 * side;
                @if p == t {
                    rect class="s-right" stroke-width="1.5" x=(N(x + 1.0)) y=(N(y + 1.0)) width=(N(side - 2.0)) height=(N(side - 2.0)) {}
                } @else {
                    rect class="f-card" x=(N(x + 0.5)) y=(N(y + 0.5)) width=(N(side - 1.0)) height=(N(side - 1.0)) {}
                    rect class="f-wrong" fill-opacity=(N(0.75 * (share(row, *v) / worst).sqrt())) x=(N(x + 0.5)) y=(N(y + 0.5))
                        width=(N(side - 1.0)) height=(N(side - 1.0)) {}
                }
                @if n <= MOST_NUMBERS && (*v > 0 || p == t) {
                    text class="s f-ink" text-anchor="middle" x=(N(x + side / 2.0)) y=(N(y + side / 2.0 + 3.5)) { (v) }
                }
            }
        }
    };
    (body, top + side * n as f64 + 2.0)
}

fn list<'a>(counts: &BTreeMap<(u32, u32), u32>, name: impl Fn(u32) -> &'a str) -> (Markup, f64) {
    let wrong = counts.iter().filter(|((t, p), _)| t != p);
    let mut pairs: Vec<(u32, u32, u32)> = wrong.map(|((t, p), v)| (*v, *t, *p)).collect();
    pairs.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    pairs.truncate(14);
    let height = 20.0 + 18.0 * pairs.len() as f64;
    let body = html! {
        text class="s f-faint" x="0" y="12" { "the commonest confusions" }
        @for (i, (v, t, p)) in pairs.iter().enumerate() {
            text class="f-ink" x="0" y=(N(32.0 + 18.0 * i as f64)) { (v) " × " (name(*t)) " taken for " (name(*p)) }
        }
    };
    (body, height)
}
