//! The normalised softmax loss.

use serde::{Deserialize, Serialize};

/// Cross-entropy over `cos / temperature` to a learned vector a class (Zhai and Wu 2019, <https://arxiv.org/abs/1811.12649>).
///
/// The simplest loss with class vectors, and hard to beat where every class has many images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NormalizedSoftmax {
    /// What cosines are divided by.
    pub temperature: f64,
}

impl Default for NormalizedSoftmax {
    fn default() -> NormalizedSoftmax {
        NormalizedSoftmax { temperature: 0.05 }
    }
}
