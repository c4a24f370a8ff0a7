//! The contrastive loss over the signal-to-noise distance.

use super::{
    Contrastive, Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Parameter, Reducer,
};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// [`Contrastive`] over the signal-to-noise distance (Yuan et al. 2019, <https://arxiv.org/abs/1904.02616>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnrContrastive(pub Contrastive);

impl LossFunction for SnrContrastive {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Snr),
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
        self.0.parameters()
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.rows(&self.0)
    }
}
