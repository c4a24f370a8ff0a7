//! Cross-entropy over cosines to learned class vectors, with a margin for the target: what ArcFace and its kin share.

use super::math::log_sum_exp;
use super::row::{Row, RowLoss, RowOut, TupleUse};

/// What cosines are multiplied by to become logits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scale {
    Fixed(f64),
    /// Times the embedding's length, and the class vector's where that is wanted.
    Lengths {
        scale: f64,
        classes: bool,
    },
}

/// A margin: the target's cosine as it is judged, and its slope.
pub(super) type Target<'a> = dyn Fn(f64) -> (f64, f64) + Sync + 'a;

/// The row loss over class vectors, `centers` a class, the most similar of which counts.
pub(super) struct CosineSoftmax<'a> {
    pub(super) centers: usize,
    pub(super) scale: Scale,
    pub(super) target: &'a Target<'a>,
}

impl RowLoss for CosineSoftmax<'_> {
    fn tuples(&self) -> TupleUse {
        TupleUse::Weigh
    }

    fn uses_lengths(&self) -> bool {
        matches!(self.scale, Scale::Lengths { .. })
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        let target = row.label as usize;
        let mut target_slope = 1.0;
        // By class: its nearest vector, what its cosine is multiplied by, and its logit.
        let classes: Vec<(usize, f64, f64)> = row
            .distances
            .chunks_exact(self.centers)
            .enumerate()
            .map(|(class, centers)| {
                let (at, d) = nearest(centers);
                let vector = class * self.centers + at;
                let mut cos = 1.0 - d;
                if class == target {
                    (cos, target_slope) = (self.target)(cos);
                }
                let scale = match self.scale {
                    Scale::Fixed(scale) => scale,
                    Scale::Lengths { scale, classes } => {
                        scale * row.length * if classes { row.reference_lengths[vector] } else { 1.0 }
                    }
                };
                (vector, scale, scale * cos)
            })
            .collect();
        let all = log_sum_exp(classes.iter().map(|(.., logit)| *logit), false);
        let weight = row.weight * out.element(0, row.weight * (all - classes[target].2));
        if weight == 0.0 {
            return;
        }
        for (class, (vector, scale, logit)) in classes.into_iter().enumerate() {
            let own = if class == target { 1.0 } else { 0.0 };
            let by_logit = weight * ((logit - all).exp() - own);
            let slope = if class == target { target_slope } else { 1.0 };
            out.slope(vector as u32, -by_logit * scale * slope);
            if let Scale::Lengths { classes, .. } = self.scale {
                out.length += by_logit * logit / row.length;
                if classes {
                    out.reference_lengths[vector] += by_logit * logit / row.reference_lengths[vector];
                }
            }
        }
    }
}

/// The first of the smallest.
fn nearest(distances: &[f64]) -> (usize, f64) {
    let mut best = (0, distances[0]);
    for (at, d) in distances.iter().enumerate().skip(1) {
        if *d < best.1 {
            best = (at, *d);
        }
    }
    best
}
