//! ArcFace, and its form with several vectors a class.

use serde::{Deserialize, Serialize};

/// Cross-entropy over `scale cos`, the target's angle widened by a margin (Deng et al. 2019, <https://arxiv.org/abs/1801.07698>,
/// equation 3). The usual choice for faces: many classes of few images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ArcFace {
    /// In degrees.
    pub margin: f64,
    /// What cosines are multiplied by.
    pub scale: f64,
}

impl Default for ArcFace {
    fn default() -> ArcFace {
        ArcFace { margin: 28.6, scale: 64.0 }
    }
}

impl ArcFace {
    /// The target's cosine with the margin, and its slope.
    pub(super) fn target(&self, cos: f64) -> (f64, f64) {
        let margin = self.margin.to_radians();
        let angle = cos.clamp(-1.0, 1.0).acos();
        if angle > std::f64::consts::PI - margin {
            // Beyond half a turn the cosine would rise again.
            return (cos - margin * margin.sin(), 1.0);
        }
        ((angle + margin).cos(), (angle + margin).sin() / angle.sin().max(1e-6))
    }
}

/// [`ArcFace`] with several vectors a class, the nearest of which counts (Deng et al. 2020,
/// <https://www.ecva.net/papers/eccv_2020/papers_ECCV/papers/123560715.pdf>, equation 5).
///
/// For noisy labels: what is mislabelled gathers around the lesser vectors; [`outliers`] finds it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SubCenterArcFace {
    /// In degrees.
    pub margin: f64,
    /// What cosines are multiplied by.
    pub scale: f64,
    /// Vectors a class.
    pub sub_centers: usize,
}

impl Default for SubCenterArcFace {
    fn default() -> SubCenterArcFace {
        SubCenterArcFace { margin: 28.6, scale: 64.0, sub_centers: 3 }
    }
}

/// Images whose angle to their class's dominant vector is beyond `threshold` degrees (75 in the paper): likely mislabelled.
/// `vectors` are `classes x sub_centers x d`; the dominant one is that which is nearest to most images of the class.
///
/// # Panics
///
/// If a label is not one of the classes.
pub fn outliers(
    embeddings: &[f32],
    labels: &[u32],
    vectors: &[f32],
    sub_centers: usize,
    d: usize,
    threshold: f64,
) -> Vec<usize> {
    let classes = vectors.len() / (sub_centers * d);
    let far = 1.0 - threshold.to_radians().cos();
    let mut found = Vec::new();
    for class in 0..classes {
        let members: Vec<usize> = (0..labels.len()).filter(|i| labels[*i] as usize == class).collect();
        let distance = |i: usize, center: usize| {
            let vector = &vectors[(class * sub_centers + center) * d..][..d];
            crate::distance::Distance::Cosine.between(&embeddings[i * d..][..d], vector)
        };
        let mut votes = vec![0usize; sub_centers];
        for i in &members {
            let best = (0..sub_centers).min_by(|a, b| distance(*i, *a).total_cmp(&distance(*i, *b)));
            votes[best.unwrap_or(0)] += 1;
        }
        // The first of the largest, as everywhere.
        let dominant = (0..sub_centers).rev().max_by_key(|c| votes[*c]).unwrap_or(0);
        found.extend(members.into_iter().filter(|i| distance(*i, dominant) > far));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_far_from_its_classs_main_vector_is_an_outlier() {
        // One class, two vectors; three images near the first, one near the second.
        let vectors = [1.0, 0.0, 0.0, 1.0];
        let embeddings = [1.0, 0.1, 2.0, 0.0, 1.0, -0.1, 0.05, 1.0];
        assert_eq!(outliers(&embeddings, &[0; 4], &vectors, 2, 2, 75.0), [3]);
    }
}
