//! The uniform histogram miner.

use super::{Candidates, Lists, Mine, Tuples};
use crate::distance::Distance;
use crate::rng::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// As many pairs from every range of distances that has any, drawn with replacement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct UniformHistogram {
    /// Ranges between the least and the largest distance.
    pub num_bins: usize,
    /// Positive pairs of each.
    pub pos_per_bin: usize,
    /// Negative pairs of each.
    pub neg_per_bin: usize,
}

impl Default for UniformHistogram {
    fn default() -> UniformHistogram {
        UniformHistogram { num_bins: 100, pos_per_bin: 10, neg_per_bin: 10 }
    }
}

/// Ranges, and pairs of each: as many as a batch has, and more than anyone draws.
const MOST: usize = 1 << 16;
/// Pairs of one batch.
const MOST_PAIRS: usize = 1 << 24;

impl UniformHistogram {
    fn draw(
        &self,
        c: &Candidates<'_>,
        pairs: Vec<(usize, u32)>,
        per_bin: usize,
        rng: &mut Rng,
    ) -> Lists<u32> {
        let of = |pair: &(usize, u32)| c.distance(pair.0, pair.1);
        let low = pairs.iter().map(of).fold(f64::INFINITY, f64::min);
        let high = pairs.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        let bins = self.num_bins.max(1);
        let mut by_bin = vec![Vec::new(); bins];
        for pair in pairs {
            let at = (of(&pair) - low) / (high - low) * bins as f64;
            // All distances equal: one range holds them.
            by_bin[if at.is_finite() { (at as usize).min(bins - 1) } else { 0 }].push(pair);
        }
        let drawn = by_bin
            .iter()
            .filter(|bin| !bin.is_empty())
            .flat_map(|bin| (0..per_bin).map(|_| bin[rng.random_range(0..bin.len())]).collect::<Vec<_>>());
        Lists::gather(c.len(), drawn)
    }
}

impl Mine for UniformHistogram {
    fn mine(&self, c: &Candidates<'_>, rng: &mut Rng) -> Tuples {
        let positives = (0..c.len()).flat_map(|i| c.positives(i).map(move |j| (i, j))).collect();
        let negatives = (0..c.len()).flat_map(|i| c.negatives(i).map(move |j| (i, j))).collect();
        Tuples::Pairs {
            positives: self.draw(c, positives, self.pos_per_bin, rng),
            negatives: self.draw(c, negatives, self.neg_per_bin, rng),
        }
    }

    fn distance(&self) -> Option<Distance> {
        None
    }

    fn refusal(&self) -> Option<String> {
        let UniformHistogram { num_bins, pos_per_bin, neg_per_bin } = *self;
        let each = [("num-bins", num_bins), ("pos-per-bin", pos_per_bin), ("neg-per-bin", neg_per_bin)];
        if let Some((key, _)) = each.iter().find(|(_, n)| *n > MOST) {
            return Some(format!("{key} must be at most {MOST}"));
        }
        if num_bins == 0 {
            return Some("num-bins must be above 0".to_owned());
        }
        (num_bins * pos_per_bin.max(neg_per_bin) > MOST_PAIRS)
            .then(|| format!("num-bins times pairs of each must be at most {MOST_PAIRS}"))
    }
}
