//! Classes that training never saw: where they lie, and whether they are found.

use super::accuracy::{Row, chart};
use super::spaces::{Plane, Sample};
use crate::eval::Unseen;
use crate::images::Vectors;
use crate::report::figure::Figure;
use crate::report::input::{ReportInput, percent, thousands};
use crate::report::numbers::{Numbers, exact};
use crate::report::theme::class_colour;

pub(in crate::report) fn unseen(e: &ReportInput<'_>, unseen: &Unseen, sample: &Sample) -> Figure {
    let is_unseen = |class: usize| unseen.classes.contains(&e.data.classes[class]);
    let colour = |class: usize| {
        let place = unseen.classes.iter().position(|c| *c == e.data.classes[class]);
        place.map_or("bar".to_owned(), |i| class_colour(2 + i))
    };
    let plane = Plane::of(Vectors::Features(e.gallery), Vectors::Features(e.queries), sample);
    let (scatter, placed) = plane.scatter("Feature space", e, sample, &colour, is_unseen);

    let asked = asked(e, unseen);
    let recalls = unseen.recalls();
    let rows: Vec<Row> = recalls
        .iter()
        .map(|(name, image, feature)| Row { name, image: *image, feature: *feature, verdict: None })
        .collect();
    let mut numbers = Numbers::new(&["rule", "pixels", "learned"]);
    for r in &rows {
        numbers.push([r.name.to_owned(), exact(r.image), exact(r.feature)]);
    }
    let names = unseen.classes.join(", ");
    let quality: Vec<String> = unseen
        .classes
        .iter()
        .filter_map(|c| {
            let (purity, silhouette) = (unseen.purity.get(c)?, unseen.silhouette.get(c)?);
            Some(format!("{c}: purity {}, silhouette {silhouette:.2}", percent(*purity)))
        })
        .collect();
    let lands: Vec<String> = unseen
        .classes
        .iter()
        .filter_map(|c| {
            let mut on: Vec<(&String, &f64)> = unseen.lands_on.get(c)?.iter().collect();
            on.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
            let list: Vec<String> =
                on.iter().take(3).map(|(n, s)| format!("{n} ({})", percent(**s))).collect();
            (!list.is_empty()).then(|| format!("1-NN takes {c} for {}.", list.join(", ")))
        })
        .collect();
    let caption = format!(
        "A network trained without a single image of {names}; gallery and queries hold all classes. A dot is one of {} test \
         images, by the first two principal components of the gallery's embeddings: grey ones are of classes that were \
         trained on.{} The bars are the recall of the {} test images of {names}. Precision@1 {}, R-Precision {}, MAP@R {}. \
         {}. Purity: of the test images nearest to the class's mean, as many as it has members, the share that belongs \
         to it. Silhouette: from -1 to 1, above 0 where a class is nearer to itself than to the next. {}",
        thousands(sample.indices.len()),
        placed.sentence(),
        thousands(asked.len()),
        percent(unseen.precision_at_1),
        percent(unseen.r_precision),
        percent(unseen.map_at_r),
        quality.join("; "),
        lands.join(" "),
    );
    let title = if unseen.classes.len() == 1 { "A class never seen" } else { "Classes never seen" };
    Figure {
        name: "unseen",
        title: format!("{title}: {names}"),
        caption,
        numbers,
        panels: vec![scatter, chart("Recall of the unseen", &rows, 1.0, e.baseline())],
        columns: 2,
    }
}

/// Test images of classes that training never saw.
fn asked(e: &ReportInput<'_>, unseen: &Unseen) -> Vec<usize> {
    let test = &e.data.test;
    (0..test.len()).filter(|&i| unseen.classes.contains(&e.data.classes[test.labels[i] as usize])).collect()
}
