//! P2SGrad.

use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// The mean over classes of `(cos - [own])^2` (Zhang et al. 2019, <https://arxiv.org/abs/1905.02479>, equation 11, as the squared
/// error that has its gradient). No values to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct P2sGrad {}

impl LossFunction for P2sGrad {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: Some(1),
            tuples: false,
            memory: false,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.over_proxies(self)
    }
}

impl RowLoss for P2sGrad {
    fn proxies_per_class(&self) -> Option<usize> {
        Some(1)
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let off = |j: usize, d: f64| 1.0 - d - if j == row.label as usize { 1.0 } else { 0.0 };
        let share = 1.0 / row.distances.len() as f64;
        let value = row.distances.iter().enumerate().map(|(j, d)| off(j, *d).powi(2)).sum::<f64>() * share;
        let weight = 2.0 * share * out.element(0, value);
        row.distances.iter().enumerate().for_each(|(j, d)| out.add_gradient(j as u32, -weight * off(j, *d)));
    }
}
