//! A first convolution whose filters are whitened patches of the training images.
//!
//! Its outputs are uncorrelated and of equal variance from the first step on, so what follows need not learn that first (Coates and Ng
//! 2012, "Learning feature representations with k-means"; as the first layer of Jordan 2024,
//! <https://arxiv.org/abs/2404.00498>, section 3.2).

use crate::files::FileError;
use crate::identity::Identities;
use crate::images::{Features, Images, Shape, Vectors};
use crate::model::{Layer, Network};
use crate::projection::{covariance, leading};
use crate::rng::{Purpose, RngExt, stream};
use crate::sample;
use alike_kernels::{Tier, TierError};
use rayon::prelude::*;

/// Images that are looked at, at most.
const IMAGES: usize = 5000;
/// Patches of each.
const PATCHES: usize = 64;
/// Added to the variance of every direction: what hardly varies is noise, and is not enlarged.
const FLOOR: f64 = 5e-4;

/// The filters of a first convolution cannot be whitened patches.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatchesError {
    /// Something else than a normalisation comes before the convolution, or there is none.
    #[error(
        "--start patches sets the filters of a first convolution, and the network begins otherwise; begin it with conv(N) or norm conv(N)"
    )]
    NoConvolution,
    /// All images are one shade.
    #[error("--start patches: the training images show no differences between pixels; take --start random")]
    Alike,
    /// The instructions that were asked for are not to be had.
    #[error(transparent)]
    Tier(#[from] TierError),
    /// An image could not be read.
    #[error(transparent)]
    Images(#[from] FileError),
}

/// Sets the filters of the first convolution to the directions of largest variance among patches of its size, each divided by its
/// standard deviation, and to their opposites. Filters beyond twice the directions stay as they are; biases become zero.
///
/// # Errors
///
/// If the network does not begin with a convolution or with a normalisation and one, an image cannot be read, or patches do not differ.
pub fn whiten_patches(
    network: &Network,
    parameters: &mut [f32],
    images: &Images,
    identities: &Identities,
    seed: u64,
) -> Result<(), PatchesError> {
    let layers = network.layers();
    let norm = match layers.first().map(|l| l.layer) {
        Some(Layer::Norm { groups, eps }) => Some((groups, eps)),
        _ => None,
    };
    let layer = layers.get(usize::from(norm.is_some())).ok_or(PatchesError::NoConvolution)?;
    let Layer::Conv { out_channels, kernel, .. } = layer.layer else {
        return Err(PatchesError::NoConvolution);
    };
    let patches = draw(images, identities, kernel, norm, seed)?;
    let directions = patches.d();
    // Filters see patches as they are, so the mean is a direction too: it is not taken off.
    let zero = vec![0.0; directions];
    let scatter = covariance(Tier::from_env()?, Vectors::Features(&patches), &zero);
    let used = out_channels.div_ceil(2).min(directions);
    let (variances, vectors) = leading(&scatter, used);
    if variances.first().is_none_or(|v| *v <= 1e-9) {
        return Err(PatchesError::Alike);
    }
    let [weight, bias] = [0, 1].map(|k| layer.parameters[k].range());
    for (i, (variance, vector)) in variances.iter().zip(&vectors).enumerate() {
        let scale = 1.0 / (variance.max(0.0) + FLOOR).sqrt();
        for (filter, sign) in [(2 * i, 1.0), (2 * i + 1, -1.0)].into_iter().filter(|(f, _)| *f < out_channels)
        {
            let values = &mut parameters[weight.clone()][filter * directions..][..directions];
            values.iter_mut().zip(vector).for_each(|(w, v)| *w = (sign * scale * v) as f32);
        }
    }
    parameters[bias].fill(0.0);
    Ok(())
}

/// Patches of some images, each in the order of a filter's weights: `n x (channels * kernel * kernel)`.
fn draw(
    images: &Images,
    identities: &Identities,
    kernel: usize,
    norm: Option<(usize, f32)>,
    seed: u64,
) -> Result<Features, FileError> {
    let mut some = sample::some(identities.keys(), IMAGES, seed);
    some.sort_unstable();
    let shape = images.shape();
    let (height, width) = (kernel.min(shape.h), kernel.min(shape.w));
    let d = shape.c * kernel * kernel;
    let mut data = vec![0.0; some.len() * PATCHES * d];
    data.par_chunks_mut(PATCHES * d).zip(&some).try_for_each_init(Vec::new, |scratch, (patches, &i)| {
        let pixels = normalised(shape, images.image(i, scratch)?, norm);
        let mut rng = stream(seed, Purpose::Weights, u64::MAX, i as u64);
        for patch in patches.chunks_exact_mut(d) {
            let (y0, x0) = (rng.random_range(0..=shape.h - height), rng.random_range(0..=shape.w - width));
            for c in 0..shape.c {
                for y in 0..height {
                    for x in 0..width {
                        let from = ((y0 + y) * shape.w + x0 + x) * shape.c + c;
                        patch[(c * kernel + y) * kernel + x] = pixels[from];
                    }
                }
            }
        }
        Ok(())
    })?;
    Ok(Features::new(d, data))
}

/// An image as the convolution sees it: bytes as shares of white, normalised in groups of channels where that comes first.
fn normalised(shape: Shape, bytes: &[u8], norm: Option<(usize, f32)>) -> Vec<f32> {
    let mut pixels: Vec<f32> = bytes.iter().map(|v| f32::from(*v) / 255.0).collect();
    let Some((groups, eps)) = norm else { return pixels };
    let per = shape.c / groups;
    for group in 0..groups {
        let of_group = |i: usize| i % shape.c / per == group;
        let values = || pixels.iter().enumerate().filter(|(i, _)| of_group(*i)).map(|(_, v)| f64::from(*v));
        let n = values().count().max(1) as f64;
        let mean = values().sum::<f64>() / n;
        let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let scale = 1.0 / (variance + f64::from(eps)).sqrt();
        for (i, v) in pixels.iter_mut().enumerate() {
            if of_group(i) {
                *v = ((f64::from(*v) - mean) * scale) as f32;
            }
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DigitCounts, digits};
    use crate::engine::Engine;
    use crate::model::initial;

    fn network(text: &str, shape: Shape) -> Network {
        Network::new(text.parse().unwrap(), shape).unwrap()
    }

    /// An image as the engine normalises it: through a linear layer that changes nothing.
    #[test]
    fn the_convolution_sees_what_the_engine_makes_of_an_image() {
        let shape = Shape { h: 5, w: 4, c: 6 };
        let n = shape.len();
        let bytes: Vec<u8> = (0..n).map(|i| (i * 37 % 251) as u8).collect();
        for (groups, eps) in [(1, 1e-5), (3, 1e-2)] {
            let with = network(&format!("norm({groups}, eps={eps:e}) linear({n})"), shape);
            let mut parameters = initial(&with, 1);
            let [weight, bias] = [0, 1].map(|k| with.layers()[1].parameters[k].range());
            parameters[weight].iter_mut().enumerate().for_each(|(i, w)| *w = f32::from(i % (n + 1) == 0));
            parameters[bias].fill(0.0);
            let seen =
                Engine::new(&with).unwrap().embed(&parameters, &Images::new(shape, bytes.clone())).unwrap();
            // The layer lists its inputs by channel, row and column.
            let found = normalised(shape, &bytes, Some((groups, eps)));
            for (i, v) in seen.row(0).iter().enumerate() {
                let (c, place) = (i / (shape.h * shape.w), i % (shape.h * shape.w));
                let own = found[place * shape.c + c];
                assert!((v - own).abs() < 1e-4, "{groups} groups, {i}: {v} {own}");
            }
        }
    }

    /// Over patches that were not drawn for the filters.
    #[test]
    fn outputs_are_uncorrelated_and_of_equal_variance_and_come_with_their_opposites() {
        let data = digits(DigitCounts { train: 300, test: 10 }, 1).train;
        let shape = data.images.shape();
        for first in ["", "norm "] {
            let text = format!("{first}conv(8, kernel=3, pad=0)");
            let whole = network(&format!("{text} gap"), shape);
            let mut parameters = initial(&whole, 1);
            whiten_patches(&whole, &mut parameters, &data.images, &data.identities, 7).unwrap();
            let layer = whole.layers().iter().find(|l| matches!(l.layer, Layer::Conv { .. })).unwrap();
            let weights = &parameters[layer.parameters[0].range()];
            let norm = (!first.is_empty()).then_some((1, 1e-5));
            let patches = draw(&data.images, &data.identities, 3, norm, 99).unwrap();
            let outputs: Vec<Vec<f64>> = patches
                .rows()
                .map(|p| {
                    let dot = |w: &[f32]| w.iter().zip(p).map(|(w, v)| f64::from(w * v)).sum();
                    weights.chunks_exact(9).map(dot).collect()
                })
                .collect();
            for i in 0..8 {
                for j in 0..8 {
                    let product: f64 =
                        outputs.iter().map(|o| o[i] * o[j]).sum::<f64>() / outputs.len() as f64;
                    let expected = match (i / 2 == j / 2, i == j) {
                        (true, true) => 1.0,
                        (true, false) => -1.0,
                        (false, _) => 0.0,
                    };
                    assert!((product - expected).abs() < 0.1, "{text}: {i} {j}: {product}");
                }
            }
            assert!(parameters[layer.parameters[1].range()].iter().all(|b| *b == 0.0));
        }
    }

    #[test]
    fn more_filters_than_directions_stay_random_and_other_beginnings_are_refused() {
        let data = digits(DigitCounts { train: 40, test: 10 }, 1).train;
        let shape = data.images.shape();
        let n = network("norm conv(32) gap", shape);
        let (before, mut after) = (initial(&n, 1), initial(&n, 1));
        whiten_patches(&n, &mut after, &data.images, &data.identities, 7).unwrap();
        let weight = n.layers()[1].parameters[0].range();
        assert_eq!(before[weight.start + 18 * 9..weight.end], after[weight.start + 18 * 9..weight.end]);
        assert_ne!(before[weight.start..weight.start + 9], after[weight.start..weight.start + 9]);
        for text in ["relu conv(4) gap", "linear(4)", "norm gap"] {
            let n = network(text, shape);
            let refused = whiten_patches(&n, &mut initial(&n, 1), &data.images, &data.identities, 7);
            assert!(matches!(refused, Err(PatchesError::NoConvolution)), "{text}: {refused:?}");
        }
        let n = network("norm conv(4) gap", shape);
        let grey = Images::new(shape, vec![9; 5 * shape.len()]);
        let of = data.identities.clone();
        let refused = whiten_patches(&n, &mut initial(&n, 1), &grey, &of.select(&[0, 1, 2, 3, 4]), 7);
        assert!(matches!(refused, Err(PatchesError::Alike)), "{refused:?}");
    }
}
