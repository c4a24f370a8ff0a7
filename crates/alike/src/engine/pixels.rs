//! How an embedding depends on the pixels of its image.

use super::pack;
use super::plan::Plan;
use super::workspace::Workspace;
use crate::model::Network;
use alike_kernels::{AlignedBuffer, Tier};

/// A network that computes the gradient by its input, which training never needs: it has a plan of its own.
#[derive(Debug)]
pub struct PixelGradients {
    plan: Plan,
    tier: Tier,
    packed: AlignedBuffer,
    /// The parameters' gradients, which are computed too and not used.
    sum: AlignedBuffer,
    workspace: Workspace,
}

impl PixelGradients {
    /// Plans a network with these parameters.
    ///
    /// # Panics
    ///
    /// If the parameters are not the network's.
    pub fn new(network: &Network, parameters: &[f32], tier: Tier) -> PixelGradients {
        let plan = Plan::for_pixels(network);
        let mut packed = AlignedBuffer::new(plan.packed_len);
        pack::pack(&plan, tier, parameters, &mut packed);
        let (sum, workspace) = (AlignedBuffer::new(plan.gradient_len), Workspace::new(&plan));
        PixelGradients { plan, tier, packed, sum, workspace }
    }

    /// The embedding of an image (bytes, or little-endian floats), and the gradient by its `h x w x c` pixel values of what `wanted`
    /// turns the embedding into: given the embedding, it returns the gradient by it.
    ///
    /// # Panics
    ///
    /// If the image is not of the network's shape, or `wanted` returns a vector of another length.
    pub fn of(&mut self, image: &[u8], wanted: impl FnOnce(&[f32]) -> Vec<f32>) -> (Vec<f32>, Vec<f32>) {
        let Workspace { run, tape } = &mut self.workspace;
        let mut embedding = vec![0.0; self.plan.embedding];
        let scratch = (&mut run.scratch[..], &mut run.tiles[..]);
        self.plan.forward(self.tier, &self.packed, image, tape, true, scratch, &mut embedding);
        let gradient = wanted(&embedding);
        assert_eq!(gradient.len(), embedding.len(), "pixel gradients: a number for each of the embedding");
        let shape = self.plan.input;
        let mut pixels = vec![0.0; shape.len()];
        // A gradient of zero gives zeros.
        if gradient.iter().any(|g| *g != 0.0) {
            self.sum.fill(0.0);
            self.plan.backward(self.tier, &self.packed, tape, run, &gradient, &mut self.sum);
            let tensor = &self.plan.tensors[0];
            let gradients = &run.gradients[tensor.gradient_range()];
            for y in 0..shape.h {
                for x in 0..shape.w {
                    let from = &gradients[tensor.gradient.at(y, x)..][..shape.c];
                    pixels[(y * shape.w + x) * shape.c..][..shape.c].copy_from_slice(from);
                }
            }
        }
        (embedding, pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::Shape;
    use crate::model::initial;

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn pixel_gradients_agree_with_finite_differences() {
        // Smooth networks, for a maximum or a ReLU has no gradient where it bends; and those of the zoo, more coarsely.
        for (spec, shape, tolerance) in [
            ("norm conv(8) norm(2) conv(6, stride=2) gap l2", Shape { h: 9, w: 8, c: 1 }, 2e-2),
            ("conv(8, kernel=5) avgpool(2) conv(4) gap", Shape { h: 10, w: 12, c: 3 }, 2e-2),
            (
                "norm conv(16) maxpool(2) norm(2) relu conv(16) residual(norm relu conv(16)) conv(8) gap l2",
                Shape { h: 12, w: 12, c: 1 },
                0.1,
            ),
            ("linear(5)", Shape { h: 4, w: 4, c: 1 }, 1e-2),
        ] {
            let network = Network::new(spec.parse().unwrap(), shape).unwrap();
            let parameters = initial(&network, 3);
            let image: Vec<f32> = (0..shape.len()).map(|i| ((i * 37 % 101) as f32) / 101.0).collect();
            let weights: Vec<f32> = (0..network.embedding()).map(|i| ((i * 13 % 7) as f32) - 3.0).collect();
            for tier in Tier::available() {
                let mut gradients = PixelGradients::new(&network, &parameters, tier);
                let (_, analytic) = gradients.of(&floats(&image), |_| weights.clone());
                let mut value = |i: usize, by: f32| -> f64 {
                    let mut moved = image.clone();
                    moved[i] += by;
                    let (e, _) = gradients.of(&floats(&moved), |e| vec![0.0; e.len()]);
                    e.iter().zip(&weights).map(|(a, b)| f64::from(a * b)).sum()
                };
                let numeric: Vec<f64> = (0..image.len())
                    .map(|i| (value(i, 1.0 / 256.0) - value(i, -1.0 / 256.0)) * 128.0)
                    .collect();
                let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
                let off = norm(&mut numeric.iter().zip(&analytic).map(|(n, a)| n - f64::from(*a)));
                let size = norm(&mut numeric.iter().copied());
                assert!(size > 1e-3 && off < tolerance * size, "{spec} {tier:?}: {off} of {size}");
            }
        }
    }
}
