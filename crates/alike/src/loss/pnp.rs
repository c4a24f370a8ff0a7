//! Penalising negative instances before positive ones.

use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// What becomes of the number of negatives that rank before a positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PnpVariant {
    /// `log(1 + R)`.
    Ds,
    /// `1 - (1 + R)^-alpha`.
    Dq,
    /// `(1 + R) log(1 + R)`.
    Iu,
    /// `R / b - log(1 + b R) / b^2`.
    Ib,
    /// `R`.
    O,
}

/// The soft number of negatives that rank before each positive, the anchor itself one of them (Li et al. 2022,
/// <https://arxiv.org/abs/2102.04640>, equations 6 to 12).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pnp {
    /// How that number is shaped: Ds, Dq, Iu, Ib or O.
    pub variant: PnpVariant,
    /// Of variant Ib.
    pub b: f64,
    /// Of variant Dq.
    pub alpha: f64,
    /// How soft a step is.
    pub anneal: f64,
}

impl Default for Pnp {
    fn default() -> Pnp {
        Pnp { variant: PnpVariant::O, b: 2.0, alpha: 1.0, anneal: 0.01 }
    }
}

impl LossFunction for Pnp {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: None,
            tuples: false,
            memory: false,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::positive("b", self.b),
            Parameter::positive("alpha", self.alpha),
            Parameter::positive("anneal", self.anneal),
        ]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl Pnp {
    /// The shape of a rank, and its derivative.
    fn shape(&self, r: f64) -> (f64, f64) {
        match self.variant {
            PnpVariant::Ds => (r.ln_1p(), 1.0 / (1.0 + r)),
            PnpVariant::Dq => {
                let log = -self.alpha * r.ln_1p();
                (-log.exp_m1(), self.alpha * log.exp() / (1.0 + r))
            }
            PnpVariant::Iu => ((1.0 + r) * r.ln_1p(), 1.0 + r.ln_1p()),
            PnpVariant::Ib => {
                let b = self.b;
                let x = b * r;
                // The difference of two nearly equal numbers, by its series.
                let less = if x < 1e-3 {
                    x * x * (0.5 - x * (1.0 / 3.0 - x * (0.25 - x * 0.2)))
                } else {
                    x - x.ln_1p()
                };
                (less / (b * b), r / (1.0 + x))
            }
            PnpVariant::O => (r, 1.0),
        }
    }
}

impl RowLoss for Pnp {
    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        if row.positives.is_empty() {
            return;
        }
        let own: Vec<u32> =
            row.itself.map(|i| i as u32).into_iter().chain(row.positives.iter().copied()).collect();
        // Steps beyond 50 are flat, as in the reference.
        let step = |j: u32, n: u32| {
            let x = (row.d(j) - row.d(n)) / self.anneal;
            let s = 1.0 / (1.0 + (-x.clamp(-50.0, 50.0)).exp());
            (s, if x.abs() < 50.0 { s * (1.0 - s) / self.anneal } else { 0.0 })
        };
        let share = 1.0 / own.len() as f64;
        let shapes: Vec<(f64, f64)> =
            own.iter().map(|j| self.shape(row.negatives.iter().map(|n| step(*j, *n).0).sum())).collect();
        let weight = share * out.element(0, share * shapes.iter().map(|(v, _)| v).sum::<f64>());
        if weight == 0.0 {
            return;
        }
        for (j, (_, derivative)) in own.iter().zip(&shapes) {
            for n in row.negatives {
                let by_step = weight * derivative * step(*j, *n).1;
                out.add_gradient(*j, by_step);
                out.add_gradient(*n, -by_step);
            }
        }
    }
}
