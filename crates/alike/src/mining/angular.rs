//! The angular miner.

use super::{Candidates, Lists, Mine, Tuples};
use crate::distance::Distance;
use crate::rng::Rng;
use serde::{Deserialize, Serialize};

/// Triplets whose angle at the negative is wide: `atan(|a - p| / (2 |n - (a + p) / 2|))` (Wang et al. 2017,
/// <https://arxiv.org/abs/1708.01682>, figure 2), for embeddings of length 1. Within a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AngularMiner {
    /// In degrees: wider angles are taken.
    pub angle: f64,
}

impl Default for AngularMiner {
    fn default() -> AngularMiner {
        AngularMiner { angle: 20.0 }
    }
}

impl Mine for AngularMiner {
    fn mine(&self, c: &Candidates<'_>, _: &mut Rng) -> Tuples {
        let wide = self.angle.to_radians();
        Tuples::Triplets(Lists::build(c.len(), |i, out| {
            for p in c.positives(i) {
                let ap = c.distance(i, p);
                for n in c.negatives(i) {
                    // The median of the triangle, by its sides.
                    let (an, pn) = (c.distance(i, n), c.distance(p as usize, n));
                    let median = ((an * an + pn * pn) / 2.0 - ap * ap / 4.0).max(0.0).sqrt();
                    if (ap / (2.0 * median)).atan() > wide {
                        out.push([p, n]);
                    }
                }
            }
        }))
    }

    fn distance(&self) -> Option<Distance> {
        Some(Distance::Chord)
    }

    fn refusal(&self) -> Option<String> {
        let possible = (0.0..90.0).contains(&self.angle);
        (!possible).then(|| "angle must be from 0 to below 90 degrees".to_owned())
    }
}
