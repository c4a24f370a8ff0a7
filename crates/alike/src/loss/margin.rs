//! The margin loss.

use super::reduce::Elements;
use super::row::{Row, RowLoss, RowOut};
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

/// The loss with its boundaries as they stand: one, or one a class.
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

    /// The cost of a single boundary, and its slope.
    pub(super) fn single_cost(&self) -> Option<(f64, f64)> {
        let single = self.margin.learn_beta && self.beta.len() == 1;
        single.then(|| (self.margin.nu * f64::from(self.beta[0]), self.margin.nu))
    }
}

impl RowLoss for WithBeta<'_> {
    fn terms(&self) -> usize {
        if self.reg_by_class() { 2 } else { 1 }
    }

    fn elements(&self) -> Elements {
        Elements::Triplets
    }

    fn names_divisor(&self) -> bool {
        true
    }

    fn parameters(&self) -> &[f32] {
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
                out.slope(p, weight);
            }
            if push {
                out.slope(n, -weight);
            }
            if learn_beta {
                out.parameters[class] += weight * (f64::from(u8::from(push)) - f64::from(u8::from(pull)));
            }
            if self.reg_by_class() {
                out.divide_by(1, parts);
                out.parameters[class] += nu * out.element(1, nu * beta);
            }
        });
    }
}
