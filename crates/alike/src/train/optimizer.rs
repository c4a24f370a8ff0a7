//! Optimisers, over network parameters and a loss's own.

use super::muon::{orthogonalize, scale};
use crate::model::{Network, ParameterKind};
use crate::text::{self, Choice};
use alike_kernels::Tier;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How gradients become steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OptimizerKind {
    /// Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>, algorithm 1; weight decay is part of the gradient.
    Adam(Betas),
    /// Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019, <https://arxiv.org/abs/1711.05101>).
    Adamw(Betas),
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// Orthogonalised momentum for weights that are matrices (a convolution's: output channels x all else), AdamW for all else (Jordan
    /// et al. 2024, <https://kellerjordan.github.io/posts/muon/>). Both take steps of about the same mean square.
    Muon(Muon),
}

/// Adam's averages, PyTorch's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Betas {
    /// Of the mean.
    pub beta1: f64,
    /// Of the mean square.
    pub beta2: f64,
}

impl Default for Betas {
    fn default() -> Betas {
        Betas { beta1: 0.9, beta2: 0.999 }
    }
}

/// Momentum, as PyTorch has it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// How much of the last step is kept.
    pub momentum: f64,
    /// Look ahead by the momentum (Nesterov).
    pub nesterov: bool,
}

impl Default for Sgd {
    fn default() -> Sgd {
        Sgd { momentum: 0.9, nesterov: false }
    }
}

/// Muon's momentum, and the averages of AdamW for what is no matrix.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Muon {
    /// How much of the last direction is kept.
    pub momentum: f64,
    /// Look ahead by the momentum (Nesterov).
    pub nesterov: bool,
    /// Of AdamW's mean.
    pub beta1: f64,
    /// Of AdamW's mean square.
    pub beta2: f64,
}

impl Default for Muon {
    fn default() -> Muon {
        let Betas { beta1, beta2 } = Betas::default();
        Muon { momentum: 0.95, nesterov: true, beta1, beta2 }
    }
}

impl Choice for OptimizerKind {
    const WHAT: &'static str = "optimizer";

    fn all() -> Vec<OptimizerKind> {
        vec![
            OptimizerKind::Adam(Betas::default()),
            OptimizerKind::Adamw(Betas::default()),
            OptimizerKind::Sgd(Sgd::default()),
            OptimizerKind::Muon(Muon::default()),
        ]
    }
}

impl std::str::FromStr for OptimizerKind {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<OptimizerKind, text::ChoiceError> {
        text::parse(s)
    }
}

const EPS: f32 = 1e-8;

/// Parameters with a rate and a decay of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Which.
    pub range: Range<usize>,
    /// What the learning rate is multiplied by.
    pub rate: f64,
    /// Weight decay.
    pub decay: f64,
    /// Rows and columns, where the parameters are a matrix.
    pub matrix: Option<[usize; 2]>,
}

/// The groups of a network's parameters, followed by `own` numbers of a loss: weights decay, biases and normalisations do
/// not, nor does what a loss learns, whose rate is `proxy_rate` times the others'.
pub fn groups(network: &Network, own: usize, decay: f64, proxy_rate: f64) -> Vec<Group> {
    let of = |p: &crate::model::ParameterInfo| Group {
        range: p.range(),
        rate: 1.0,
        decay: if p.kind == ParameterKind::Weight { decay } else { 0.0 },
        matrix: (p.kind == ParameterKind::Weight).then(|| [p.shape[0], p.len() / p.shape[0]]),
    };
    let n = network.parameter_count();
    let own = Group { range: n..n + own, rate: proxy_rate, decay: 0.0, matrix: None };
    network.parameters().map(of).chain([own]).collect()
}

/// An optimiser at work. The order of operations is that of `torch.optim`.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    kind: OptimizerKind,
    groups: Vec<Group>,
    /// Steps taken.
    pub steps: u64,
    /// First moments, or momentum; a parameter each.
    pub m: Vec<f32>,
    /// Second moments, a parameter each; empty without them.
    pub v: Vec<f32>,
}

impl Optimizer {
    /// An optimiser over `groups` that has taken no step.
    pub fn new(kind: OptimizerKind, groups: Vec<Group>) -> Optimizer {
        let n = groups.iter().map(|g| g.range.end).max().unwrap_or(0);
        let second = !matches!(kind, OptimizerKind::Sgd(_));
        Optimizer { kind, groups, steps: 0, m: vec![0.0; n], v: vec![0.0; if second { n } else { 0 }] }
    }

