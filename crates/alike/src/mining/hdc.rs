//! Hard-aware mining.

use super::{Candidates, Lists, Mine, Tuples};
use crate::distance::Distance;
use crate::rng::Rng;
use serde::{Deserialize, Serialize};

/// The hardest share of all positive pairs of a batch, and of all negative ones (Yuan, Yang and Zhang 2017, hard-aware deeply
/// cascaded embedding, <https://arxiv.org/abs/1611.05720>).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hdc {
    /// The share.
    pub filter_percentage: f64,
}

impl Default for Hdc {
    fn default() -> Hdc {
        Hdc { filter_percentage: 0.5 }
    }
}

impl Mine for Hdc {
    fn mine(&self, c: &Candidates<'_>, _: &mut Rng) -> Tuples {
        let hardest = |mut pairs: Vec<(usize, u32)>, sign: f64| {
            // Stable, so that equal pairs come in their order.
            pairs.sort_by(|x, y| (sign * c.distance(x.0, x.1)).total_cmp(&(sign * c.distance(y.0, y.1))));
            pairs.truncate((self.filter_percentage * pairs.len() as f64).ceil() as usize);
            Lists::gather(c.len(), pairs)
        };
        let all = |i: usize| (c.positives(i), c.negatives(i));
        Tuples::Pairs {
            positives: hardest((0..c.len()).flat_map(|i| all(i).0.map(move |j| (i, j))).collect(), -1.0),
            negatives: hardest((0..c.len()).flat_map(|i| all(i).1.map(move |j| (i, j))).collect(), 1.0),
        }
    }

    fn distance(&self) -> Option<Distance> {
        None
    }

    fn refusal(&self) -> Option<String> {
        let possible = self.filter_percentage > 0.0 && self.filter_percentage <= 1.0;
        (!possible).then(|| "filter-percentage is a share above 0, 1 at most".to_owned())
    }
}
