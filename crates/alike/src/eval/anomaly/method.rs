//! How images are scored, and what that needs.

use crate::text::{self, Choice};
use serde::{Deserialize, Serialize};

/// How images are scored.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AnomalyMethod {
    /// The distance to the `k`-th nearest reference (Ramaswamy, Rastogi and Shim 2000; Sun et al. 2022,
    /// <https://arxiv.org/abs/2204.06507>).
    Knn {
        /// Which neighbour.
        k: usize,
    },
    /// The Mahalanobis distance to the nearest class, all classes sharing one covariance (Lee et al. 2018,
    /// <https://arxiv.org/abs/1807.03888>), which is shrunk as Ledoit and Wolf 2004 say.
    Mahalanobis,
    /// The same, each class having a covariance of its own.
    MahalanobisByClass,
    /// The local outlier factor of the `k` nearest (Breunig et al. 2000; as `sklearn.neighbors.LocalOutlierFactor`).
    Lof {
        /// Neighbours.
        k: usize,
    },
}

impl Choice for AnomalyMethod {
    const WHAT: &'static str = "anomaly method";

    fn all() -> Vec<AnomalyMethod> {
        vec![
            AnomalyMethod::Knn { k: 1 },
            AnomalyMethod::Mahalanobis,
            AnomalyMethod::MahalanobisByClass,
            AnomalyMethod::Lof { k: 20 },
        ]
    }
}

impl std::str::FromStr for AnomalyMethod {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<AnomalyMethod, text::ChoiceError> {
        text::parse(s)
    }
}

impl std::fmt::Display for AnomalyMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&text::write(self))
    }
}

/// A reference does not suffice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnomalyError {
    /// Too few images for the method.
    #[error("{method} needs at least {needed} reference images, but there are {found}")]
    TooFew {
        /// The method.
        method: String,
        /// Images needed.
        needed: usize,
        /// Images there.
        found: usize,
    },
    /// A neighbourhood of none.
    #[error("{0} looks at no neighbours; give k=1 or more")]
    NoNeighbours(String),
}

impl AnomalyMethod {
    /// How many references it needs.
    pub fn needs(self) -> usize {
        match self {
            AnomalyMethod::Knn { k } => k,
            // As many as cannot be there are refused like any other number of too many.
            AnomalyMethod::Lof { k } => k.saturating_add(1),
            AnomalyMethod::Mahalanobis | AnomalyMethod::MahalanobisByClass => 2,
        }
    }
}
