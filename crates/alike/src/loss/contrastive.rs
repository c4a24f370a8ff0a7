//! The contrastive loss.

use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
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

impl LossFunction for Contrastive {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Any(Distance::Chord),
            reducer: Reducer::NonZero,
            elements: Elements::Pairs,
            proxies: None,
            tuples: true,
            memory: true,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::finite("pos-margin", self.pos_margin),
            Parameter::finite("neg-margin", self.neg_margin),
        ]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl RowLoss for Contrastive {
    fn terms(&self) -> usize {
        2
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        for p in row.positives {
            let value = row.d(*p) - self.pos_margin;
            let weight = out.element(0, value.max(0.0));
            if value > 0.0 {
                out.add_gradient(*p, weight);
            }
        }
        for n in row.negatives {
            let value = self.neg_margin - row.d(*n);
            let weight = out.element(1, value.max(0.0));
            if value > 0.0 {
                out.add_gradient(*n, -weight);
            }
        }
    }
}
