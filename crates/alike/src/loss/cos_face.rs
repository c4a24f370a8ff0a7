//! CosFace.

use serde::{Deserialize, Serialize};

/// Cross-entropy over `scale cos`, the target's cosine lowered by a margin (Wang et al. 2018, <https://arxiv.org/abs/1801.09414>,
/// equation 4).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CosFace {
    /// A difference of cosines.
    pub margin: f64,
    /// What cosines are multiplied by.
    pub scale: f64,
}

impl Default for CosFace {
    fn default() -> CosFace {
        CosFace { margin: 0.35, scale: 64.0 }
    }
}
