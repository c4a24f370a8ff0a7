//! Which classes are taken for which.

use crate::eval::{Classification, SpaceJudgement};
use crate::report::figure::{Figure, N, Panel, WIDTH};
use crate::report::input::{ReportInput, capital, counted, percent};
use crate::report::numbers::Numbers;
use crate::report::text::{Anchor, SMALL, short_names, shortened, width, written};
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// Beyond so many classes only the commonest confusions are listed.
const MOST_CELLS: usize = 40;
/// What a class's name takes beside the cells, at most.
const NAME: f64 = 84.0;
/// Confusions of a list.
const LISTED: usize = 14;
/// Confusions of a caption.
const IN_CAPTION: usize = 5;
/// The scale of the colour: parts of it, and where it begins.
const PARTS: usize = 5;

pub(in crate::report) fn confusion(e: &ReportInput<'_>) -> Option<Figure> {
    let spaces = &e.judgement.spaces;
    let rule = |space: &SpaceJudgement| {
        let (k, c) = space.knn.first_key_value()?;
        Some((format!("{k}-NN"), c.clone()))
    };
    let ((name, image), (_, feature)) = (rule(&spaces.image)?, rule(&spaces.feature)?);
    let names = short_names(&e.data.classes);
    let space = capital(e.baseline().space());
    let drawn = [(space.as_str(), &image), ("Feature space", &feature)];
    let (panels, shown): (Vec<Panel>, Vec<Shown>) =
        drawn.iter().map(|(space, c)| panel(&format!("{space}, {name}"), e, c, &names)).unzip();
    let mut numbers = Numbers::new(&["space", "true_class", "answer", "test_images"]);
    for (space, c) in drawn {
        for ((t, p), n) in c.confusion(&e.data.test.labels) {
            let [t, p] = [t, p].map(|class| e.data.classes[class as usize].clone());
            numbers.push([space.to_owned(), t, p, n.to_string()]);
        }
    }
    // What is drawn, and nothing else.
    let is = |what: Shown| shown.contains(&what);
    let images = if is(Shown::Numbers) { "; numbers are test images" } else { "" };
    let cells = format!(
        "A row is a true class, a column the answer{images}. The diagonal (framed) is correct. Off it, the stronger a cell's colour, the larger \
         its share of the row, as its panel's scale says. "
    );
    let cells = if shown.iter().any(|s| *s != Shown::List) { &cells } else { "" };
    let order = if is(Shown::Unnamed) {
        unnamed(&feature.confusion(&e.data.test.labels), &names)
    } else {
        String::new()
    };
    let list = "The commonest confusions, with the number of test images of each. ";
    let list = if is(Shown::List) { list } else { "" };
    let caption = format!(
        "{name}. {cells}{order}{list}Correct in all: {} in {}, {} in feature space.",
        percent(image.accuracy),
        e.baseline().space(),
        percent(feature.accuracy),
    );
    let title = "What is taken for what".to_owned();
    Some(Figure { name: "confusion", title, caption, numbers, panels, columns: 2 })
}

/// What a panel shows.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    /// Cells with numbers.
    Numbers,
    /// Cells that are too small for numbers.
    Colours,
    /// Cells that are too small for the classes' names too.
    Unnamed,
    /// The commonest confusions.
    List,
}

