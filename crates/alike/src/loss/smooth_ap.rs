//! The Smooth-AP loss.

use super::math::sigmoid;
use super::row::{Row, RowLoss, RowOut, TupleUse};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// One minus average precision, with sigmoids for the steps of ranks (Brown et al. 2020, <https://arxiv.org/abs/2007.12163>,
/// equation 8). An anchor is one of its own positives, as in the reference, and its best.
///
/// The reference wants labels in order and classes of equal size; here any will do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SmoothAp {
    /// How soft a step is.
    pub temperature: f64,
}

impl Default for SmoothAp {
    fn default() -> SmoothAp {
        SmoothAp { temperature: 0.01 }
    }
}

impl LossFunction for SmoothAp {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: None,
            tuples: true,
            memory: false,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::positive("temperature", self.temperature)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl RowLoss for SmoothAp {
    fn tuples(&self) -> TupleUse {
        TupleUse::Weigh
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let t = self.temperature;
        let own: Vec<u32> =
            row.itself.map(|i| i as u32).into_iter().chain(row.positives.iter().copied()).collect();
        let all: Vec<u32> = own.iter().copied().chain(row.negatives.iter().copied()).collect();
        if own.is_empty() {
            return;
        }
        let step = |j: u32, k: u32| sigmoid((row.d(j) - row.d(k)) / t);
        // A positive's rank among its own, and how many negatives come before it.
        let before =
            |j: u32, list: &[u32]| -> f64 { list.iter().filter(|k| **k != j).map(|k| step(j, *k)).sum() };
        let ranks: Vec<(f64, f64)> = own
            .iter()
            .map(|&j| {
                let among_own = 1.0 + before(j, &own);
                (among_own, before(j, row.negatives))
            })
            .collect();
        // What precision lacks of one.
        let lack = ranks.iter().map(|(own, others)| others / (own + others)).sum::<f64>() / own.len() as f64;
        let weight = row.weight * out.element(0, row.weight * lack) / own.len() as f64;
        if weight == 0.0 {
            return;
        }
        for (&j, (rank, others)) in own.iter().zip(&ranks) {
            let total = rank + others;
            for (at, &k) in all.iter().enumerate().filter(|(_, k)| **k != j) {
                let s = step(j, k);
                // A reference of its own is in both ranks, another in the second only.
                let by_own = if at < own.len() { 1.0 / total } else { 0.0 };
                let derivative = weight * (rank / (total * total) - by_own) * s * (1.0 - s) / t;
                out.add_gradient(j, derivative);
                out.add_gradient(k, -derivative);
            }
        }
    }
}
