//! Queries and their nearest neighbours, in both spaces.

use super::pictures::{ACROSS, PictureRow, Shown, Tone, picture_rows};
use crate::eval::SpaceJudgement;
use crate::files::FileError;
use crate::images::{Vectors, with_pixels};
use crate::neighbours::squared_distance;
use crate::report::figure::Figure;
use crate::report::input::{ReportInput, thousands};
use crate::report::text::short_names;

const NEIGHBOURS: usize = ACROSS[0];

pub(in crate::report) fn strips(e: &ReportInput<'_>) -> Result<Figure, FileError> {
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
    let pixels = [&e.data.test.images, &e.data.gallery().0.images];
    let learned = [Vectors::Features(e.queries), Vectors::Features(e.gallery)];
    let by = format!("Nearest by {}", e.baseline().name());
    let panels = [
        (by.as_str(), with_pixels(pixels, |pixels| rows(e, &spaces.image, pixels, &shown))?),
        ("Nearest in the learned space", rows(e, &spaces.feature, learned, &shown)),
    ];
    let count = |i: usize| thousands(counts[i]);
    let caption = format!(
        "Each row begins with a test image; then come its {} nearest images of the gallery with their distances, nearest first: ✓ of its \
         class, ✗ not (dashed frame). Where there are such, the first rows were chosen because their nearest neighbour is of their class in one space only; of all \
         {} test images, the nearest neighbour is of their class for {} in feature space alone, for {} in {} alone, for {} in \
         neither, and for {} in both.",
        NEIGHBOURS,
        thousands(e.data.test.len()),
        count(0),
        count(1),
        e.baseline().space(),
        count(2),
        count(3),
    );
    picture_rows("neighbours", "Who is near whom", caption, &panels)
}

/// `vectors`: of those that ask, and of the gallery.
fn rows<'a>(
    e: &ReportInput<'a>,
    space: &SpaceJudgement,
    [asking, answering]: [Vectors<'_>; 2],
    queries: &[usize],
) -> Vec<PictureRow<'a>> {
    let (train, test) = (e.data.gallery().0, &e.data.test);
    let names = short_names(&e.data.classes);
    let name = |label: u32| names[label as usize].clone();
    let row = |&q: &usize| {
        let own = asking.row(q);
        let neighbour = |&g: &usize| {
            let tone = if train.labels[g] == test.labels[q] { Tone::Right } else { Tone::Wrong };
            let distance = squared_distance(&own, &answering.row(g)).sqrt();
            Shown::new(&train.images, g, name(train.labels[g]), tone).far(distance)
        };
        PictureRow {
            lead: Some(Shown::new(&test.images, q, name(test.labels[q]), Tone::Plain)),
            heading: String::new(),
            others: space.neighbours[q].iter().take(NEIGHBOURS).map(neighbour).collect(),
        }
    };
    queries.iter().map(row).collect()
}
