//! Queries and their nearest neighbours, in both spaces.

use crate::eval::SpaceJudgement;
use crate::report::evidence::{Evidence, thousands};
use crate::report::figure::{Figure, N, Panel, WIDTH, picture};
use maud::{Markup, html};

const NEIGHBOURS: usize = 7;
const SIDE: f64 = 34.0;
const ROW: f64 = 58.0;

pub(in crate::report) fn strips(e: &Evidence<'_>) -> Figure {
    let spaces = &e.judgement.spaces;
    let labels = (&e.data.gallery().0.labels, &e.data.test.labels);
    let right = |space: &SpaceJudgement, q: usize| {
        space.neighbours[q].first().is_some_and(|&g| labels.0[g] == labels.1[q])
    };
    // By whether the nearest neighbour is right in image space and in feature space: the telling cases first.
    let kinds = [(false, true, 3), (true, false, 3), (false, false, 2), (true, true, 2)];
    let mut shown = Vec::new();
    let mut counts = Vec::new();
    for (image, feature, most) in kinds {
        let all: Vec<usize> = (0..e.data.test.len())
            .filter(|&q| right(&spaces.image, q) == image && right(&spaces.feature, q) == feature)
            .collect();
        counts.push(all.len());
        // Spread over the split, so that one class does not fill the figure.
        let n = most.min(all.len());
        shown.extend((0..n).map(|i| all[i * all.len() / n]));
    }
    let panels = vec![
        panel("Nearest by pixels", e, &spaces.image, &shown),
        panel("Nearest in the learned space", e, &spaces.feature, &shown),
    ];
    let count = |i: usize| thousands(counts[i]);
    let caption = format!(
        "Left in each row a test image, then its {} nearest images of the gallery, nearest first: ✓ of its class, ✗ not \
         (dashed frame). The first rows were chosen because their nearest neighbour is right in one space only; of all \
         {} test images, {} have a right nearest neighbour in feature space alone, {} in image space alone, {} in \
         neither, {} in both.",
        NEIGHBOURS,
        thousands(e.data.test.len()),
        count(0),
        count(1),
        count(2),
        count(3),
    );
    Figure { name: "neighbours", title: "Who is near whom".to_owned(), caption, panels, columns: 2 }
}

fn panel(title: &str, e: &Evidence<'_>, space: &SpaceJudgement, queries: &[usize]) -> Panel {
    let (train, test) = (e.data.gallery().0, &e.data.test);
    let short = |label: u32| -> String { e.data.classes[label as usize].chars().take(7).collect() };
    let step = (WIDTH - SIDE - 22.0) / NEIGHBOURS as f64;
    let row = |i: usize, q: usize| -> Markup {
        let y = i as f64 * ROW + SIDE / 2.0 + 4.0;
        html! {
            (picture(&test.images, q, 4.0 + SIDE / 2.0, y, SIDE))
            (frame(4.0 + SIDE / 2.0, y, "ink", false))
            text class="s b f-ink" text-anchor="middle" x=(N(4.0 + SIDE / 2.0)) y=(N(y + SIDE / 2.0 + 13.0)) { (short(test.labels[q])) }
            @for (k, &g) in space.neighbours[q].iter().take(NEIGHBOURS).enumerate() {
                @let x = SIDE + 22.0 + (k as f64 + 0.5) * step;
                @let right = train.labels[g] == test.labels[q];
                (picture(&train.images, g, x, y, SIDE))
                (frame(x, y, if right { "right" } else { "wrong" }, !right))
                text class=(format!("s b f-{}", if right { "right" } else { "wrong" })) text-anchor="middle"
                    x=(N(x)) y=(N(y + SIDE / 2.0 + 13.0)) { (if right { "✓ " } else { "✗ " }) (short(train.labels[g])) }
            }
        }
    };
    let body = html! { @for (i, &q) in queries.iter().enumerate() { (row(i, q)) } };
    Panel { title: title.to_owned(), height: ROW * queries.len() as f64, body }
}

fn frame(x: f64, y: f64, colour: &str, dashed: bool) -> Markup {
    html! {
        rect class=(format!("s-{colour}")) stroke-width="2" stroke-dasharray=(if dashed { "4 3" } else { "none" })
            x=(N(x - SIDE / 2.0)) y=(N(y - SIDE / 2.0)) width=(N(SIDE)) height=(N(SIDE)) {}
    }
}