    /// Takes a step of `rate`.
    ///
    /// # Panics
    ///
    /// If lengths differ from the optimiser's.
    pub fn step(&mut self, rate: f64, parameters: &mut [f32], gradient: &[f32]) {
        assert!(parameters.len() == self.m.len() && gradient.len() == self.m.len(), "optimizer: lengths");
        self.steps += 1;
        let first = self.steps == 1;
        if let OptimizerKind::Muon(muon) = self.kind {
            self.step_matrices(muon, rate, parameters, gradient);
        }
        for group in &self.groups {
            let rate = rate * group.rate;
            let at = group.range.clone();
            let (p, g, m) = (&mut parameters[at.clone()], &gradient[at.clone()], &mut self.m[at.clone()]);
            let decay = group.decay as f32;
            match self.kind {
                OptimizerKind::Adam(betas) => {
                    adam(betas, self.steps, rate, decay, (p, g), m, &mut self.v[at]);
                }
                OptimizerKind::Adamw(betas) => {
                    let keep = (1.0 - rate * group.decay) as f32;
                    p.iter_mut().for_each(|p| *p *= keep);
                    adam(betas, self.steps, rate, 0.0, (p, g), m, &mut self.v[at]);
                }
                OptimizerKind::Muon(_) if group.matrix.is_some() => {}
                OptimizerKind::Muon(Muon { beta1, beta2, .. }) => {
                    let keep = (1.0 - rate * group.decay) as f32;
                    p.iter_mut().for_each(|p| *p *= keep);
                    let betas = Betas { beta1, beta2 };
                    adam(betas, self.steps, rate, 0.0, (p, g), m, &mut self.v[at]);
                }
                OptimizerKind::Sgd(Sgd { momentum, nesterov }) => {
                    let (rate, momentum) = (rate as f32, momentum as f32);
                    for ((p, g), m) in p.iter_mut().zip(g).zip(m) {
                        let g = g + decay * *p;
                        *m = if first { g } else { momentum * *m + g };
                        *p -= rate * if nesterov { g + momentum * *m } else { *m };
                    }
                }
            }
        }
    }

    /// Takes a step of all matrices, each orthogonalised by a thread of its own.
    fn step_matrices(&mut self, muon: Muon, rate: f64, parameters: &mut [f32], gradient: &[f32]) {
        let (momentum, new) = (muon.momentum as f32, (1.0 - muon.momentum) as f32);
        let mut matrices: Vec<(&Group, [usize; 2], Vec<f32>)> =
            self.groups.iter().filter_map(|g| Some((g, g.matrix?, Vec::new()))).collect();
        for (group, _, direction) in &mut matrices {
            let (g, m) = (&gradient[group.range.clone()], &mut self.m[group.range.clone()]);
            m.iter_mut().zip(g).for_each(|(m, g)| *m += (g - *m) * new);
            let ahead = |(m, g): (&f32, &f32)| if muon.nesterov { g + (m - g) * momentum } else { *m };
            direction.extend(m.iter().zip(g).map(ahead));
        }
        let tier = Tier::found();
        matrices.par_iter_mut().for_each(|(_, shape, direction)| orthogonalize(tier, direction, *shape));
        for (group, shape, direction) in matrices {
            let rate = rate * group.rate;
            let (keep, step) = ((1.0 - rate * group.decay) as f32, (rate * scale(shape)) as f32);
            let parameters = &mut parameters[group.range.clone()];
            parameters.iter_mut().zip(direction).for_each(|(p, by)| *p = *p * keep - step * by);
        }
    }
}

fn adam(
    Betas { beta1, beta2 }: Betas,
    steps: u64,
    rate: f64,
    decay: f32,
    (parameters, gradient): (&mut [f32], &[f32]),
    m: &mut [f32],
    v: &mut [f32],
) {
    let t = steps as i32;
    let step = (rate / (1.0 - beta1.powi(t))) as f32;
    let root = (1.0 - beta2.powi(t)).sqrt() as f32;
    let (new1, old2, new2) = ((1.0 - beta1) as f32, beta2 as f32, (1.0 - beta2) as f32);
    for (((p, g), m), v) in parameters.iter_mut().zip(gradient).zip(m).zip(v) {
        let g = g + decay * *p;
        *m += (g - *m) * new1;
        *v = *v * old2 + g * g * new2;
        *p -= step * *m / (v.sqrt() / root + EPS);
    }
}

