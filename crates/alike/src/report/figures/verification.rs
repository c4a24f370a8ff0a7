//! Verification: what a threshold accepts and rejects.

use super::histogram::{histogram, key};
use super::pictures::{PictureRow, Shown, Tone, panel as picture_panel};
use super::saliency::reasons;
use crate::engine::PixelGradients;
use crate::eval::{Pair, Pairs};
use crate::files::FileError;
use crate::images::Images;
use crate::report::axes::{Frame, Unit};
use crate::report::figure::{Figure, Panel};
use crate::report::input::{percent, thousands};
use maud::{Markup, html};

const HEIGHT: f64 = 250.0;
/// Points of a curve, at most.
const POINTS: usize = 400;
const BINS: usize = 60;
/// Worst pairs of each kind.
const WORST: usize = 16;
/// Of each kind, those that are explained.
const EXPLAINED: usize = 3;

/// Curves in both spaces, the distances of pairs in feature space, the pairs that it judges worst, and what their distances hang on if
/// there is a network to ask.
///
/// # Errors
///
/// If an image cannot be read.
pub fn verification_figure(
    image: &Pairs,
    feature: &Pairs,
    images: &Images,
    network: Option<&mut PixelGradients>,
) -> Result<Figure, FileError> {
    let (genuine, impostor) = feature.counts();
    let (i, f) = (image.equal_error_rate(), feature.equal_error_rate());
    let caption = format!(
        "{} pairs of one class and {} of two, each judged by its distance. First, the share of pairs of one class that is \
         accepted where a share of those of two is. Second, the same as errors (detection error trade-off): where a curve \
         crosses the diagonal both are equal, at {} for pixels and {} for the embedding. Third, the distances in the learned \
         space, with the threshold at which both errors are equal. Then the pairs that this threshold judges worst: of one class and \
         far apart, of two and near{}.",
        thousands(genuine),
        thousands(impostor),
        percent(i.eer),
        percent(f.eer),
        if network.is_some() { "; and in colour the pixels that their distances hang on" } else { "" },
    );
    let mut panels =
        vec![roc(image, feature), det(image, feature), distances(feature), worst(feature, images)?];
    if let Some(network) = network {
        for (title, genuine) in [("Why one class is far apart", true), ("Why two classes are near", false)] {
            let pairs = ends(feature, genuine).take(EXPLAINED);
            let pairs = pairs.map(|p| p.images.map(|i| (images, i as usize, String::new()))).collect();
            panels.extend(reasons(title, pairs, Some(network))?);
        }
    }
    Ok(Figure { name: "verification", title: "One class or two?".to_owned(), caption, panels, columns: 2 })
}

/// Points of a curve, thinned where they are many: evenly by the logarithm of their false acceptances.
fn thinned(pairs: &Pairs) -> Vec<[f64; 2]> {
    let all = pairs.roc();
    let mut kept: Vec<[f64; 2]> = Vec::new();
    let step = 8.0 / POINTS as f64;
    for (i, p) in all.iter().enumerate() {
        let new = kept.last().is_none_or(|last: &[f64; 2]| {
            (p[0].max(1e-8).log10() - last[0].max(1e-8).log10()).abs() >= step
                || (p[1] - last[1]).abs() >= 0.01
        });
        if new || i + 1 == all.len() {
            kept.push(*p);
        }
    }
    kept
}

fn roc(image: &Pairs, feature: &Pairs) -> Panel {
    let least = 1.0 / feature.counts().1 as f64;
    let from = least.log10().floor().max(-5.0);
    let frame = Frame::new(HEIGHT, (from, 0.0), (0.0, 1.0));
    let line = |pairs: &Pairs| -> String {
        let at = |p: &[f64; 2]| (p[0].max(10f64.powf(from)).log10(), p[1]);
        frame.path(&thinned(pairs).iter().map(at).collect::<Vec<_>>())
    };
    let body = html! {
        (frame.axes(("false acceptances, 10 to the power", Unit::Plain), ("true acceptances", Unit::Percent)))
        (curves(&line(image), &line(feature), HEIGHT - 67.0))
    };
    Panel { title: "Receiver operating characteristic".to_owned(), height: HEIGHT, body }
}

fn det(image: &Pairs, feature: &Pairs) -> Panel {
    let most = 2.0 * image.equal_error_rate().eer.max(feature.equal_error_rate().eer).max(0.01);
    let most = most.min(1.0);
    let frame = Frame::new(HEIGHT, (0.0, most), (0.0, most));
    let line = |pairs: &Pairs| -> String {
        let points: Vec<(f64, f64)> = thinned(pairs)
            .iter()
            .map(|p| (p[0], 1.0 - p[1]))
            .filter(|(x, y)| *x <= most && *y <= most)
            .collect();
        frame.path(&points)
    };
    let diagonal = frame.path(&[(0.0, 0.0), (most, most)]);
    let body = html! {
        (frame.axes(("false acceptances", Unit::Percent), ("false rejections", Unit::Percent)))
        path class="s-line" stroke-dasharray="3 3" d=(diagonal) {}
        (curves(&line(image), &line(feature), 20.0))
    };
    Panel { title: "Detection error trade-off".to_owned(), height: HEIGHT, body }
}

fn curves(image: &str, feature: &str, y: f64) -> Markup {
    html! {
        path class="s-image" stroke-width="2" d=(image) {}
        path class="s-feature" stroke-width="2" d=(feature) {}
        (key(y, &[("image", "pixels"), ("feature", "learned")]))
    }
}

fn distances(pairs: &Pairs) -> Panel {
    let (most, counts) = pairs.histogram(BINS);
    let (genuine, impostor) = pairs.counts();
    let shares: Vec<[f64; 2]> =
        counts.iter().map(|c| [c[0] as f64 / genuine as f64, c[1] as f64 / impostor as f64]).collect();
    let threshold = Some(pairs.equal_error_rate().threshold);
    let names = ["of one class", "of two"];
    histogram("Distances in the learned space", "distance", most, &shares, names, threshold)
}

fn worst(pairs: &Pairs, images: &Images) -> Result<Panel, FileError> {
    let of = |genuine: bool| -> Vec<Shown<'_>> {
        let tone = if genuine { Tone::Right } else { Tone::Wrong };
        let shown = |p: &Pair| {
            let text = format!("{:.3}", p.distance);
            p.images.map(|image| Shown::new(images, image as usize, text.clone(), tone))
        };
        ends(pairs, genuine).take(WORST / 2).flat_map(shown).collect()
    };
    let row =
        |heading: &str, genuine| PictureRow { lead: None, heading: heading.to_owned(), others: of(genuine) };
    picture_panel(
        "Pairs that are judged worst",
        &[row("Of one class, and farthest apart", true), row("Of two classes, and nearest", false)],
    )
}

/// Pairs of one class, the farthest first, or of two, the nearest first.
fn ends(pairs: &Pairs, genuine: bool) -> Box<dyn Iterator<Item = &Pair> + '_> {
    let all = pairs.sorted().iter();
    let of_kind = move |p: &&Pair| p.genuine == genuine;
    if genuine { Box::new(all.rev().filter(of_kind)) } else { Box::new(all.filter(of_kind)) }
}
