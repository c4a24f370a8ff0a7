//! A head that begins by changing nothing about the features that it takes but their mean.

use crate::engine::Engine;
use crate::files::FileError;
use crate::images::{Images, Vectors};
use crate::model::{Layer, Network, NetworkError};
use crate::projection::mean;
use alike_kernels::TierError;

/// A network cannot begin as the identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// It takes pictures.
    #[error("--start identity is for heads over features, and the images are pictures; take --start random")]
    Pictures,
    /// What comes before the normalisation cannot be run.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The instructions that were asked for are not to be had.
    #[error(transparent)]
    Tier(#[from] TierError),
    /// An image could not be read.
    #[error(transparent)]
    Images(#[from] FileError),
}

/// Lets every residual unit add nothing, by zeros in its last layer with parameters (Goyal et al. 2017, <https://arxiv.org/abs/1706.02677>, section 5.1,
/// of normalisations), and a first normalisation subtract what it gives in the mean over the images, so that directions are those from their centre.
///
/// # Errors
///
/// If the network takes pictures, or an image cannot be read.
pub fn identity(network: &Network, parameters: &mut [f32], images: &Images) -> Result<(), IdentityError> {
    if !network.input().is_features() {
        return Err(IdentityError::Pictures);
    }
    let layers = network.layers();
    for (at, _) in layers.iter().enumerate().filter(|(_, l)| l.layer == Layer::Add) {
        let last = layers[..at]
            .iter()
            .rev()
            .take_while(|l| l.layer != Layer::Fork)
            .find(|l| !l.parameters.is_empty());
        last.into_iter().flat_map(|l| &l.parameters).for_each(|p| parameters[p.range()].fill(0.0));
    }
    if let Some(first) = layers.first().filter(|l| matches!(l.layer, Layer::Norm { .. })) {
        let shift = first.parameters[1].range();
        let mut spec = network.spec().clone();
        spec.layers.truncate(1);
        let norm = Network::new(spec, network.input())?;
        parameters[shift.clone()].fill(0.0);
        let given = Engine::new(&norm)?.embed(&parameters[..norm.parameter_count()], images)?;
        let centre = mean(Vectors::Features(&given));
        parameters[shift].iter_mut().zip(&centre).for_each(|(s, c)| *s = -*c as f32);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::Shape;
    use crate::model::initial;

    #[test]
    fn a_head_begins_as_centred_features() {
        let d = 6;
        let features: Vec<f32> = (0..8 * d).map(|i| ((i * 37 % 11) as f32).sin() + (i % d) as f32).collect();
        let images = Images::from_features(d, &features);
        let network =
            Network::new("norm residual(linear(5) relu linear(6)) l2".parse().unwrap(), images.shape())
                .unwrap();
        let mut parameters = initial(&network, 1);
        identity(&network, &mut parameters, &images).unwrap();
        let got = Engine::new(&network).unwrap().embed(&parameters, &images).unwrap();
        // Normalised over each vector, then over all vectors' mean, then to length one.
        let normed: Vec<Vec<f64>> = (features.chunks(d))
            .map(|row| {
                let row: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
                let mean = row.iter().sum::<f64>() / d as f64;
                let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / d as f64;
                row.iter().map(|v| (v - mean) / (variance + 1e-5).sqrt()).collect()
            })
            .collect();
        let centre: Vec<f64> = (0..d).map(|j| normed.iter().map(|r| r[j]).sum::<f64>() / 8.0).collect();
        for (got, row) in got.rows().zip(&normed) {
            let row: Vec<f64> = row.iter().zip(&centre).map(|(v, c)| v - c).collect();
            let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            for (g, w) in got.iter().zip(row) {
                assert!((f64::from(*g) - w / length).abs() < 1e-5, "{g} {}", w / length);
            }
        }
        let pictures = Images::new(Shape { h: 4, w: 4, c: 1 }, vec![3; 16]);
        let network = Network::new("conv(4) gap".parse().unwrap(), pictures.shape()).unwrap();
        let mut parameters = initial(&network, 1);
        assert!(matches!(identity(&network, &mut parameters, &pictures), Err(IdentityError::Pictures)));
    }
}
