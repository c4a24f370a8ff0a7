//! The triplet margin loss with swapped anchors, which needs the distances of positives to negatives.

use super::whole::{Whole, WholeLoss, WholeOut};
use super::{TripletLoss, TripletMargin};

/// [`TripletMargin`] with `swap`, within a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct TripletSwap(pub(super) TripletMargin);

impl WholeLoss for TripletSwap {
    fn whole(&self, all: &Whole<'_>, out: &mut WholeOut<'_>) {
        all.each_row(|row| {
            let a = row.anchor;
            row.each_triplet(|p, n| {
                let (p, n) = (p as usize, n as usize);
                let from = if all.d(p, n) < all.d(a, n) { p } else { a };
                let term = self.0.term(all.d(a, p), all.d(from, n));
                let weight = out.element(0, term.value, row.label, 1);
                out.add_gradient(a, p, weight * term.d_ap);
                out.add_gradient(from, n, weight * term.d_an);
            });
        });
    }
}
