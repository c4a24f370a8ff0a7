//! What makes two images alike: which pixels their distance hangs on.
//!
//! A pixel's part is how far it is from the image's mean colour, times the gradient of the squared distance by it: the mean gradient on the straight
//! way from an image of that colour alone to the image. So all parts of an image add up to what painting it over as a whole would change (integrated gradients:
//! Sundararajan, Taly and Yan 2017, <https://arxiv.org/abs/1703.01365>); the gradient at the image alone says less of deep networks. Parts are smoothed
//! over neighbouring pixels.

use crate::engine::PixelGradients;
use crate::files::FileError;
use crate::images::{Images, Shape, to_floats};
use crate::neighbours::squared_distance;
use crate::rng::{Purpose, SliceRandom, stream};
use serde::Serialize;

/// Two images, and what their distance hangs on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Saliency {
    /// Of the two embeddings.
    pub distance: f64,
    /// For each image `h x w` numbers from 0, no part, to 1, the largest.
    #[serde(skip)]
    pub maps: [Vec<f32>; 2],
    /// How the pixels' parts were found.
    pub by: SaliencyBy,
    /// What painting over a tenth of the pixels of one image, then the other, does.
    pub masking: Masking,
}

/// How the parts of pixels were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SaliencyBy {
    /// By the gradient of the squared distance.
    Gradient,
    /// By covering squares of an image one after the other.
    Occlusion,
}

/// How the distance moves when a tenth of an image's pixels takes its mean colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Masking {
    /// The mean absolute change when those are painted over that the map is largest at.
    pub salient: f64,
    /// The same for pixels drawn at random, the mean of several draws.
    pub random: f64,
}

/// Points on the way to an image at which gradients are taken.
const STEPS: usize = 16;
/// Random masks of an image.
pub(super) const DRAWS: u64 = 8;
/// The share of pixels that is painted over.
pub(super) const SHARE: f64 = 0.1;

/// Explains the distance of image `a` and image `b`.
///
/// # Errors
///
/// If one cannot be read.
pub fn saliency(
    network: &mut PixelGradients,
    images: [(&Images, usize); 2],
    seed: u64,
) -> Result<Saliency, FileError> {
    let shape = images[0].0.shape();
    let pixels: Vec<Vec<f32>> = images
        .iter()
        .map(|(images, i)| {
            let mut values = vec![0.0; shape.len()];
            to_floats(images.image(*i, &mut Vec::new())?, &mut values);
            Ok(values)
        })
        .collect::<Result<_, FileError>>()?;
    let embed =
        |network: &mut PixelGradients, values: &[f32]| network.of(&bytes(values), |e| vec![0.0; e.len()]).0;
    let embeddings = [embed(network, &pixels[0]), embed(network, &pixels[1])];
    let distance = squared_distance(&embeddings[0], &embeddings[1]).sqrt();
    let mut masking = Masking::default();
    let maps = [0, 1].map(|side| {
        let other = &embeddings[1 - side];
        let toward = |e: &[f32]| -> Vec<f32> { e.iter().zip(other).map(|(a, b)| 2.0 * (a - b)).collect() };
        let colour = mean_colour(&pixels[side], shape);
        let gradient = mean_gradient(network, &pixels[side], &colour, toward);
        let map = smooth(&parts(&gradient, &pixels[side], &colour, shape), shape);
        let mut moved = |chosen: &[usize]| {
            let mut painted = pixels[side].clone();
            for p in chosen {
                painted[p * shape.c..][..shape.c].copy_from_slice(&colour);
            }
            (squared_distance(&embed(network, &painted), other).sqrt() - distance).abs()
        };
        let mut order: Vec<usize> = (0..map.len()).collect();
        order.sort_by(|a, b| map[*b].total_cmp(&map[*a]).then(a.cmp(b)));
        let tenth = ((SHARE * map.len() as f64).round() as usize).max(1);
        masking.salient += moved(&order[..tenth]) / 2.0;
        for draw in 0..DRAWS {
            let mut drawn: Vec<usize> = (0..map.len()).collect();
            let rng = &mut stream(seed, Purpose::Mask, draw, side as u64);
            let (chosen, _) = drawn.partial_shuffle(rng, tenth);
            masking.random += moved(chosen) / (2 * DRAWS) as f64;
        }
        let most = map.iter().copied().fold(0.0, f32::max);
        map.into_iter().map(|v| if most > 0.0 { v / most } else { 0.0 }).collect()
    });
    Ok(Saliency { distance, maps, by: SaliencyBy::Gradient, masking })
}