fn panel(title: &str, e: &ReportInput<'_>, c: &Classification, names: &[String]) -> (Panel, Shown) {
    let counts = c.confusion(&e.data.test.labels);
    // Classes that neither ask nor answer say nothing, as those trained on where others are judged.
    let heard: BTreeSet<u32> = counts.keys().flat_map(|(t, p)| [*t, *p]).collect();
    let name = |class: u32| names[class as usize].as_str();
    let worst = commonest(&counts);
    let says = match worst.first() {
        None => "No class is taken for another.".to_owned(),
        Some((n, t, p)) => {
            format!(
                "The commonest confusion: {} taken for {}, {}.",
                name(*t),
                name(*p),
                counted(*n as usize, "time")
            )
        }
    };
    let (body, height, shown) = if heard.len() <= MOST_CELLS {
        let row = |t: &u32| heard.iter().map(|p| counts.get(&(*t, *p)).copied().unwrap_or(0)).collect();
        let matrix: Vec<Vec<u32>> = heard.iter().map(row).collect();
        cells(&matrix, &heard.iter().map(|class| name(*class)).collect::<Vec<_>>())
    } else {
        let (body, height) = list(&worst, name);
        (body, height, Shown::List)
    };
    (Panel { title: title.to_owned(), says, height, body }, shown)
}

/// The strength of a cell's colour, for a share of its row from 0 to the worst.
fn strength(share: f64, worst: f64) -> f64 {
    0.75 * (share / worst).clamp(0.0, 1.0).sqrt()
}

fn cells(matrix: &[Vec<u32>], classes: &[&str]) -> (Markup, f64, Shown) {
    let n = classes.len();
    let longest = classes.iter().map(|c| width(c, SMALL, false)).fold(0.0, f64::max);
    let upright = longest > 24.0 || longest > (WIDTH - 14.0 - longest) / n as f64 - 2.0;
    let room = longest.min(NAME);
    let left = room + 8.0;
    let side = (WIDTH - left) / n as f64;
    let named = side >= SMALL;
    let (left, side) = if named { (left, side) } else { (0.0, WIDTH / n as f64) };
    let top = match (named, upright) {
        (false, _) => 2.0,
        (true, true) => room + 8.0,
        (true, false) => 18.0,
    };
    // A cell without anything wrong is blank; the worst confusion has the strongest colour.
    let share = |row: &[u32], v: u32| f64::from(v) / f64::from(row.iter().sum::<u32>().max(1));
    let worst = matrix
        .iter()
        .enumerate()
        .flat_map(|(t, row)| {
            row.iter().enumerate().filter(move |(p, _)| *p != t).map(move |(_, v)| share(row, *v))
        })
        .fold(1e-9, f64::max);
    // Numbers stand where the longest has room.
    let widest = matrix.iter().flatten().map(|v| width(&v.to_string(), SMALL, false)).fold(0.0, f64::max);
    let numbered = widest <= side - 3.0 && side >= SMALL + 2.0;
    let scale = top + side * n as f64 + 14.0;
    let body = html! {
        @for (t, row) in matrix.iter().enumerate() {
            @let y = top + t as f64 * side;
            @if named {
                (written("s f-ink", (left - 5.0, y + side / 2.0 + 4.0), Anchor::End, classes[t], room))
                @if upright {
                    @let short = shortened(classes[t], SMALL, false, room);
                    text class="s f-ink" text-anchor="start"
                        transform=(format!("translate({:.1} {:.1}) rotate(-90)", left + (t as f64 + 0.5) * side + 4.0, top - 5.0)) {
                        (short)
                        @if short != classes[t] { title { (classes[t]) } }
                    }
                } @else {
                    (written("s f-ink", (left + (t as f64 + 0.5) * side, top - 5.0), Anchor::Middle, classes[t], side))
                }
            }
            @for (p, v) in row.iter().enumerate() {
                @let x = left + p as f64 * side;
                @if p == t {
                    rect class="s-right" stroke-width="1.5" x=(N(x + 1.0)) y=(N(y + 1.0)) width=(N(side - 2.0)) height=(N(side - 2.0)) {}
                } @else {
                    rect class="f-card" x=(N(x + 0.5)) y=(N(y + 0.5)) width=(N(side - 1.0)) height=(N(side - 1.0)) {}
                    @if *v > 0 {
                        rect class="f-wrong" fill-opacity=(N(strength(share(row, *v), worst))) x=(N(x + 0.5)) y=(N(y + 0.5))
                            width=(N(side - 1.0)) height=(N(side - 1.0)) {}
                    }
                }
                @if numbered && (*v > 0 || p == t) {
                    text class="s f-ink" text-anchor="middle" x=(N(x + side / 2.0)) y=(N(y + side / 2.0 + 4.0)) { (v) }
                }
            }
        }
        (legend(scale, if worst > 1e-9 { worst } else { 0.0 }))
    };
    let shown = match (named, numbered) {
        (false, _) => Shown::Unnamed,
        (true, false) => Shown::Colours,
        (true, true) => Shown::Numbers,
    };
    (body, scale + 30.0, shown)
}

