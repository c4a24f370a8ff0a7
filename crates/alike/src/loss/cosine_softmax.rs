//! Cross-entropy over cosines to learned proxies, with a margin for the target: what ArcFace and its kin share.

use super::row::{Row, RowLoss, RowOut, TupleUse};

/// What cosines are multiplied by to become logits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scale {
    Fixed(f64),
    /// Times the embedding's length, and the proxy's where that is wanted.
    Lengths {
        scale: f64,
        proxies: bool,
    },
}

/// A margin: from the target's cosine to the cosine that is judged, and its derivative.
pub(super) type Target<'a> = dyn Fn(f64) -> (f64, f64) + Sync + 'a;

/// The row loss over proxies; of several per class the most similar counts.
pub(super) struct CosineSoftmax<'a> {
    pub(super) proxies_per_class: usize,
    pub(super) scale: Scale,
    pub(super) target: &'a Target<'a>,
    /// The part of a label that is spread evenly over all classes; 0 but for one proxy per class, a fixed scale and no margin.
    pub(super) smoothing: f64,
}

impl RowLoss for CosineSoftmax<'_> {
    fn tuples(&self) -> TupleUse {
        TupleUse::Weigh
    }

    fn uses_lengths(&self) -> bool {
        matches!(self.scale, Scale::Lengths { .. })
    }

    fn proxies_per_class(&self) -> Option<usize> {
        Some(self.proxies_per_class)
    }

    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
        if let (1, Scale::Fixed(scale)) = (self.proxies_per_class, self.scale) {
            return self.plain(scale, row, out);
        }
        let target = row.label as usize;
        let proxy = |class: usize| {
            class * self.proxies_per_class
                + nearest(&row.distances[class * self.proxies_per_class..][..self.proxies_per_class])
        };
        let scale_of = |proxy: usize| match self.scale {
            Scale::Fixed(scale) => scale,
            Scale::Lengths { scale, proxies } => {
                scale * row.length * if proxies { row.reference_lengths[proxy] } else { 1.0 }
            }
        };
        let (target_cos, target_derivative) = (self.target)(1.0 - row.distances[proxy(target)]);
        let logit = |class: usize| {
            let proxy = proxy(class);
            scale_of(proxy) * if class == target { target_cos } else { 1.0 - row.distances[proxy] }
        };
        let classes = row.distances.len() / self.proxies_per_class;
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
            let proxy = proxy(class);
            let scale = scale_of(proxy);
            out.gradient[proxy] -= by_logit * scale * if is_target { target_derivative } else { 1.0 };
            if let Scale::Lengths { proxies, .. } = self.scale {
                let cos = 1.0 - row.distances[proxy];
                let logit = scale * if is_target { (self.target)(cos).0 } else { cos };
                out.length += by_logit * logit / row.length;
                if proxies {
                    out.reference_lengths[proxy] += by_logit * logit / row.reference_lengths[proxy];
                }
            }
        }
    }
}

impl CosineSoftmax<'_> {
    /// One proxy per class, and lengths that do not matter: runs of numbers without a choice.
    fn plain(&self, scale: f64, row: &Row<'_>, out: &mut RowOut<'_>) {
        let target = row.label as usize;
        let (cos, derivative) = (self.target)(1.0 - row.distances[target]);
        out.narrow_logits(0, row.distances, -scale, scale);
        out.logits(0)[target] = (scale * cos) as f32;
        let all = out.soften(0, false);
        let (mut value, rest) = out.target_loss(0, target, all - scale * cos);
        let classes = row.distances.len() as f64;
        if self.smoothing > 0.0 {
            let mean = 1.0 - row.distances.iter().sum::<f64>() / classes;
            value += self.smoothing * scale * (cos - mean);
        }
        let weight = row.weight * out.element(0, row.weight * value);
        if weight == 0.0 {
            return;
        }
        let factor = weight * scale;
        if self.smoothing > 0.0 {
            let each = factor * self.smoothing / classes;
            out.gradient.iter_mut().for_each(|g| *g += each);
            out.gradient[target] -= factor * self.smoothing;
        }
        let before = out.gradient[target];
        out.add_shares(0, -factor);
        out.gradient[target] = before + factor * rest * derivative;
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