/// Scales a gradient down to length `most` if it is longer; returns its length.
pub fn clip(gradient: &mut [f32], most: Option<f64>) -> f64 {
    let length = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    if let Some(most) = most.filter(|most| length > *most) {
        let scale = (most / length) as f32;
        gradient.iter_mut().for_each(|g| *g *= scale);
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: [f32; 3] = [1.0, -2.0, 3.0];
    const GRADIENTS: [[f32; 3]; 3] = [[0.5, -1.0, 0.0], [0.25, 2.0, 1e-3], [-4.0, 0.125, 0.0]];

    /// After three steps of 0.1 from `START` with `GRADIENTS`, as PyTorch 2.15 has it in f64:
    /// `torch.optim.Adam([tensor(START)], 0.1, weight_decay=0.1)` and its kin.
    #[test]
    fn three_steps_equal_pytorchs() {
        for (kind, decay, expected) in PYTORCH {
            let group = Group { range: 0..3, rate: 1.0, decay, matrix: None };
            let mut optimizer = Optimizer::new(kind.parse().unwrap(), vec![group]);
            let mut p = START;
            GRADIENTS.iter().for_each(|g| optimizer.step(0.1, &mut p, g));
            for (a, b) in p.iter().zip(expected) {
                assert!((a - b).abs() < 2e-6, "{kind}: {p:?} {expected:?}");
            }
        }
    }

    const PYTORCH: [(&str, f64, [f32; 3]); 5] = [
        ("adam", 0.0, [0.860_085, -1.9684337, 2.8680664]),
        ("adam", 0.1, ADAM_DECAY),
        ("adamw", 0.1, ADAMW_DECAY),
        ("sgd:momentum=0.9", 0.1, SGD_DECAY),
        ("sgd:momentum=0.9,nesterov=true", 0.0, NESTEROV),
    ];
    const ADAM_DECAY: [f32; 3] = [0.855213, -1.9423615, 2.70037];
    const ADAMW_DECAY: [f32; 3] = [0.8333062, -1.9106556, 2.7797075];
    const SGD_DECAY: [f32; 3] = [1.163524, -2.012048, 2.832948];
    const NESTEROV: [f32; 3] = [1.5203, -2.22185, 2.999729];

    /// Three steps of `torch.optim.Muon([w], 0.1, 0.1, 0.9, adjust_lr_fn="match_rms_adamw")` of PyTorch 2.15, which orthogonalises in
    /// bfloat16: a step of 0.04 of mean square is exact to about a hundredth of it.
    #[test]
    fn three_steps_of_muon_equal_pytorchs() {
        let matrix =
            |of: &dyn Fn(usize, usize) -> f32| -> Vec<f32> { (0..12).map(|at| of(at / 4, at % 4)).collect() };
        let mut p = matrix(&|i, j| ((i * 7 + j * 3) % 5) as f32 - 2.0);
        let group = Group { range: 0..12, rate: 1.0, decay: 0.1, matrix: Some([3, 4]) };
        let mut optimizer = Optimizer::new("muon:momentum=0.9".parse().unwrap(), vec![group]);
        for step in 0..3 {
            let gradient = matrix(&|i, j| ((i * 5 + j * 11 + step * 7) % 13) as f32 / 6.0 - 1.0);
            optimizer.step(0.1, &mut p, &gradient);
        }
        for (a, b) in p.iter().zip(MUON) {
            assert!((a - b).abs() < 2e-3, "{p:?} {MUON:?}");
        }
    }

    const MUON: [f32; 12] = [
        -1.8958, 0.8978, -0.9631, 1.973, -0.0235, -1.9531, 1.0357, -0.9771, 1.8833, -0.0288, -1.8991, 0.9492,
    ];

    #[test]
    fn a_long_gradient_is_cut_to_length_and_a_short_one_left() {
        let mut g = [3.0, 4.0];
        assert_eq!((clip(&mut g, Some(10.0)), g), (5.0, [3.0, 4.0]));
        assert_eq!(clip(&mut g, Some(1.0)), 5.0);
        assert!((g[0] - 0.6).abs() < 1e-6 && (g[1] - 0.8).abs() < 1e-6);
    }

    #[test]
    fn weights_decay_and_nothing_else() {
        let network =
            Network::new("norm relu conv(2) gap".parse().unwrap(), "5x5x1".parse().unwrap()).unwrap();
        let groups = groups(&network, 4, 0.5, 3.0);
        let decaying: usize = groups.iter().filter(|g| g.decay > 0.0).map(|g| g.range.len()).sum();
        assert_eq!(decaying, 2 * 9);
        assert_eq!(groups.last().map(|g| (g.range.len(), g.rate)), Some((4, 3.0)));
    }
}
