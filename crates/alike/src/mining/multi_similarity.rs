//! The multi-similarity miner.

use super::{Candidates, Lists, Mine, Tuples};
use crate::distance::Distance;
use crate::rng::Rng;
use serde::{Deserialize, Serialize};

/// Positives farther than the nearest negative, and negatives nearer than the farthest positive, by a margin (Wang et al.
/// 2019, <https://arxiv.org/abs/1904.06627>, equations 11 and 12).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiSimilarityMiner {
    /// The margin.
    pub epsilon: f64,
}

impl Default for MultiSimilarityMiner {
    fn default() -> MultiSimilarityMiner {
        MultiSimilarityMiner { epsilon: 0.1 }
    }
}

impl Mine for MultiSimilarityMiner {
    fn mine(&self, c: &Candidates<'_>, _: &mut Rng) -> Tuples {
        let fold = |list: &mut dyn Iterator<Item = f64>, f: fn(f64, f64) -> f64| list.reduce(f);
        Tuples::Pairs {
            positives: Lists::build(c.len(), |i, out| {
                let nearest = fold(&mut c.negatives(i).map(|n| c.distance(i, n)), f64::min);
                if let Some(nearest) = nearest {
                    out.extend(c.positives(i).filter(|p| c.distance(i, *p) + self.epsilon > nearest));
                }
            }),
            negatives: Lists::build(c.len(), |i, out| {
                let farthest = fold(&mut c.positives(i).map(|p| c.distance(i, p)), f64::max);
                if let Some(farthest) = farthest {
                    out.extend(c.negatives(i).filter(|n| c.distance(i, *n) - self.epsilon < farthest));
                }
            }),
        }
    }

    fn distance(&self) -> Option<Distance> {
        None
    }

    fn refusal(&self) -> Option<String> {
        None
    }
}
