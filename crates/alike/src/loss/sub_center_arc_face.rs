//! ArcFace with several proxies per class.

use super::cosine_softmax::Scale;
use super::{
    ArcFace, Elements, Evaluation, Facts, LossFunction, LossReport, MOST_PROXIES, Measure, Parameter, Reducer,
};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};

/// [`ArcFace`] with several proxies per class, the nearest of which counts (Deng et al. 2020,
/// <https://www.ecva.net/papers/eccv_2020/papers_ECCV/papers/123560715.pdf>, equation 5).
///
/// For noisy labels: what is mislabelled gathers around the lesser proxies; [`outliers`] finds it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SubCenterArcFace {
    /// In degrees.
    pub margin: f64,
    /// What cosines are multiplied by.
    pub scale: f64,
    /// Proxies per class.
    pub sub_centers: usize,
}

impl Default for SubCenterArcFace {
    fn default() -> SubCenterArcFace {
        SubCenterArcFace { margin: 28.6, scale: 64.0, sub_centers: 3 }
    }
}

impl LossFunction for SubCenterArcFace {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Cosine),
            reducer: Reducer::Mean,
            elements: Elements::Anchors,
            proxies: Some(self.sub_centers),
            tuples: true,
            memory: false,
            views: false,
            keeps_distances: false,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::finite("margin", self.margin),
            Parameter::positive("scale", self.scale),
            Parameter::count("sub-centers", self.sub_centers, MOST_PROXIES),
        ]
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        let arc = ArcFace { margin: self.margin, scale: self.scale };
        evaluation.cosine_softmax(Scale::Fixed(self.scale), &|cos| arc.target(cos))
    }
}

/// Images whose angle to their class's dominant proxy is beyond `threshold` degrees (75 in the paper): likely mislabelled.
///
/// `embeddings` are `n x d` with `n` labels, `proxies` are `classes x sub_centers x d`. The dominant proxy is that which is
/// nearest to most images of the class. Returns positions of images, class by class.
///
/// # Panics
///
/// If a label is not one of the classes.
pub fn outliers(
    embeddings: &[f32],
    labels: &[u32],
    proxies: &[f32],
    sub_centers: usize,
    d: usize,
    threshold: f64,
) -> Vec<usize> {
    let classes = proxies.len() / (sub_centers * d);
    let far = 1.0 - threshold.to_radians().cos();
    let mut found = Vec::new();
    for class in 0..classes {
        let members: Vec<usize> = (0..labels.len()).filter(|i| labels[*i] as usize == class).collect();
        let distance = |i: usize, center: usize| {
            let proxy = &proxies[(class * sub_centers + center) * d..][..d];
            crate::distance::Distance::Cosine.between(&embeddings[i * d..][..d], proxy)
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
    fn an_image_far_from_its_classs_dominant_proxy_is_an_outlier() {
        // One class, two proxies; three images near the first, one near the second.
        let proxies = [1.0, 0.0, 0.0, 1.0];
        let embeddings = [1.0, 0.1, 2.0, 0.0, 1.0, -0.1, 0.05, 1.0];
        assert_eq!(outliers(&embeddings, &[0; 4], &proxies, 2, 2, 75.0), [3]);
    }
}
