//! Adam.

/// Adam with PyTorch's defaults: betas 0.9 and 0.999, eps 1e-8 (Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>,
/// algorithm 1; the order of operations is that of `torch.optim.Adam`).
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    /// Step size.
    pub learning_rate: f64,
    /// Steps taken.
    pub steps: u64,
    /// First moments, a parameter each.
    pub m: Vec<f32>,
    /// Second moments, a parameter each.
    pub v: Vec<f32>,
}

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f32 = 1e-8;

impl Adam {
    /// An optimiser for `n` parameters that has taken no step.
    pub fn new(n: usize, learning_rate: f64) -> Adam {
        Adam { learning_rate, steps: 0, m: vec![0.0; n], v: vec![0.0; n] }
    }

    /// Takes one step.
    ///
    /// # Panics
    ///
    /// If lengths differ from the optimiser's.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32]) {
        assert!(parameters.len() == self.m.len() && gradient.len() == self.m.len(), "adam: lengths");
        self.steps += 1;
        let t = self.steps as i32;
        let step = (self.learning_rate / (1.0 - BETA1.powi(t))) as f32;
        let root = (1.0 - BETA2.powi(t)).sqrt() as f32;
        let (new1, old2, new2) = ((1.0 - BETA1) as f32, BETA2 as f32, (1.0 - BETA2) as f32);
        for (((p, g), m), v) in parameters.iter_mut().zip(gradient).zip(&mut self.m).zip(&mut self.v) {
            *m += (g - *m) * new1;
            *v = *v * old2 + g * g * new2;
            *p -= step * *m / (v.sqrt() / root + EPS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torch.optim.Adam([tensor([1., -2., 3.])], 0.1)` after steps with gradients (0.5, -1, 0), (0.25, 2, 1e-3) and
    /// (-4, 0.125, 0), printed by PyTorch 2.15 in f64.
    #[test]
    fn three_steps_equal_pytorchs() {
        let mut adam = Adam::new(3, 0.1);
        let mut p = [1.0, -2.0, 3.0];
        for g in [[0.5, -1.0, 0.0], [0.25, 2.0, 1e-3], [-4.0, 0.125, 0.0]] {
            adam.step(&mut p, &g);
        }
        let expected = PYTORCH;
        for (a, b) in p.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{p:?}");
        }
    }

    const PYTORCH: [f32; 3] = [0.860_085, -1.9684337, 2.8680664];
}
