//! Cross-entropy over cosines to learned class vectors, with a margin for the target: what ArcFace and its kin share.

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

    fn centers(&self) -> Option<usize> {
        Some(self.centers)
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        if let (1, Scale::Fixed(scale)) = (self.centers, self.scale) {
            return self.plain(scale, row, out);
        }
        let target = row.label as usize;
        let vector = |class: usize| {
            class * self.centers + nearest(&row.distances[class * self.centers..][..self.centers])
        };
        let scale_of = |vector: usize| match self.scale {
            Scale::Fixed(scale) => scale,
            Scale::Lengths { scale, classes } => {
                scale * row.length * if classes { row.reference_lengths[vector] } else { 1.0 }
            }
        };
        let (target_cos, target_slope) = (self.target)(1.0 - row.distances[vector(target)]);
        let logit = |class: usize| {
            let vector = vector(class);
            scale_of(vector) * if class == target { target_cos } else { 1.0 - row.distances[vector] }
        };
        let classes = row.distances.len() / self.centers;
        let own = logit(target);
        let all = out.log_sum_exp(0, (0..classes).map(logit), false);
        let (value, rest) = out.target_loss(0, target, all - own);
        let weight = row.weight * out.element(0, row.weight * value);
        if weight == 0.0 {
            return;
        }
        for class in 0..classes {
            let is_target = class == target;
            let by_logit = weight * if is_target { -rest } else { f64::from(out.shares(0)[class]) };
            let vector = vector(class);
            let scale = scale_of(vector);
            out.slopes[vector] -= by_logit * scale * if is_target { target_slope } else { 1.0 };
            if let Scale::Lengths { classes, .. } = self.scale {
                let cos = 1.0 - row.distances[vector];
                let logit = scale * if is_target { (self.target)(cos).0 } else { cos };
                out.length += by_logit * logit / row.length;
                if classes {
                    out.reference_lengths[vector] += by_logit * logit / row.reference_lengths[vector];
                }
            }
        }
    }
}

impl CosineSoftmax<'_> {
    /// One vector a class, and lengths that do not matter: runs of numbers without a choice.
    fn plain(&self, scale: f64, row: &Row<'_>, out: &mut RowOut<'_>) {
        let target = row.label as usize;
        let (cos, slope) = (self.target)(1.0 - row.distances[target]);
        out.narrow_logits(0, row.distances, -scale, scale);
        out.logits(0)[target] = (scale * cos) as f32;
        let all = out.soften(0, false);
        let (value, rest) = out.target_loss(0, target, all - scale * cos);
        let weight = row.weight * out.element(0, row.weight * value);
        if weight == 0.0 {
            return;
        }
        let factor = weight * scale;
        let before = out.slopes[target];
        out.add_shares(0, -factor);
        out.slopes[target] = before + factor * rest * slope;
    }
}

/// The first of the smallest.
#[inline]
fn nearest(distances: &[f64]) -> usize {
    let mut best = (0, distances[0]);
    for (at, d) in distances.iter().enumerate().skip(1) {
        if *d < best.1 {
            best = (at, *d);
        }
    }
    best.0
}
