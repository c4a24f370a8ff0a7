//! Neighbourhood components analysis over proxies.

use super::{Elements, Evaluation, Facts, LossFunction, LossReport, Measure, Nca, Parameter, Reducer};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// [`Nca`] over learned proxies, one per class (Movshovitz-Attias et al. 2017, <https://arxiv.org/abs/1703.07464>, equation 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProxyNca(pub Nca);

impl LossFunction for ProxyNca {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Any(Distance::SquaredChord),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: Some(1),
            tuples: true,
            memory: false,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.0.parameters()
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        evaluation.over_proxies(&self.0)
    }
}
