//! Hard pairs over a range of ranks.

use super::{Candidates, Lists, Mine, Tuples};
use crate::distance::Distance;
use crate::rng::Rng;
use serde::{Deserialize, Serialize};

/// Each anchor's farthest positives and nearest negatives by rank, without the first few: an image that lies deep in another
/// class is more often mislabelled than hard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HardRange {
    /// How many of the hardest are left out; an anchor's last one stays.
    pub skip: usize,
    /// How many are taken after them.
    pub take: usize,
}

impl Default for HardRange {
    fn default() -> HardRange {
        HardRange { skip: 1, take: 10 }
    }
}

impl HardRange {
    fn range(&self, mut all: Vec<(u32, f64)>, out: &mut Vec<u32>) {
        all.sort_by(|x, y| x.1.total_cmp(&y.1));
        let skip = self.skip.min(all.len().saturating_sub(1));
        out.extend(all.into_iter().skip(skip).take(self.take).map(|(j, _)| j));
    }
}

impl Mine for HardRange {
    fn mine(&self, c: &Candidates<'_>, _: &mut Rng) -> Tuples {
        Tuples::Pairs {
            positives: Lists::build(c.len(), |i, out| {
                self.range(c.positives(i).map(|j| (j, -c.distance(i, j))).collect(), out);
            }),
            negatives: Lists::build(c.len(), |i, out| {
                self.range(c.negatives(i).map(|j| (j, c.distance(i, j))).collect(), out);
            }),
        }
    }

    fn distance(&self) -> Option<Distance> {
        None
    }

    fn refusal(&self) -> Option<String> {
        (self.take == 0).then(|| "take must be above 0".to_owned())
    }
}
