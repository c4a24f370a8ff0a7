//! One positive and one negative of each anchor.

use super::{Candidates, Lists, Mine, Tuples, first_min};
use crate::distance::Distance;
use crate::rng::Rng;
use serde::{Deserialize, Serialize};

/// Which of an anchor's pairs of a kind is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The farthest positive, the nearest negative.
    Hard,
    /// The hardest that is still easier than the pair of the other kind.
    Semihard,
    /// The nearest positive, the farthest negative.
    Easy,
    /// All.
    All,
}

/// Batch easy-hard mining (Xuan et al. 2020, <https://arxiv.org/abs/1904.04370>).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchEasyHard {
    /// Which positive.
    pub pos: Strategy,
    /// Which negative. Not both kinds can be semihard, nor one semihard beside all of the other.
    pub neg: Strategy,
    /// Positives must be within these distances.
    #[serde(rename = "pos-low")]
    pub pos_low: Option<f64>,
    /// See `pos_low`.
    #[serde(rename = "pos-high")]
    pub pos_high: Option<f64>,
    /// Negatives must be within these distances.
    #[serde(rename = "neg-low")]
    pub neg_low: Option<f64>,
    /// See `neg_low`.
    #[serde(rename = "neg-high")]
    pub neg_high: Option<f64>,
}

impl Default for BatchEasyHard {
    fn default() -> BatchEasyHard {
        BatchEasyHard {
            pos: Strategy::Easy,
            neg: Strategy::Semihard,
            pos_low: None,
            pos_high: None,
            neg_low: None,
            neg_high: None,
        }
    }
}

impl BatchEasyHard {
    fn pick(&self, c: &Candidates<'_>, i: usize, positive: bool, beside: Option<f64>) -> Option<(u32, f64)> {
        let (strategy, low, high) = if positive {
            (self.pos, self.pos_low, self.pos_high)
        } else {
            (self.neg, self.neg_low, self.neg_high)
        };
        let allowed = move |d: f64| {
            low.is_none_or(|low| d >= low)
                && high.is_none_or(|high| d <= high)
                && beside.is_none_or(|b| if positive { d < b } else { d > b })
        };
        // Hard positives and easy negatives are far.
        let far = positive != (strategy == Strategy::Easy);
        let sign = if far { -1.0 } else { 1.0 };
        let all: Box<dyn Iterator<Item = u32>> =
            if positive { Box::new(c.positives(i)) } else { Box::new(c.negatives(i)) };
        first_min(all.map(|j| (j, c.distance(i, j))).filter(|(_, d)| allowed(*d)).map(|(j, d)| (j, sign * d)))
            .map(|(j, d)| (j, sign * d))
    }
}

impl Mine for BatchEasyHard {
    fn mine(&self, c: &Candidates<'_>, _: &mut Rng) -> Tuples {
        let n = c.len();
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        for i in 0..n {
            let one = |positive| self.pick(c, i, positive, None);
            let all = (self.pos == Strategy::All, self.neg == Strategy::All);
            let (p, q) = match (self.pos, self.neg) {
                (Strategy::Semihard, _) => {
                    let q = one(false);
                    (q.and_then(|(_, d)| self.pick(c, i, true, Some(d))), q)
                }
                (_, Strategy::Semihard) => {
                    let p = one(true);
                    (p, p.and_then(|(_, d)| self.pick(c, i, false, Some(d))))
                }
                _ => (if all.0 { None } else { one(true) }, if all.1 { None } else { one(false) }),
            };
            match all {
                (false, false) => {
                    if let Some((p, q)) = p.zip(q) {
                        positives.push((i, p.0));
                        negatives.push((i, q.0));
                    }
                }
                _ => {
                    if all.0 {
                        positives.extend(c.positives(i).map(|j| (i, j)));
                    }
                    if all.1 {
                        negatives.extend(c.negatives(i).map(|j| (i, j)));
                    }
                    positives.extend(p.map(|p| (i, p.0)));
                    negatives.extend(q.map(|q| (i, q.0)));
                }
            }
        }
        Tuples::Pairs { positives: Lists::gather(n, positives), negatives: Lists::gather(n, negatives) }
    }

    fn distance(&self) -> Option<Distance> {
        None
    }

    fn refusal(&self) -> Option<String> {
        let why = match (self.pos, self.neg) {
            (Strategy::Semihard, Strategy::Semihard) => {
                Some("pos and neg cannot both be semihard: each waits for the other")
            }
            (Strategy::Semihard, Strategy::All) | (Strategy::All, Strategy::Semihard) => {
                Some("semihard needs a single pair of the other kind to compare with, not all")
            }
            _ => {
                let empty = |low: Option<f64>, high: Option<f64>| low.zip(high).is_some_and(|(l, h)| l > h);
                let nothing = empty(self.pos_low, self.pos_high) || empty(self.neg_low, self.neg_high);
                nothing.then_some("a lower end lies above its upper end, so that nothing is between them")
            }
        };
        why.map(str::to_owned)
    }
}

/// The farthest positive and the nearest negative (Hermans, Beyer and Leibe 2017, <https://arxiv.org/abs/1703.07737>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchHard {}

impl Mine for BatchHard {
    fn mine(&self, c: &Candidates<'_>, _: &mut Rng) -> Tuples {
        let hard = BatchEasyHard { pos: Strategy::Hard, neg: Strategy::Hard, ..BatchEasyHard::default() };
        Tuples::Triplets(Lists::build(c.len(), |i, out| {
            let both = hard.pick(c, i, true, None).zip(hard.pick(c, i, false, None));
            out.extend(both.map(|(p, n)| [p.0, n.0]));
        }))
    }

    fn distance(&self) -> Option<Distance> {
        None
    }

    fn refusal(&self) -> Option<String> {
        None
    }
}
