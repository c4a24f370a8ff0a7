//! Regularisers: costs of vectors by themselves, of embeddings or of learned proxies.

use crate::distance::Distance;
use crate::text::Choice;
use serde::{Deserialize, Serialize};

/// A cost of vectors, the mean over them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Regularizer {
    /// Their length: `|x|_p` to a power.
    Lp(LpLength),
    /// `|sum of coordinates|`.
    ZeroMean,
    /// Proxies of equal length: `(|w|^2 - mean)^2 / 4` (Wu et al. 2017, center invariant loss).
    CenterInvariant,
    /// Proxies apart: the cosine to the nearest other (Zhao et al. 2019, RegularFace).
    RegularFace,
    /// Proxies of one class together: `sqrt(2 - 2 cos)` of its pairs, halved (Qian et al. 2019, SoftTriple, equation 11).
    SparseCenters,
}

/// See [`Regularizer::Lp`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LpLength {
    /// The norm's power, at least 1.
    pub p: f64,
    /// What the norm is raised to.
    pub power: f64,
}

impl Default for LpLength {
    fn default() -> LpLength {
        LpLength { p: 2.0, power: 1.0 }
    }
}

impl Choice for Regularizer {
    const WHAT: &'static str = "regularizer";

    fn all() -> Vec<Regularizer> {
        vec![
            Regularizer::Lp(LpLength::default()),
            Regularizer::ZeroMean,
            Regularizer::CenterInvariant,
            Regularizer::RegularFace,
            Regularizer::SparseCenters,
        ]
    }
}

impl Regularizer {
    /// Whether it is about proxies, not embeddings.
    pub fn of_proxies(&self) -> bool {
        matches!(self, Regularizer::CenterInvariant | Regularizer::RegularFace | Regularizer::SparseCenters)
    }

    /// The cost of `n x d` vectors `x`. Its gradient, times `weight`, is added to `into`, which is as long. Of proxies,
    /// `per_class` in a row belong to a class.
    ///
    /// # Panics
    ///
    /// If lengths disagree.
    pub fn evaluate(&self, x: &[f32], d: usize, per_class: usize, weight: f64, into: &mut [f32]) -> f64 {
        let n = x.len() / d;
        let share = 1.0 / n.max(1) as f64;
        let row = |i: usize| &x[i * d..][..d];
        let mut value = 0.0;
        match self {
            Regularizer::Lp(LpLength { p, power }) => {
                let zero = vec![0.0; d];
                let mut unused = vec![0.0; d];
                for (i, g) in into.chunks_exact_mut(d).enumerate() {
                    let length = Distance::Lp(*p).between(row(i), &zero);
                    value += share * length.powf(*power);
                    let derivative = power * length.powf(power - 1.0);
                    let derivative = if length > 0.0 { weight * share * derivative } else { 0.0 };
                    Distance::Lp(*p).add_gradient(row(i), &zero, derivative, g, &mut unused);
                }
            }
            Regularizer::ZeroMean => {
                for (i, g) in into.chunks_exact_mut(d).enumerate() {
                    let sum: f64 = row(i).iter().map(|v| f64::from(*v)).sum();
                    value += share * sum.abs();
                    let derivative = if sum == 0.0 { 0.0 } else { (weight * share * sum.signum()) as f32 };
                    g.iter_mut().for_each(|g| *g += derivative);
                }
            }
            Regularizer::CenterInvariant => {
                let squares: Vec<f64> =
                    (0..n).map(|i| row(i).iter().map(|v| f64::from(*v).powi(2)).sum()).collect();
                let mean = squares.iter().sum::<f64>() * share;
                // Deviations sum to zero, so the mean's own gradient vanishes.
                for (i, g) in into.chunks_exact_mut(d).enumerate() {
                    let off = squares[i] - mean;
                    value += share * off * off / 4.0;
                    let derivative = weight * share * off;
                    g.iter_mut().zip(row(i)).for_each(|(g, v)| *g += (derivative * f64::from(*v)) as f32);
                }
            }
            Regularizer::RegularFace => {
                for i in 0..n {
                    let cosine = |j: usize| Distance::Cosine.between(row(i), row(j));
                    let Some(j) = (0..n).filter(|j| *j != i).min_by(|a, b| cosine(*a).total_cmp(&cosine(*b)))
                    else {
                        continue;
                    };
                    value += share * (1.0 - cosine(j));
                    pair(into, d, (i, j), |gi, gj| {
                        Distance::Cosine.add_gradient(row(i), row(j), -weight * share, gi, gj);
                    });
                }
            }
            Regularizer::SparseCenters => {
                let pairs: Vec<(usize, usize)> = (0..n)
                    .flat_map(|i| (i + 1..(i / per_class + 1) * per_class).map(move |j| (i, j)))
                    .filter(|(_, j)| *j < n)
                    .collect();
                let share = 1.0 / (2.0 * pairs.len().max(1) as f64);
                for (i, j) in pairs {
                    value += share * Distance::Chord.between(row(i), row(j));
                    pair(into, d, (i, j), |gi, gj| {
                        Distance::Chord.add_gradient(row(i), row(j), weight * share, gi, gj);
                    });
                }
            }
        }
        value
    }
}

/// Two rows at once.
fn pair(rows: &mut [f32], d: usize, (i, j): (usize, usize), f: impl FnOnce(&mut [f32], &mut [f32])) {
    let (low, high) = rows.split_at_mut(i.max(j) * d);
    let (first, second) = (&mut low[i.min(j) * d..][..d], &mut high[..d]);
    if i < j { f(first, second) } else { f(second, first) }
}
