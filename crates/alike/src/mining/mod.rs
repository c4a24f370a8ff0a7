//! Mining: which pairs and triplets of a batch a loss looks at. [`Miner`] lists all miners by name.
//!
//! Distances are smaller when nearer, for every miner. A miner that draws does so from a stream of its own, so that the same
//! step of the same run draws the same.

mod catalogue;
mod tuples;

mod angular;
mod batch;
mod distance_weighted;
mod hard_range;
mod hdc;
mod margins;
mod multi_similarity;
mod semi_hard;
mod uniform_histogram;

pub use angular::AngularMiner;
pub use batch::{BatchEasyHard, BatchHard, Strategy};
pub use catalogue::{Miner, OwnMiner};
pub use distance_weighted::DistanceWeighted;
pub use hard_range::HardRange;
pub use hdc::Hdc;
pub use margins::{PairMargin, TripletMarginMiner, TripletType};
pub use multi_similarity::MultiSimilarityMiner;
pub use semi_hard::SemiHard;
pub use tuples::{Lists, Tuples};
pub use uniform_histogram::UniformHistogram;

use crate::distance::{Block, Distance, Matrix, Side};
use crate::rng::Rng;
use alike_kernels::Tier;

/// A batch and its references, as a miner sees them.
#[derive(Debug)]
pub struct Candidates<'a> {
    /// The anchors' labels.
    pub labels: &'a [u32],
    /// The references' labels.
    pub references: &'a [u32],
    /// Distances of `n` anchors to `m` references, `n x m`, row-major; smaller is nearer.
    pub distances: Vec<f64>,
    /// The embedding dimension.
    pub d: usize,
    /// Each anchor's own position among the references, if it is one.
    pub itself: Vec<Option<usize>>,
}

impl Candidates<'_> {
    /// How many anchors there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no anchor.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The distance of anchor `i` and reference `j`.
    ///
    /// # Panics
    ///
    /// If either does not exist.
    pub fn distance(&self, i: usize, j: u32) -> f64 {
        self.distances[i * self.references.len() + j as usize]
    }

    /// The positions of the references of anchor `i`'s class, itself left out.
    pub fn positives(&self, i: usize) -> impl Iterator<Item = u32> + Clone + '_ {
        let itself = self.itself[i];
        (0..self.references.len() as u32)
            .filter(move |j| self.references[*j as usize] == self.labels[i] && Some(*j as usize) != itself)
    }

    /// The positions of the references of other classes than anchor `i`'s.
    pub fn negatives(&self, i: usize) -> impl Iterator<Item = u32> + Clone + '_ {
        (0..self.references.len() as u32).filter(move |j| self.references[*j as usize] != self.labels[i])
    }
}

/// A miner: it chooses the pairs or triplets of a batch that a loss looks at.
///
/// Every built-in miner implements this trait in its own file, and so does a miner of one's own, which becomes a [`Miner`] by
/// [`Miner::own`].
pub trait Mine: Send + Sync {
    /// The tuples of a batch. `rng` is that of this step: a miner that draws draws from it alone, so that a run gives the same
    /// bits again.
    fn mine(&self, candidates: &Candidates<'_>, rng: &mut Rng) -> Tuples;

    /// The only distance that the miner is defined over; none if it takes any. It is then given the objective's distance, or else the
    /// usual one of the first loss.
    fn distance(&self) -> Option<Distance>;

    /// Why its values are impossible, if they are.
    fn refusal(&self) -> Option<String>;
}

/// The distances of `n` anchors to `m` references, vectors of dimension `d`, as an `n x m` matrix, row-major. Without references
/// the anchors are compared with each other.
///
/// # Panics
///
/// If a length is not a multiple of `d`.
pub fn distances(
    tier: Tier,
    distance: Distance,
    anchors: &[f32],
    references: Option<&[f32]>,
    d: usize,
) -> Vec<f64> {
    let anchors = Side::new(tier, distance, anchors, d);
    let apart = references.map(|r| Side::new(tier, distance, r, d));
    let references = apart.as_ref().unwrap_or(&anchors);
    let mut out = vec![0.0; anchors.len() * references.len()];
    let matrix = Matrix::new(tier, distance, &anchors, references);
    if !out.is_empty() {
        matrix.distances(0..anchors.len(), &mut Block::default(), &mut out);
    }
    out
}

/// The first item of the least value.
fn first_min(items: impl Iterator<Item = (u32, f64)>) -> Option<(u32, f64)> {
    items.fold(None, |best: Option<(u32, f64)>, one| match best {
        Some(b) if one.1 < b.1 => Some(one),
        None => Some(one),
        kept => kept,
    })
}

#[cfg(test)]
mod tests;