/// What a caption says where cells have no room for names.
fn unnamed(counts: &BTreeMap<(u32, u32), u32>, names: &[String]) -> String {
    let name = |class: u32| &names[class as usize];
    let worst: Vec<String> = commonest(counts)
        .iter()
        .take(IN_CAPTION)
        .map(|(n, t, p)| format!("{} for {} ({n})", name(*t), name(*p)))
        .collect();
    let most = if worst.is_empty() {
        String::new()
    } else {
        format!("; most often taken, in feature space: {}", worst.join(", "))
    };
    format!("There is no room for names and numbers: classes stand in the order of their names{most}. ")
}

/// The scale of the colour.
fn legend(y: f64, worst: f64) -> Markup {
    const EACH: f64 = 36.0;
    let from = WIDTH - PARTS as f64 * EACH;
    let at = |k: usize| worst * (k as f64 + 1.0) / PARTS as f64;
    html! {
        text class="s f-faint" x=(N(from - 8.0)) y=(N(y + 11.0)) text-anchor="end" { "share of the row" }
        text class="s f-faint" x="0" y=(N(y + 26.0)) { "row: true; column: answer" }
        @if worst > 0.0 {
            @for k in 0..PARTS {
                rect class="f-card" x=(N(from + k as f64 * EACH)) y=(N(y)) width=(N(EACH - 1.0)) height="13" {}
                rect class="f-wrong" fill-opacity=(N(strength(at(k), worst))) x=(N(from + k as f64 * EACH)) y=(N(y)) width=(N(EACH - 1.0)) height="13" {}
                text class="s f-faint" x=(N(from + (k as f64 + 0.5) * EACH)) y=(N(y + 26.0)) text-anchor="middle" { (short_percent(at(k))) }
            }
        } @else {
            text class="s f-faint" x=(N(from)) y=(N(y + 11.0)) { "nothing is wrong" }
        }
    }
}

fn short_percent(share: f64) -> String {
    let v = 100.0 * share;
    if v < 9.95 { format!("{v:.1} %") } else { format!("{v:.0} %") }
}

/// Confusions, the commonest first: how often, the true class and the answer.
fn commonest(counts: &BTreeMap<(u32, u32), u32>) -> Vec<(u32, u32, u32)> {
    let wrong = counts.iter().filter(|((t, p), n)| t != p && **n > 0);
    let mut pairs: Vec<(u32, u32, u32)> = wrong.map(|((t, p), v)| (*v, *t, *p)).collect();
    pairs.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    pairs
}

fn list<'a>(worst: &[(u32, u32, u32)], name: impl Fn(u32) -> &'a str) -> (Markup, f64) {
    let shown = &worst[..worst.len().min(LISTED)];
    let height = 24.0 + 18.0 * shown.len() as f64;
    let body = html! {
        text class="s f-faint" x="0" y="12" {
            @if shown.len() < worst.len() { "the " (shown.len()) " commonest confusions of " (worst.len()) }
            @else { "the commonest confusions" }
        }
        @for (i, (v, t, p)) in shown.iter().enumerate() {
            (written("f-ink", (0.0, 32.0 + 18.0 * i as f64), Anchor::Start, &format!("{v} × {} taken for {}", name(*t), name(*p)), WIDTH))
        }
    };
    (body, height)
}
