//! The semi-hard miner.

use super::{Candidates, Mine, TripletMarginMiner, TripletType, Tuples};
use crate::distance::Distance;
use crate::rng::Rng;
use serde::{Deserialize, Serialize};

/// Negatives just beyond the positive: [`TripletMarginMiner`] of the semi-hard type (Schroff et al. 2015,
/// <https://arxiv.org/abs/1503.03832>, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SemiHard {
    /// How far beyond the positive, in units of the distance.
    pub margin: f64,
}

impl Default for SemiHard {
    fn default() -> SemiHard {
        SemiHard { margin: 0.2 }
    }
}

impl Mine for SemiHard {
    fn mine(&self, candidates: &Candidates<'_>, rng: &mut Rng) -> Tuples {
        TripletMarginMiner { margin: self.margin, triplets: TripletType::Semihard }.mine(candidates, rng)
    }

    fn distance(&self) -> Option<Distance> {
        None
    }

    fn refusal(&self) -> Option<String> {
        None
    }
}
