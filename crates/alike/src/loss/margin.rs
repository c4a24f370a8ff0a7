//! The margin loss.

use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer, State};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// `max(0, d(a, p) - beta + margin) + max(0, beta - d(a, n) + margin)` over triplets (Wu et al. 2017,
/// <https://arxiv.org/abs/1706.07567>, equation 6), divided by the number of parts above zero.
///
/// The boundary `beta` may be learned, for all classes or for each; made to go with distance-weighted mining.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Margin {
    /// On either side of the boundary.
    pub margin: f64,
    /// The weight of `beta` in the loss, where it is learned.
    pub nu: f64,
    /// The boundary, or where it begins.
    pub beta: f64,
    /// Learn the boundary.
    pub learn_beta: bool,
    /// A boundary for each class.
    pub per_class: bool,
}

impl Default for Margin {
    fn default() -> Margin {
        Margin { margin: 0.2, nu: 0.0, beta: 1.2, learn_beta: false, per_class: false }
    }
}

impl LossFunction for Margin {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Any(Distance::Chord),
            reducer: Reducer::Divisor,
            elements: Elements::Triplets,
            proxies: None,
            tuples: true,
            memory: true,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::finite("margin", self.margin),
            Parameter::finite("nu", self.nu),
            Parameter::finite("beta", self.beta),
        ]
    }

    fn initial(&self, classes: usize) -> State {
        let boundaries = if self.per_class { classes } else { 1 };
        State { numbers: vec![self.beta as f32; boundaries], ..State::default() }
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        let beta = evaluation.state.numbers.clone();
        let loss = WithBeta { margin: *self, beta: &beta };
        let mut report = evaluation.rows(&loss);
        if let Some((cost, derivative)) = loss.single_cost().filter(|_| evaluation.has_both()) {
            report.loss += evaluation.weight * cost;
            evaluation.gradients.numbers[0] += (evaluation.weight * derivative) as f32;
        }
        report
    }
}

/// The loss with its current boundaries: one, or one per class.
#[derive(Clone, Debug)]
pub(super) struct WithBeta<'a> {
    pub(super) margin: Margin,
    pub(super) beta: &'a [f32],
}

impl WithBeta<'_> {
    /// A boundary's own cost counts with every triplet of its class; one for all classes costs once.
    fn reg_by_class(&self) -> bool {
        self.margin.learn_beta && self.beta.len() > 1
    }

    /// The cost of a single boundary, and its derivative.
    pub(super) fn single_cost(&self) -> Option<(f64, f64)> {
        let single = self.margin.learn_beta && self.beta.len() == 1;
        single.then(|| (self.margin.nu * f64::from(self.beta[0]), self.margin.nu))
    }
}

impl RowLoss for WithBeta<'_> {
    fn terms(&self) -> usize {
        if self.reg_by_class() { 2 } else { 1 }
    }

    fn names_divisor(&self) -> bool {
        true
    }

    fn numbers(&self) -> &[f32] {
        if self.margin.learn_beta { self.beta } else { &[] }
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let Margin { margin, nu, learn_beta, .. } = self.margin;
        let class = if self.beta.len() > 1 { row.label as usize } else { 0 };
        let beta = f64::from(self.beta[class]);
        row.each_triplet(|p, n| {
            let (far, near) = (row.d(p) - beta + margin, beta - row.d(n) + margin);
            let (pull, push) = (far > 0.0, near > 0.0);
            let parts = f64::from(u8::from(pull) + u8::from(push));
            out.divide_by(0, parts);
            let weight = out.element(0, far.max(0.0) + near.max(0.0));
            if pull {
                out.add_gradient(p, weight);
            }
            if push {
                out.add_gradient(n, -weight);
            }
            if learn_beta {
                out.numbers[class] += weight * (f64::from(u8::from(push)) - f64::from(u8::from(pull)));
            }
            if self.reg_by_class() {
                out.divide_by(1, parts);
                out.numbers[class] += nu * out.element(1, nu * beta);
            }
        });
    }
}