/// The mean gradient by the pixels on the way from an image of one colour to the image.
fn mean_gradient(
    network: &mut PixelGradients,
    pixels: &[f32],
    colour: &[f32],
    toward: impl Fn(&[f32]) -> Vec<f32>,
) -> Vec<f32> {
    let mut mean = vec![0.0; pixels.len()];
    for step in 0..STEPS {
        let share = (step as f32 + 0.5) / STEPS as f32;
        let colours = colour.iter().cycle();
        let there: Vec<f32> = pixels.iter().zip(colours).map(|(p, c)| c + share * (p - c)).collect();
        let (_, gradient) = network.of(&bytes(&there), &toward);
        mean.iter_mut().zip(&gradient).for_each(|(sum, g)| *sum += g / STEPS as f32);
    }
    mean
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn mean_colour(pixels: &[f32], shape: Shape) -> Vec<f32> {
    let n = (shape.h * shape.w) as f32;
    (0..shape.c).map(|c| pixels.iter().skip(c).step_by(shape.c).sum::<f32>() / n).collect()
}

/// By pixel: the size of its part.
fn parts(gradient: &[f32], pixels: &[f32], colour: &[f32], shape: Shape) -> Vec<f32> {
    gradient
        .chunks_exact(shape.c)
        .zip(pixels.chunks_exact(shape.c))
        .map(|(g, p)| g.iter().zip(p).zip(colour).map(|((g, p), c)| g * (p - c)).sum::<f32>().abs())
        .collect()
}

/// The mean over 3 x 3 pixels, of those that there are, weighing 1, 2, 1 along both sides.
fn smooth(map: &[f32], shape: Shape) -> Vec<f32> {
    let near = |i: usize, n: usize| i.saturating_sub(1)..(i + 2).min(n);
    let mut out = Vec::with_capacity(map.len());
    for y in 0..shape.h {
        for x in 0..shape.w {
            let (mut sum, mut n) = (0.0, 0.0);
            for row in near(y, shape.h) {
                for column in near(x, shape.w) {
                    let weight = ((2 - row.abs_diff(y)) * (2 - column.abs_diff(x))) as f32;
                    sum += weight * map[row * shape.w + column];
                    n += weight;
                }
            }
            out.push(sum / n);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Network, initial};
    use alike_kernels::Tier;

    #[test]
    fn all_parts_add_up_to_what_painting_over_changes() {
        // Of a linear network the squared distance is a square, so the rule of midpoints is exact.
        let shape = Shape { h: 5, w: 4, c: 3 };
        let network = Network::new("linear(6)".parse().unwrap(), shape).unwrap();
        let mut gradients = PixelGradients::new(&network, &initial(&network, 3), Tier::available()[0]);
        let pixels: Vec<f32> = (0..shape.len()).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
        let colour = mean_colour(&pixels, shape);
        let painted: Vec<f32> = colour.iter().copied().cycle().take(shape.len()).collect();
        let other = [0.3, -0.2, 0.1, 0.5, 0.0, -0.4];
        let far = |g: &mut PixelGradients, image: &[f32]| {
            squared_distance(&g.of(&bytes(image), |e| vec![0.0; e.len()]).0, &other)
        };
        let change = far(&mut gradients, &pixels) - far(&mut gradients, &painted);
        let toward = |e: &[f32]| e.iter().zip(&other).map(|(a, b)| 2.0 * (a - b)).collect();
        let gradient = mean_gradient(&mut gradients, &pixels, &colour, toward);
        let sum: f64 =
            gradient.iter().zip(pixels.iter().zip(&painted)).map(|(g, (p, c))| f64::from(g * (p - c))).sum();
        assert!((sum - change).abs() < 1e-4 * change.abs().max(0.1), "{sum} {change}");
        assert!(change.abs() > 0.01);
    }

    #[test]
    fn the_pixels_that_a_network_looks_at_stand_out() {
        // A linear network with one weight: the pixel in row 2 and column 3.
        let shape = Shape { h: 6, w: 6, c: 1 };
        let network = Network::new("linear(1)".parse().unwrap(), shape).unwrap();
        let mut parameters = initial(&network, 0);
        parameters.fill(0.0);
        parameters[2 * 6 + 3] = 1.0;
        let mut gradients = PixelGradients::new(&network, &parameters, Tier::available()[0]);
        let mut data = vec![0u8; 72];
        data[2 * 6 + 3] = 255;
        let images = Images::new(shape, data);
        let found = saliency(&mut gradients, [(&images, 0), (&images, 1)], 0).unwrap();
        assert!((found.distance - 1.0).abs() < 1e-6);
        let best = (0..36).max_by(|a, b| found.maps[0][*a].total_cmp(&found.maps[0][*b])).unwrap();
        assert!((1..=3).contains(&(best / 6)) && (2..=4).contains(&(best % 6)), "{best}");
        // Nothing but that pixel matters: painting over it moves the distance, others do not.
        assert!(found.masking.salient > 2.0 * found.masking.random, "{:?}", found.masking);
        let same = saliency(&mut gradients, [(&images, 1), (&images, 1)], 0).unwrap();
        assert_eq!((same.distance, same.masking.salient), (0.0, 0.0));
    }
}
