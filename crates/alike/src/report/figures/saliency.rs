//! Why two images are near or far: both, and the pixels that their distance hangs on.

use crate::engine::{PixelGradients, Tier};
use crate::eval::{Masking, Saliency, SaliencyBy, saliency};
use crate::files::FileError;
use crate::images::{Images, Shape};
use crate::report::figure::{Figure, N, Panel, WIDTH, picture};
use crate::report::input::ReportInput;
use crate::report::numbers::{Numbers, exact};
use crate::report::text::{Anchor, short_names, written};
use maud::{Markup, html};

/// Two images with what explains their distance.
#[derive(Clone, Debug)]
pub struct Explained<'a> {
    /// Each image, and the word below it.
    pub images: [(&'a Images, usize, String); 2],
    /// See [`saliency`].
    pub why: Saliency,
}

const SIDE: f64 = 76.0;
const ROW: f64 = 114.0;
/// Errors that the page explains.
const ERRORS: usize = 8;
/// The colour of what matters most.
const HOT: [f32; 3] = [232.0, 84.0, 12.0];

/// A row a pair: each image, and beside it what matters in it.
///
/// # Errors
///
/// If an image cannot be read.
pub fn explained(pairs: &[Explained<'_>]) -> Result<Figure, FileError> {
    let n = pairs.len().max(1) as f64;
    let mean = |of: fn(&Masking) -> f64| pairs.iter().map(|p| of(&p.why.masking)).sum::<f64>() / n;
    let (salient, random) = (mean(|m| m.salient), mean(|m| m.random));
    let how = match pairs.first().map(|p| p.why.by) {
        Some(SaliencyBy::Occlusion) => {
            "how much the squared distance changes where a square around the pixel is covered with the image's mean colour"
        }
        _ => {
            "the gradient of the squared distance by a pixel, times how far the pixel is from the image's mean"
        }
    };
    let caption = format!(
        "Each image, and beside it in colour the pixels that the distance of the two hangs on: {how}. Painting over the tenth that is coloured most moves the distance by {salient:.3} in \
         the mean, painting over a random tenth by {random:.3}{}.",
        if salient < random { ": less than by chance, so these maps explain little" } else { "" },
    );
    let half = pairs.len().div_ceil(2).max(1);
    let panels = pairs
        .chunks(half)
        .enumerate()
        .map(|(i, some)| {
            let body = rows(some)?;
            let title = if i == 0 { "What makes them alike" } else { "Further pairs" };
            Ok(Panel { title: title.to_owned(), says: said(some), height: ROW * some.len() as f64, body })
        })
        .collect::<Result<_, FileError>>()?;
    let mut numbers = Numbers::new(&["first", "second", "distance", "salient", "random"]);
    for p in pairs {
        let [a, b] = p.images.each_ref().map(|i| i.2.clone());
        let [distance, salient, random] =
            [p.why.distance, p.why.masking.salient, p.why.masking.random].map(exact);
        numbers.push([a, b, distance, salient, random]);
    }
    Ok(Figure { name: "why", title: "Why they are near".to_owned(), caption, numbers, panels, columns: 2 })
}

fn rows(pairs: &[Explained<'_>]) -> Result<Markup, FileError> {
    Ok(html! { @for (row, pair) in pairs.iter().enumerate() { (drawn(pair, row as f64 * ROW)?) } })
}

/// Two images, each with the word below it.
pub(super) type Two<'a> = [(&'a Images, usize, String); 2];

/// A panel that explains pairs of a protocol; nothing without pairs, or without gradients.
pub(super) fn reasons(
    title: &str,
    pairs: Vec<Two<'_>>,
    network: Option<&mut PixelGradients>,
) -> Result<Option<Panel>, FileError> {
    let Some(network) = network else { return Ok(None) };
    let height = ROW * pairs.len() as f64;
    let explained = explain(pairs, network, 0)?;
    let body = rows(&explained)?;
    Ok((height > 0.0).then(|| Panel { title: title.to_owned(), says: said(&explained), height, body }))
}

/// What covering pixels does, in a sentence.
fn said(pairs: &[Explained<'_>]) -> String {
    let beats = pairs.iter().filter(|p| p.why.masking.salient > p.why.masking.random).count();
    format!(
        "In {beats} of {} pairs painting over the coloured pixels moves the distance more than over random ones.",
        pairs.len()
    )
}

fn explain<'a>(
    pairs: Vec<Two<'a>>,
    network: &mut PixelGradients,
    seed: u64,
) -> Result<Vec<Explained<'a>>, FileError> {
    let explain = |images: Two<'a>| {
        let why = saliency(network, [(images[0].0, images[0].1), (images[1].0, images[1].1)], seed)?;
        Ok(Explained { images, why })
    };
    pairs.into_iter().map(explain).collect()
}

