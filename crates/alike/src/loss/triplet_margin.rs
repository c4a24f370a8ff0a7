//! The triplet margin loss.

use super::math::{sigmoid, softplus};
use super::row::{Row, RowLoss, RowOut};
use super::triplet_swap::TripletSwap;
use super::{
    Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer, TripletLoss,
    TripletTerm,
};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// `max(0, d(a, p) - d(a, n) + margin)` (Schroff, Kalenichenko and Philbin 2015, FaceNet,
/// <https://arxiv.org/abs/1503.03832>, equation 2; as `torch.nn.TripletMarginLoss`).
///
/// The classic; what it learns from depends on the triplets it gets, so give it a miner or large batches. All triplets of
/// a batch are streamed, never stored.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TripletMargin {
    /// How much farther than the positive the negative should be, in units of the distance. PyTorch's default is 1, the
    /// reference library's 0.05 over chords.
    pub margin: f64,
    /// Take `d(p, n)` for the negative's distance where that is smaller (Balntas et al. 2016,
    /// <http://www.bmva.org/bmvc/2016/papers/paper119/paper119.pdf>, section 2.3).
    pub swap: bool,
    /// `log(1 + exp(.))` instead of `max(0, .)`.
    pub smooth: bool,
}

impl Default for TripletMargin {
    fn default() -> TripletMargin {
        TripletMargin { margin: 0.05, swap: false, smooth: false }
    }
}

impl LossFunction for TripletMargin {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Any(Distance::Chord),
            reducer: Reducer::NonZero,
            elements: Elements::Triplets,
            proxies: None,
            tuples: true,
            memory: !self.swap,
            views: false,
            keeps_distances: self.swap,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::finite("margin", self.margin)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        if self.swap { evaluation.whole(&TripletSwap(*self)) } else { evaluation.rows(self) }
    }
}

impl TripletLoss for TripletMargin {
    fn term(&self, ap: f64, an: f64) -> TripletTerm {
        let value = ap - an + self.margin;
        if self.smooth {
            let derivative = sigmoid(value);
            return TripletTerm { value: softplus(value), d_ap: derivative, d_an: -derivative };
        }
        if value > 0.0 || value.is_nan() {
            TripletTerm { value, d_ap: 1.0, d_an: -1.0 }
        } else {
            TripletTerm::default()
        }
    }
}

impl RowLoss for TripletMargin {
    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        row.each_triplet(|p, n| {
            let term = self.term(row.d(p), row.d(n));
            let weight = out.element(0, term.value);
            if weight != 0.0 && term.d_ap != 0.0 {
                out.add_gradient(p, weight * term.d_ap);
                out.add_gradient(n, weight * term.d_an);
            }
        });
    }
}
