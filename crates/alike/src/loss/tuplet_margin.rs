//! The tuplet margin loss.

use super::math::log_sum_exp;
use super::row::{Row, RowLoss, RowOut};
use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// For each positive pair `log(1 + sum_n exp(scale (cos theta_n - cos(theta_p - margin))))` (Yu and Tao 2019,
/// <https://openaccess.thecvf.com/content_ICCV_2019/papers/Yu_Deep_Metric_Learning_With_Tuplet_Margin_Loss_ICCV_2019_paper.pdf>,
/// equation 3).
///
/// Where a positive coincides with its anchor the reference's gradient is infinite; here the angle is kept from zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TupletMargin {
    /// In degrees: positives are judged as if nearer by this.
    pub margin: f64,
    /// What cosines are multiplied by.
    pub scale: f64,
}

impl Default for TupletMargin {
    fn default() -> TupletMargin {
        TupletMargin { margin: 5.73, scale: 64.0 }
    }
}

impl LossFunction for TupletMargin {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Pairs,
            proxies: None,
            tuples: true,
            memory: true,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::finite("margin", self.margin), Parameter::positive("scale", self.scale)]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(self)
    }
}

impl RowLoss for TupletMargin {
    fn needs_both(&self) -> bool {
        true
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let (margin, scale) = (self.margin.to_radians(), self.scale);
        let push = |n: &u32| scale * (1.0 - row.d(*n));
        let pushes = log_sum_exp(row.negatives.iter().map(push), false);
        let mut total = 0.0;
        for p in row.positives {
            let cos = (1.0 - row.d(*p)).clamp(-1.0 + 1e-12, 1.0 - 1e-12);
            let angle = cos.acos();
            let inside = pushes - scale * (angle - margin).cos();
            let value = log_sum_exp([inside].into_iter(), true);
            let weight = out.element(0, value) * (inside - value).exp();
            out.add_gradient(*p, weight * scale * (angle - margin).sin() / (1.0 - cos * cos).sqrt());
            total += weight;
        }
        if total != 0.0 {
            row.negatives
                .iter()
                .for_each(|n| out.add_gradient(*n, -total * scale * (push(n) - pushes).exp()));
        }
    }
}
