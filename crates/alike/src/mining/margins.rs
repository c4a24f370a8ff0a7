//! Triplets and pairs by margins.

use super::{Candidates, Lists, Mine, Tuples};
use crate::distance::Distance;
use crate::rng::Rng;
use serde::{Deserialize, Serialize};

/// Which triplets are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TripletType {
    /// Those that violate the margin.
    All,
    /// Those of them whose negative is nearer than the positive, or as near.
    Hard,
    /// Those of them whose negative is farther than the positive.
    Semihard,
    /// The others.
    Easy,
}

/// Triplets by how they stand to a margin (Schroff et al. 2015, <https://arxiv.org/abs/1503.03832>, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TripletMarginMiner {
    /// How much farther the negative should be.
    pub margin: f64,
    /// all, hard, semihard or easy.
    pub triplets: TripletType,
}

impl Default for TripletMarginMiner {
    fn default() -> TripletMarginMiner {
        TripletMarginMiner { margin: 0.2, triplets: TripletType::All }
    }
}

impl Mine for TripletMarginMiner {
    fn mine(&self, c: &Candidates<'_>, _: &mut Rng) -> Tuples {
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        Tuples::Triplets(Lists::build(c.len(), |i, out| {
            positives.clear();
            negatives.clear();
            positives.extend(c.positives(i).map(|p| (p, c.distance(i, p))));
            if positives.is_empty() {
                return;
            }
            negatives.extend(c.negatives(i).map(|n| (n, c.distance(i, n))));
            for (p, ap) in &positives {
                for (n, an) in &negatives {
                    let gap = an - ap;
                    let keep = match self.triplets {
                        TripletType::All => gap <= self.margin,
                        TripletType::Hard => gap <= self.margin && gap <= 0.0,
                        TripletType::Semihard => gap <= self.margin && gap > 0.0,
                        TripletType::Easy => gap > self.margin,
                    };
                    if keep {
                        out.push([*p, *n]);
                    }
                }
            }
        }))
    }

    fn distance(&self) -> Option<Distance> {
        None
    }

    fn refusal(&self) -> Option<String> {
        None
    }
}

/// Positives farther and negatives nearer than a margin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PairMargin {
    /// For positives.
    pub pos_margin: f64,
    /// For negatives.
    pub neg_margin: f64,
}

impl Default for PairMargin {
    fn default() -> PairMargin {
        PairMargin { pos_margin: 0.2, neg_margin: 0.8 }
    }
}

impl Mine for PairMargin {
    fn mine(&self, c: &Candidates<'_>, _: &mut Rng) -> Tuples {
        Tuples::Pairs {
            positives: Lists::build(c.len(), |i, out| {
                out.extend(c.positives(i).filter(|p| c.distance(i, *p) > self.pos_margin));
            }),
            negatives: Lists::build(c.len(), |i, out| {
                out.extend(c.negatives(i).filter(|n| c.distance(i, *n) < self.neg_margin));
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
