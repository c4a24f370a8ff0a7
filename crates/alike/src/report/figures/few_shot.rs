//! New classes from a handful of images.

use super::accuracy::{Row, chart};
use crate::eval::{Episodes, FewShot, draw_episodes, few_shot as play};
use crate::images::Vectors;
use crate::report::evidence::Evidence;
use crate::report::figure::Figure;

const EPISODES: usize = 300;

/// Episodes over the test classes; nothing where they were trained on, or are too few.
pub(in crate::report) fn few_shot(e: &Evidence<'_>) -> Option<Figure> {
    if !e.data.is_open_set() {
        return None;
    }
    let test = &e.data.test;
    let kinds = [(5, 1), (5, 5), (20, 1), (20, 5)];
    let played: Vec<[FewShot; 2]> = kinds
        .into_iter()
        .filter_map(|(ways, shots)| {
            let how = Episodes { ways, shots, queries: 15, count: EPISODES, within_category: false };
            let episodes = draw_episodes(&test.labels, &e.data.categories, how, e.settings.seed).ok()?;
            Some([
                play(Vectors::Pixels(&test.images), &episodes),
                play(Vectors::Features(e.queries), &episodes),
            ])
        })
        .collect();
    if played.is_empty() {
        return None;
    }
    let names: Vec<String> =
        played.iter().map(|p| format!("{}-way {}-shot", p[1].ways, p[1].shots)).collect();
    let rows: Vec<Row<'_>> = played
        .iter()
        .zip(&names)
        .map(|([image, feature], name)| Row {
            name,
            image: image.nearest.mean,
            feature: feature.prototypes.mean,
            verdict: Some(format!("± {:.2} points", 100.0 * feature.prototypes.half_width)),
        })
        .collect();
    let caption = format!(
        "{EPISODES} episodes each: so many classes that were never trained on are told apart by so many images of each. Pixels by the nearest \
         image, the embedding by the nearest class mean, with the half width of its 95 % interval over episodes.",
    );
    let panels = vec![chart("Accuracy", &rows, 1.0)];
    Some(Figure {
        name: "few-shot",
        title: "New classes from a handful of images".to_owned(),
        caption,
        panels,
        columns: 2,
    })
}
