//! The contrastive loss.

use super::reduce::Elements;
use super::row::{Row, RowLoss, RowOut};
use serde::{Deserialize, Serialize};

/// `max(0, d - pos_margin)` of positive pairs and `max(0, neg_margin - d)` of negative ones (Hadsell, Chopra and LeCun 2006,
/// <http://yann.lecun.com/exdb/publis/pdf/hadsell-chopra-lecun-06.pdf>; without their squares, as the reference library).
///
/// The oldest of all; wants well chosen margins, and looks at pairs alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Contrastive {
    /// Positive pairs nearer than this cost nothing.
    pub pos_margin: f64,
    /// Negative pairs farther than this cost nothing.
    pub neg_margin: f64,
}

impl Default for Contrastive {
    fn default() -> Contrastive {
        Contrastive { pos_margin: 0.0, neg_margin: 1.0 }
    }
}

impl RowLoss for Contrastive {
    fn terms(&self) -> usize {
        2
    }

    fn elements(&self) -> Elements {
        Elements::Pairs
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        for p in row.positives {
            let value = row.d(*p) - self.pos_margin;
            let weight = out.element(0, value.max(0.0));
            if value > 0.0 {
                out.slope(*p, weight);
            }
        }
        for n in row.negatives {
            let value = self.neg_margin - row.d(*n);
            let weight = out.element(1, value.max(0.0));
            if value > 0.0 {
                out.slope(*n, -weight);
            }
        }
    }
}
