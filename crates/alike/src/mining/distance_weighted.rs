//! The distance-weighted miner.

use super::{Candidates, Lists, Mine, Tuples};
use crate::distance::Distance;
use crate::rng::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// A negative for every positive, drawn by the inverse of how likely its distance is on the sphere (Wu et al. 2017,
/// <https://arxiv.org/abs/1706.07567>, equation 4), so that near and far negatives come equally often.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DistanceWeighted {
    /// Distances below this count as this: nearer negatives have noisy gradients.
    pub cutoff: f64,
    /// Negatives beyond this are never drawn.
    pub nonzero_loss_cutoff: f64,
}

impl Default for DistanceWeighted {
    fn default() -> DistanceWeighted {
        DistanceWeighted { cutoff: 0.5, nonzero_loss_cutoff: 1.4 }
    }
}

impl DistanceWeighted {
    /// The logarithm of a weight, in `d` dimensions; none for a distance that is never drawn.
    pub(super) fn log_weight(&self, distance: f64, d: f64) -> Option<f64> {
        if distance >= self.nonzero_loss_cutoff {
            return None;
        }
        let r = distance.max(self.cutoff);
        let log = (2.0 - d) * r.ln() - (d - 3.0) / 2.0 * (1.0 - 0.25 * r * r).ln();
        log.is_finite().then_some(log)
    }
}

impl Mine for DistanceWeighted {
    fn mine(&self, c: &Candidates<'_>, rng: &mut Rng) -> Tuples {
        Tuples::Triplets(Lists::build(c.len(), |i, out| {
            let logs: Vec<(u32, f64)> = c
                .negatives(i)
                .filter_map(|n| Some((n, self.log_weight(c.distance(i, n), c.d as f64)?)))
                .collect();
            let most = logs.iter().fold(f64::NEG_INFINITY, |m, (_, l)| m.max(*l));
            let total: f64 = logs.iter().map(|(_, l)| (l - most).exp()).sum();
            for p in c.positives(i) {
                let mut left = rng.random::<f64>() * total;
                let drawn = logs.iter().find(|(_, l)| {
                    left -= (l - most).exp();
                    left <= 0.0
                });
                out.extend(drawn.or(logs.last()).map(|(n, _)| [p, *n]));
            }
        }))
    }

    fn distance(&self) -> Option<Distance> {
        Some(Distance::Chord)
    }

    fn refusal(&self) -> Option<String> {
        let above_zero = |name: &str, value: f64| (value <= 0.0).then(|| format!("{name} must be above 0"));
        above_zero("cutoff", self.cutoff).or(above_zero("nonzero-loss-cutoff", self.nonzero_loss_cutoff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The density that weights are the inverse of, on a sphere in `d` dimensions, at two distances.
    #[test]
    fn a_weight_is_the_inverse_of_a_distances_density() {
        let density = |r: f64, d: f64| r.powf(d - 2.0) * (1.0 - r * r / 4.0).powf((d - 3.0) / 2.0);
        let m = DistanceWeighted::default();
        for d in [3.0, 16.0, 64.0] {
            let ratio = m.log_weight(0.7, d).unwrap() - m.log_weight(1.2, d).unwrap();
            assert!((ratio - (density(1.2, d) / density(0.7, d)).ln()).abs() < 1e-9);
        }
        assert_eq!((m.log_weight(0.1, 8.0), m.log_weight(1.5, 8.0)), (m.log_weight(0.5, 8.0), None));
    }
}
