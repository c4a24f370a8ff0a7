//! New classes from a handful of images.

use super::accuracy::{Row, chart};
use super::pictures::{ACROSS, PictureRow, Shown, Tone, numbers, panel as picture_panel};
use super::saliency::{Two, network, reasons};
use crate::engine::PixelGradients;
use crate::eval::{Episode, Episodes, FewShot, draw_episodes, few_shot as play};
use crate::files::FileError;
use crate::images::{Features, Images, Vectors, with_pixels};
use crate::report::figure::Figure;
use crate::report::input::{ReportInput, capital, percent, thousands};
use crate::report::numbers::{Numbers, exact};
use crate::report::text::short_names;
use std::collections::BTreeSet;

const EPISODES: usize = 300;
/// Mistakes that are shown, and those of them that are explained.
const SHOWN: usize = 8;
const EXPLAINED: usize = 4;
/// Classes beside a mistake.
const BESIDE: usize = ACROSS[0];

/// Episodes over the test classes; nothing where they were trained on, or are too few.
pub(in crate::report) fn few_shot(e: &ReportInput<'_>) -> Result<Option<Figure>, FileError> {
    if !e.data.is_open_set() {
        return Ok(None);
    }
    let test = &e.data.test;
    let kinds = [(5, 1), (5, 5), (20, 1), (20, 5)];
    let mut first = None;
    let mut played: Vec<[FewShot; 2]> = Vec::new();
    for (ways, shots) in kinds {
        let how = Episodes { ways, shots, queries: 15, count: EPISODES, within_category: false };
        let Ok(episodes) = draw_episodes(&test.labels, &e.data.categories, how, e.seed()) else {
            continue;
        };
        let image = with_pixels([&test.images], |[pixels]| play(pixels, &episodes))?;
        played.push([image, play(Vectors::Features(e.queries), &episodes)]);
        first.get_or_insert(episodes);
    }
    if played.is_empty() {
        return Ok(None);
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
            verdict: Some({
                let [low, high] = feature.prototypes.interval.map(|v| 100.0 * v);
                format!("[{low:.2}, {high:.2}]")
            }),
        })
        .collect();
    let caption = format!(
        "{EPISODES} episodes each: so many classes that were never trained on are told apart by so many images of each. {} by the nearest \
         image, the embedding by the nearest class mean, with its 95 % interval over episodes of these classes.",
        capital(e.baseline().name()),
    );
    let mut table =
        Numbers::new(&["ways", "shots", "episodes", "pixels_nearest", "prototypes", "low", "high"]);
    for [image, feature] in &played {
        let [ways, shots, episodes] = [feature.ways, feature.shots, feature.episodes].map(|n| n.to_string());
        let [low, high] = feature.prototypes.interval.map(exact);
        let means = [image.nearest.mean, feature.prototypes.mean].map(exact);
        let [pixels, prototypes] = means;
        table.push([ways, shots, episodes, pixels, prototypes, low, high]);
    }
    let mut panels = vec![chart("Accuracy", &rows, 1.0, e.baseline())];
    let names_of = short_names(&e.data.classes);
    let name = |i: usize| names_of[test.labels[i] as usize].clone();
    let wrong = match first {
        Some(episodes) if !test.images.are_floats() => {
            mistakes(&episodes, &test.images, e.queries, name, network(e).as_mut())?
        }
        _ => None,
    };
    let mut caption = caption;
    if let Some(wrong) = wrong {
        caption.push_str(&format!(" In the {} episodes: {}", names[0], wrong.caption));
        panels.extend(wrong.panels);
    }
    Ok(Some(Figure {
        name: "few-shot",
        title: "New classes from a handful of images".to_owned(),
        caption,
        numbers: table,
        panels,
        columns: 2,
    }))
}

/// Queries that prototypes answer wrongly, with the classes that they saw; the most misled first. `name` tells an image's class. What
/// the worst hang on is drawn if there is a network to ask. Nothing where no answer is wrong.
///
/// # Errors
///
/// If an image cannot be read.
pub fn mistakes(
    episodes: &[Episode],
    images: &Images,
    embedded: &Features,
    name: impl Fn(usize) -> String,
    network: Option<&mut PixelGradients>,
) -> Result<Option<Figure>, FileError> {
    let vectors = Vectors::Features(embedded);
    let mut asked = 0;
    let mut wrong = Vec::new();
    for episode in episodes {
        asked += episode.queries.len();
        for (answer, (query, class)) in episode.answers(vectors).into_iter().zip(&episode.queries) {
            if answer[0] != *class {
                let seen = episode.seen_from(vectors, *query);
                let Some(own) = seen.iter().find(|s| s.0 == *class).map(|s| s.1) else { return Ok(None) };
                wrong.push((seen[0].1 / own.max(f64::MIN_POSITIVE), *query, *class, seen));
            }
        }
    }
    let n = wrong.len();
    wrong.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut met = BTreeSet::new();
    wrong.retain(|w| met.insert(w.1));
    wrong.truncate(SHOWN);
    if wrong.is_empty() {
        return Ok(None);
    }
    let rows: Vec<PictureRow<'_>> = wrong
        .iter()
        .map(|(_, query, class, seen)| {
            // The right class is shown, however far.
            let own = seen.iter().position(|s| s.0 == *class).unwrap_or(0);
            let mut shown: Vec<usize> = (0..seen.len().min(BESIDE)).collect();
            if own >= BESIDE {
                shown[BESIDE - 1] = own;
            }
            let one = |k: usize| {
                let (c, distance, image) = seen[k];
                let tone = if c == *class { Tone::Right } else { Tone::Wrong };
                Shown::new(images, image, name(image), tone).far(distance)
            };
            PictureRow {
                lead: Some(Shown::new(images, *query, name(*query), Tone::Plain)),
                heading: String::new(),
                others: shown.into_iter().map(one).collect(),
            }
        })
        .collect();
    let title = "Mistakes, the most misled first";
    let mut panels = vec![picture_panel(title, &rows)?];
    let table = numbers(&[(title, rows)]);
    if let Some(network) = network {
        let pair = |(_, query, _, seen): &(f64, usize, usize, Vec<(usize, f64, usize)>)| -> Two<'_> {
            let image = seen[0].2;
            [
                (images, *query, format!("asks: {}", name(*query))),
                (images, image, format!("taken for: {}", name(image))),
            ]
        };
        let pairs = wrong.iter().take(EXPLAINED).map(pair).collect();
        panels.extend(reasons("What makes them alike", pairs, Some(network))?);
    }
    let caption = format!(
        "{} of {} answers are wrong ({}). Each row begins with an image that asks; then come the classes of its episode, each by its image that is nearest \
         and the distance of its mean: ✓ the right one, ✗ the others.",
        thousands(n),
        thousands(asked),
        percent(n as f64 / asked as f64),
    );
    Ok(Some(Figure {
        name: "mistakes",
        title: "What is mistaken".to_owned(),
        caption,
        numbers: table,
        panels,
        columns: 2,
    }))
}
