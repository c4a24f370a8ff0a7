//! The SoftTriple loss.

use super::math::{cross_entropy, log_sum_exp, sigmoid};
use super::row::{Row, RowLoss, RowOut, TupleUse};
use super::{
    Elements, Evaluation, Facts, LossFunction, LossReport, MOST_PROXIES, Measure, Parameter, Reducer,
};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// Cross-entropy with a margin over several learned proxies per class; a class's similarity is their softmax-weighted mean (Qian
/// et al. 2019, <https://arxiv.org/abs/1909.05235>, equation 9). For classes of several looks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SoftTriple {
    /// Proxies per class.
    pub centers_per_class: usize,
    /// What similarities are multiplied by.
    pub la: f64,
    /// The temperature within a class.
    pub gamma: f64,
    /// A difference of cosines.
    pub margin: f64,
}

impl Default for SoftTriple {
    fn default() -> SoftTriple {
        SoftTriple { centers_per_class: 10, la: 20.0, gamma: 0.1, margin: 0.01 }
    }
}

impl LossFunction for SoftTriple {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: Some(self.centers_per_class),
            tuples: true,
            memory: false,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::count("centers-per-class", self.centers_per_class, MOST_PROXIES),
            Parameter::positive("la", self.la),
            Parameter::positive("gamma", self.gamma),
            Parameter::finite("margin", self.margin),
        ]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.over_proxies(self)
    }
}

impl RowLoss for SoftTriple {
    fn tuples(&self) -> TupleUse {
        TupleUse::Weigh
    }

    fn proxies_per_class(&self) -> Option<usize> {
        Some(self.centers_per_class)
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let SoftTriple { centers_per_class, la, gamma, margin } = *self;
        let target = row.label as usize;
        let cos = |d: &f64| 1.0 - d;
        // By class: the softmax's sum, and the mean similarity.
        let pooled: Vec<(f64, f64)> = row
            .distances
            .chunks_exact(centers_per_class)
            .map(|centers| {
                let sum = log_sum_exp(centers.iter().map(|d| cos(d) / gamma), false);
                (sum, centers.iter().map(|d| (cos(d) / gamma - sum).exp() * cos(d)).sum())
            })
            .collect();
        let logit = |class: usize| la * (pooled[class].1 - if class == target { margin } else { 0.0 });
        let others = log_sum_exp((0..pooled.len()).filter(|c| *c != target).map(logit), false);
        let value = cross_entropy(logit(target), others);
        let all = logit(target) + value;
        let weight = row.weight * out.element(0, row.weight * value);
        if weight == 0.0 {
            return;
        }
        for (class, centers) in row.distances.chunks_exact(centers_per_class).enumerate() {
            let share =
                if class == target { -sigmoid(others - logit(class)) } else { (logit(class) - all).exp() };
            let by_class = weight * la * share;
            let (sum, mean) = pooled[class];
            for (k, d) in centers.iter().enumerate() {
                let share = (cos(d) / gamma - sum).exp();
                let derivative = by_class * share * (1.0 + (cos(d) - mean) / gamma);
                out.add_gradient((class * centers_per_class + k) as u32, -derivative);
            }
        }
    }
}
