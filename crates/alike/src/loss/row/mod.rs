//! The row form: one anchor's distances to all references make its elements and their gradient.

mod evaluate;
mod lists;
mod out;

pub(super) use evaluate::{Into, Setup, evaluate, has_both};
pub use evaluate::{elements, evaluate_row_loss};
pub(super) use lists::RowLists;
pub use out::RowOut;

/// A formula over one anchor's distances to its references.
pub trait RowLoss: Sync {
    /// The number of terms, each of which is reduced by itself: 1 or 2.
    fn terms(&self) -> usize {
        1
    }

    /// Whether pairs that are named more than once, as triplets do, count once.
    fn once(&self) -> bool {
        false
    }

    /// Whether the whole loss is zero where a batch lacks positive pairs, or negative ones.
    fn needs_both(&self) -> bool {
        false
    }

    /// What tuples are for.
    fn tuples(&self) -> TupleUse {
        TupleUse::Choose
    }

    /// Whether gradients by lengths are added, to [`RowOut::length`] and [`RowOut::reference_lengths`].
    fn uses_lengths(&self) -> bool {
        false
    }

    /// Whether rows call [`RowOut::divide_by`].
    fn names_divisor(&self) -> bool {
        false
    }

    /// Proxies per class, for a formula over proxies that asks for no lists: an anchor's positives are then the proxies of its
    /// class, and negatives are not listed.
    fn proxies_per_class(&self) -> Option<usize> {
        None
    }

    /// The divisors of all terms, where they are known beforehand. Each row is then visited once, not twice.
    fn divisors(&self) -> Option<[f64; 2]> {
        None
    }

    /// Learned numbers of its own, whose gradient is [`RowOut::numbers`].
    fn numbers(&self) -> &[f32] {
        &[]
    }

    /// Calls [`RowOut::element`] for every element of the row, and adds its gradient by the distances, times what that
    /// returned.
    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>);
}

/// What a row loss does with tuples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TupleUse {
    /// It looks at these pairs and triplets only.
    Choose,
    /// They weigh anchors, by [`Row::weight`]: how often an image takes part. Every reference takes part.
    Weigh,
    /// The same, but tuples name references of their own.
    WeighApart,
}

/// An anchor and its references.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The anchor's position in the batch.
    pub anchor: usize,
    /// Its label.
    pub label: u32,
    /// By reference; smaller is nearer.
    pub distances: &'a [f64],
    /// Positions of references: those of the anchor's class, itself left out, or those that were mined.
    pub positives: &'a [u32],
    /// Of other classes, or those that were mined.
    pub negatives: &'a [u32],
    /// Mined triplets; nothing where every positive goes with every negative.
    pub triplets: Option<&'a [[u32; 2]]>,
    /// The anchor among the references, where it is one.
    pub itself: Option<usize>,
    /// How much the anchor counts in losses that take tuples as weights.
    pub weight: f64,
    /// The anchor's length, where only directions are compared.
    pub length: f64,
    /// The length of each reference, where only directions are compared.
    pub reference_lengths: &'a [f64],
}

impl Row<'_> {
    /// The distance of reference `j`.
    ///
    /// # Panics
    ///
    /// If there is no such reference.
    pub fn d(&self, j: u32) -> f64 {
        self.distances[j as usize]
    }

    /// Calls `f(positive, negative)` for every triplet of the anchor.
    pub fn each_triplet(&self, mut f: impl FnMut(u32, u32)) {
        match self.triplets {
            Some(triplets) => triplets.iter().for_each(|[p, n]| f(*p, *n)),
            None => {
                for p in self.positives {
                    self.negatives.iter().for_each(|n| f(*p, *n));
                }
            }
        }
    }
}
