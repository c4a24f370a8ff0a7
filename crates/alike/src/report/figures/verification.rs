//! Verification: what a threshold accepts and rejects.

use super::histogram::{histogram, key};
use super::pictures::{PairShown, Shown, Tone, pairs as picture_pairs};
use super::saliency::reasons;
use crate::engine::PixelGradients;
use crate::eval::{Baseline, Pair, Pairs};
use crate::files::FileError;
use crate::images::Images;
use crate::report::axes::{Frame, Unit, bins, normal_deviate};
use crate::report::figure::{Figure, Panel};
use crate::report::input::{capital, percent, thousands};
use crate::report::numbers::{Numbers, exact};
use maud::{Markup, html};

const HEIGHT: f64 = 264.0;
/// What the key above the curves takes.
const KEY: f64 = 36.0;
/// Points of a curve, at most.
const POINTS: usize = 400;
const MOST_BINS: usize = 60;
/// Worst pairs of each kind.
const WORST: usize = 6;
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
    let baseline = Baseline::of_images(images).name();
    let (genuine, impostor) = feature.counts();
    let (i, f) = (image.equal_error_rate(), feature.equal_error_rate());
    let caption = format!(
        "{} pairs of one class and {} of two, each judged by its distance. The receiver operating characteristic is the share of pairs of \
         one class that is accepted where a share of those of two is; AUC is the area under it on axes without logarithms. The \
         detection error trade-off is the same as errors, on axes of normal deviates: where a curve crosses the diagonal both are \
         equal, at {} for {baseline} and {} for the embedding (the equal error rate). The distances are those of the learned space, \
         with the threshold at which both errors are equal. The pairs are those that this threshold judges worst: of one class and far \
         apart, of two and near{}.",
        thousands(genuine),
        thousands(impostor),
        percent(i.eer),
        percent(f.eer),
        if network.is_some() { "; and in colour the pixels that their distances hang on" } else { "" },
    );
    let mut numbers = Numbers::new(&["space", "false_accept_rate", "true_accept_rate"]);
    for (space, pairs) in [("image", image), ("feature", feature)] {
        for [far, tar] in thinned(pairs) {
            numbers.push([space.to_owned(), exact(far), exact(tar)]);
        }
    }
    let mut panels = vec![
        roc(image, feature, baseline),
        det(image, feature, baseline),
        distances(feature),
        worst(feature, images)?,
    ];
    if let Some(network) = network {
        for (title, genuine) in [("Why one class is far apart", true), ("Why two classes are near", false)] {
            let pairs = ends(feature, genuine).take(EXPLAINED);
            let pairs = pairs.map(|p| p.images.map(|i| (images, i as usize, String::new()))).collect();
            panels.extend(reasons(title, pairs, Some(network))?);
        }
    }
    let title = "One class or two?".to_owned();
    Ok(Figure { name: "verification", title, caption, numbers, panels, columns: 2 })
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

fn roc(image: &Pairs, feature: &Pairs, baseline: &str) -> Panel {
    let least = 1.0 / feature.counts().1 as f64;
    let from = least.log10().floor().clamp(-5.0, -1.0);
    let frame = Frame::new(HEIGHT, (from, 0.0), (0.0, 1.0)).below(KEY);
    let line = |pairs: &Pairs| -> String {
        let at = |p: &[f64; 2]| (p[0].max(10f64.powf(from)).log10(), p[1]);
        frame.path(&thinned(pairs).iter().map(at).collect::<Vec<_>>())
    };
    let area = |pairs: &Pairs| format!("AUC {:.4}", pairs.auc());
    let body = html! {
        (frame.axes(("false accept rate", Unit::Log), ("true accept rate", Unit::Percent)))
        (curves(&line(image), &line(feature), [area(image), area(feature)], baseline))
    };
    let says = format!("{} have an {}, the embedding an {}.", capital(baseline), area(image), area(feature));
    Panel { title: "Receiver operating characteristic".to_owned(), says, height: HEIGHT, body }
}