/// What judgements are explained by; nothing for an encoder that was not trained here, or a head on one, which sees no pixels.
pub(in crate::report) fn network(e: &ReportInput<'_>) -> Option<PixelGradients> {
    let checkpoint = e.training?.checkpoint;
    if checkpoint.network.input() != e.data.shape() {
        return None;
    }
    Some(PixelGradients::new(&checkpoint.network, &checkpoint.parameters, Tier::found()))
}

fn drawn(pair: &Explained<'_>, top: f64) -> Result<Markup, FileError> {
    let y = top + SIDE / 2.0;
    let step = WIDTH / 4.0;
    Ok(html! {
        @for (side, (images, i, name)) in pair.images.iter().enumerate() {
            @let x = (2.0 * side as f64 + 0.5) * step;
            (picture(images, *i, x, y, SIDE)?)
            (picture(&heat(images, *i, &pair.why.maps[side])?, 0, x + step, y, SIDE)?)
            (written("s b f-ink", (x + step / 2.0, top + SIDE + 13.0), Anchor::Middle, name, 2.0 * step - 8.0))
        }
        text class="s f-faint" text-anchor="middle" x=(N(WIDTH / 2.0)) y=(N(top + SIDE + 26.0)) { (format!("distance {:.3}", pair.why.distance)) }
    })
}

/// An image in pale grey, with what matters in colour.
fn heat(images: &Images, i: usize, map: &[f32]) -> Result<Images, FileError> {
    let Shape { h, w, c } = images.shape();
    let mut scratch = Vec::new();
    let blank = vec![0u8; h * w * c];
    let image = if images.are_floats() { &blank } else { images.image(i, &mut scratch)? };
    let pixels = image.chunks_exact(c).zip(map).flat_map(|(pixel, m)| {
        let grey = pixel.iter().map(|v| f32::from(*v)).sum::<f32>() / c as f32 * 0.55 + 60.0;
        // The root lets weak parts be seen too.
        let share = m.sqrt().min(1.0);
        HOT.map(|hot| (grey * (1.0 - share) + hot * share) as u8)
    });
    Ok(Images::new(Shape { h, w, c: 3 }, pixels.collect()))
}

/// Test images whose nearest neighbour in feature space is of another class, spread over all such.
pub(in crate::report) fn explained_errors(e: &ReportInput<'_>) -> Result<Option<Figure>, FileError> {
    let (gallery, test) = (e.data.gallery().0, &e.data.test);
    if test.images.are_floats() {
        return Ok(None);
    }
    let Some(mut network) = network(e) else { return Ok(None) };
    let neighbours = &e.judgement.spaces.feature.neighbours;
    let nearest = |q: usize| neighbours[q].first().copied();
    let wrong: Vec<(usize, usize)> = (0..test.len())
        .filter_map(|q| Some((q, nearest(q)?)))
        .filter(|(q, g)| gallery.labels[*g] != test.labels[*q])
        .collect();
    let n = wrong.len().min(ERRORS);
    if n == 0 {
        return Ok(None);
    }
    let names = short_names(&e.data.classes);
    let name = |label: u32| names[label as usize].clone();
    let pairs = (0..n)
        .map(|i| wrong[i * wrong.len() / n])
        .map(|(q, g)| {
            [
                (&test.images, q, format!("test: {}", name(test.labels[q]))),
                (&gallery.images, g, format!("nearest: {}", name(gallery.labels[g]))),
            ]
        })
        .collect();
    let pairs = explain(pairs, &mut network, e.seed())?;
    let mut figure = explained(&pairs)?;
    figure.title = "Why it errs".to_owned();
    figure.caption = format!(
        "Test images whose nearest neighbour in feature space is of another class, {n} of {}. {}",
        wrong.len(),
        figure.caption
    );
    Ok(Some(figure))
}
