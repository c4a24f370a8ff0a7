//! The tuple form: a scalar function of a triplet's two distances, over triplets of a batch.

use super::LossReport;
use crate::distance::Distance;

/// A triplet's loss and its derivatives by two distances: of anchor and positive, and of anchor and negative.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TripletTerm {
    /// The loss.
    pub value: f64,
    /// Its derivative by d(anchor, positive).
    pub d_ap: f64,
    /// Its derivative by d(anchor, negative).
    pub d_an: f64,
}

/// A loss that sees a triplet through its two distances.
pub trait TripletLoss {
    /// The loss of one triplet at distances `ap` and `an`.
    fn term(&self, ap: f64, an: f64) -> TripletTerm;
}

/// The mean loss over `embeddings.len() / d / 3` triplets, and its gradient with respect to every embedding, which
/// replaces what `gradient` holds.
///
/// `embeddings` are all anchors, then all positives, then all negatives: `3t x d` floats.
///
/// # Panics
///
/// If lengths are not whole triplets or differ.
pub fn mean_triplet_loss(
    loss: &dyn TripletLoss,
    distance: Distance,
    embeddings: &[f32],
    d: usize,
    gradient: &mut [f32],
) -> LossReport {
    assert!(d > 0 && embeddings.len().is_multiple_of(3 * d), "triplet loss: whole triplets");
    assert_eq!(embeddings.len(), gradient.len(), "triplet loss: a gradient for each embedding");
    gradient.fill(0.0);
    let count = embeddings.len() / d / 3;
    let (anchors, others) = embeddings.split_at(count * d);
    let (positives, negatives) = others.split_at(count * d);
    let (anchor_gradients, other_gradients) = gradient.split_at_mut(count * d);
    let (positive_gradients, negative_gradients) = other_gradients.split_at_mut(count * d);
    let mut report = LossReport::default();
    let share = 1.0 / count as f64;
    for t in 0..count {
        let at = t * d..(t + 1) * d;
        let (a, p, n) = (&anchors[at.clone()], &positives[at.clone()], &negatives[at.clone()]);
        let (ap, an) = (distance.between(a, p), distance.between(a, n));
        let term = loss.term(ap, an);
        report.loss += term.value * share;
        report.active += if term.value > 0.0 { share } else { 0.0 };
        report.d_ap += ap * share;
        report.d_an += an * share;
        let da = &mut anchor_gradients[at.clone()];
        if term.d_ap != 0.0 {
            distance.add_gradient(a, p, term.d_ap * share, da, &mut positive_gradients[at.clone()]);
        }
        if term.d_an != 0.0 {
            distance.add_gradient(a, n, term.d_an * share, da, &mut negative_gradients[at]);
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::TripletMargin;

    #[test]
    fn the_gradient_agrees_with_finite_differences() {
        let d = 5;
        let x: Vec<f32> = (0..12 * d).map(|i| (i as f32 * 0.83).sin()).collect();
        let loss = TripletMargin { margin: 0.4, ..TripletMargin::default() };
        for distance in [Distance::Euclidean, Distance::SquaredEuclidean, Distance::Cosine] {
            let value = |x: &[f32]| mean_triplet_loss(&loss, distance, x, d, &mut vec![0.0; x.len()]).loss;
            let mut gradient = vec![9.0; x.len()];
            let report = mean_triplet_loss(&loss, distance, &x, d, &mut gradient);
            assert!(report.active > 0.0 && report.loss > 0.0);
            for i in 0..x.len() {
                let e = 1.0 / 512.0;
                let moved = |e: f32| {
                    let mut x = x.clone();
                    x[i] += e;
                    value(&x)
                };
                let numeric = (moved(e) - moved(-e)) / f64::from(2.0 * e);
                assert!(
                    (numeric - f64::from(gradient[i])).abs() < 2e-4,
                    "{distance:?}: {numeric} {}",
                    gradient[i]
                );
            }
        }
    }

    #[test]
    fn a_triplet_beyond_the_margin_costs_nothing() {
        let x = [0.0, 0.0, 0.0, 1.0, 9.0, 9.0];
        let mut gradient = [1.0; 6];
        let loss = TripletMargin { margin: 1.0, ..TripletMargin::default() };
        let report = mean_triplet_loss(&loss, Distance::Euclidean, &x, 2, &mut gradient);
        assert_eq!((report.loss, report.active, gradient), (0.0, 0.0, [0.0; 6]));
        assert!((report.d_ap - 1.0).abs() < 1e-5);
    }
}