fn det(image: &Pairs, feature: &Pairs, baseline: &str) -> Panel {
    let (genuine, impostor) = feature.counts();
    let rates = [image.equal_error_rate().eer, feature.equal_error_rate().eer];
    // From the smallest error that there can be to well beyond equal errors.
    let low = normal_deviate((1.0 / genuine.max(impostor) as f64).clamp(1e-5, 0.02));
    let high = normal_deviate((2.0 * rates[0].max(rates[1])).clamp(0.1, 0.98));
    let frame = Frame::new(HEIGHT, (low, high), (low, high)).below(KEY);
    let line = |pairs: &Pairs| -> String {
        let clamped = |v: f64| normal_deviate(v).clamp(low, high);
        let points: Vec<(f64, f64)> =
            thinned(pairs).iter().map(|p| (clamped(p[0]), clamped(1.0 - p[1]))).collect();
        // Along the frame's edges there is no curve.
        let inner: Vec<(f64, f64)> = points.iter().copied().filter(|(x, y)| *x < high && *y < high).collect();
        frame.path(if inner.is_empty() { &points } else { &inner })
    };
    let diagonal = frame.path(&[(low, low), (high, high)]);
    let rate = |k: usize| format!("equal error rate {}", percent(rates[k]));
    let body = html! {
        (frame.axes(("false accept rate", Unit::Deviate), ("false reject rate", Unit::Deviate)))
        path class="s-faint" stroke-dasharray="3 3" d=(diagonal) {}
        (curves(&line(image), &line(feature), [rate(0), rate(1)], baseline))
    };
    let says = format!(
        "Both errors are equal at {} for {baseline}, at {} for the embedding.",
        percent(rates[0]),
        percent(rates[1])
    );
    Panel { title: "Detection error trade-off".to_owned(), says, height: HEIGHT, body }
}

fn curves(image: &str, feature: &str, said: [String; 2], baseline: &str) -> Markup {
    let [pixels, learned] = [format!("{baseline}: {}", said[0]), format!("learned: {}", said[1])];
    html! {
        path class="s-image" stroke-width="2" stroke-dasharray="6 3" d=(image) {}
        path class="s-feature" stroke-width="2" d=(feature) {}
        (key(12.0, &[("image", &pixels), ("feature", &learned)]))
    }
}

fn distances(pairs: &Pairs) -> Panel {
    let (genuine, impostor) = pairs.counts();
    let (most, counts) = pairs.histogram(bins(genuine.min(impostor), MOST_BINS));
    let shares: Vec<[f64; 2]> =
        counts.iter().map(|c| [c[0] as f64 / genuine as f64, c[1] as f64 / impostor as f64]).collect();
    let threshold = Some(pairs.equal_error_rate().threshold);
    let names = ["pairs of one class", "pairs of two classes"];
    histogram("Distances in the learned space", "distance", most, &shares, names, threshold)
}

fn worst(pairs: &Pairs, images: &Images) -> Result<Panel, FileError> {
    let of = |genuine: bool| -> Vec<PairShown<'_>> {
        let tone = if genuine { Tone::Right } else { Tone::Wrong };
        let shown = |p: &Pair| PairShown {
            pair: p.images.map(|image| Shown::new(images, image as usize, "", tone)),
            note: format!("{:.3}", p.distance),
        };
        ends(pairs, genuine).take(WORST).map(shown).collect()
    };
    picture_pairs(
        "Pairs that are judged worst",
        &[("Of one class, and farthest apart", of(true)), ("Of two classes, and nearest", of(false))],
    )
}

/// Pairs of one class, the farthest first, or of two, the nearest first.
fn ends(pairs: &Pairs, genuine: bool) -> Box<dyn Iterator<Item = &Pair> + '_> {
    let all = pairs.sorted().iter();
    let of_kind = move |p: &&Pair| p.genuine == genuine;
    if genuine { Box::new(all.rev().filter(of_kind)) } else { Box::new(all.filter(of_kind)) }
}
