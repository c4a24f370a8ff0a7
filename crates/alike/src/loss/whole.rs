//! The whole form: a loss that sees all distances of a batch at once.

use super::reduce::{Elements, Tally};
use super::row::{Into, Row, RowLists, RowOut, Setup};
use super::{Batch, LossReport};
use crate::distance::{Block, Matrix, Side};

/// A formula over the matrix of all distances of a batch.
pub trait WholeLoss: Sync {
    /// The number of terms, each of which is reduced by itself: 1 or 2.
    fn terms(&self) -> usize {
        1
    }

    /// Calls [`WholeOut::element`] for every element, and adds its gradient by the distances, times what that returned. Called
    /// twice for a batch, and must then call for the same elements.
    fn whole(&self, all: &Whole<'_>, out: &mut WholeOut<'_>);
}

/// A batch and its distances.
#[derive(Debug)]
pub struct Whole<'a> {
    /// The batch.
    pub batch: &'a Batch<'a>,
    /// `n x m`, row-major: anchors by references; smaller is nearer.
    pub distances: &'a [f64],
    /// How many references there are.
    pub m: usize,
}

impl Whole<'_> {
    /// The distance of anchor `i` and reference `j`.
    ///
    /// # Panics
    ///
    /// If either does not exist.
    pub fn d(&self, i: usize, j: usize) -> f64 {
        self.distances[i * self.m + j]
    }

    /// Calls `f` with every anchor's row.
    pub fn each_row(&self, mut f: impl FnMut(&Row<'_>)) {
        let mut lists = RowLists::default();
        for (anchor, distances) in self.distances.chunks_exact(self.m.max(1)).enumerate() {
            f(&lists.row(self.batch, anchor, distances, false));
        }
    }

    /// The positions of every anchor's negatives, by anchor.
    pub fn negatives(&self) -> Vec<Vec<u32>> {
        let mut all = Vec::new();
        self.each_row(|row| all.push(row.negatives.to_vec()));
        all
    }
}

/// Where elements and their gradient go.
#[derive(Debug)]
pub struct WholeOut<'a> {
    out: RowOut<'a>,
    m: usize,
}

impl WholeOut<'_> {
    /// Takes an element of an anchor of class `label`, which has so many pairs in this term. Returns the factor that the
    /// element's gradient is to be multiplied by before it is added.
    ///
    /// # Panics
    ///
    /// If the loss has no such term.
    pub fn element(&mut self, term: usize, value: f64, label: u32, pairs: usize) -> f64 {
        self.out.of(label, 1.0 / pairs.max(1) as f64);
        self.out.element(term, value)
    }

    /// Adds to the derivative by the distance of anchor `i` and reference `j`.
    ///
    /// # Panics
    ///
    /// If either does not exist.
    pub fn add_gradient(&mut self, i: usize, j: usize, derivative: f64) {
        self.out.gradient[i * self.m + j] += derivative;
    }
}

/// Evaluates a formula over all distances of a batch.
pub(super) fn evaluate(
    loss: &dyn WholeLoss,
    setup: &Setup<'_>,
    batch: &Batch<'_>,
    into: Into<'_>,
) -> LossReport {
    let within = batch.references.is_none();
    let anchors = Side::new(setup.tier, setup.distance, batch.embeddings, batch.d);
    let apart =
        batch.references.as_ref().map(|r| Side::new(setup.tier, setup.distance, r.embeddings, batch.d));
    let references = apart.as_ref().unwrap_or(&anchors);
    let (n, m) = (batch.len(), references.len());
    let matrix = Matrix::new(setup.tier, setup.distance, &anchors, references);
    let (mut block, mut distances) = (Block::default(), vec![0.0; n * m]);
    matrix.distances(0..n, &mut block, &mut distances);
    let all = Whole { batch, distances: &distances, m };
    let pairs_of = (setup.elements == Elements::Pairs).then_some(n);
    let mut by_distance = vec![0.0; n * m];
    let pass = |scales: Option<&[f64]>, by_distance: &mut [f64]| {
        let mut tallies = vec![Tally::default(); loss.terms()];
        let mut soft = [Vec::new(), Vec::new()];
        let out = RowOut::new(by_distance, &mut tallies, setup.reducers, scales, setup.tier, &mut soft);
        loss.whole(&all, &mut WholeOut { out, m });
        tallies
    };
    let scales = |tallies: &[Tally]| -> Vec<f64> {
        tallies.iter().zip(setup.reducers).map(|(t, r)| t.scale(r, false, pairs_of)).collect()
    };
    let known = scales(&pass(None, &mut by_distance));
    by_distance.fill(0.0);
    let tallies = pass(Some(&known), &mut by_distance);
    let mut gradient = vec![0.0; anchors.gradient_len()];
    let mut by_reference = vec![0.0; if within { anchors.gradient_len() } else { 0 }];
    let wanted = within.then_some(&mut by_reference[..]);
    matrix.backward(0..n, &distances, &by_distance, &mut block, &mut gradient, wanted);
    anchors.add_gradient(&gradient, into.weight, into.anchors);
    if within {
        anchors.add_gradient(&by_reference, into.weight, into.anchors);
    }
    let (mut positive, mut negative) = ((0.0, 0usize), (0.0, 0usize));
    all.each_row(|row| {
        for (sum, list) in [(&mut positive, row.positives), (&mut negative, row.negatives)] {
            (sum.0, sum.1) = (sum.0 + list.iter().map(|j| row.d(*j)).sum::<f64>(), sum.1 + list.len());
        }
    });
    let sum = |f: fn(&Tally) -> u64| tallies.iter().map(f).sum::<u64>() as f64;
    LossReport {
        loss: into.weight * tallies.iter().zip(&known).map(|(t, s)| t.sum() * s).sum::<f64>(),
        active: sum(|t| t.active) / sum(|t| t.elements).max(1.0),
        d_ap: positive.0 / positive.1.max(1) as f64,
        d_an: negative.0 / negative.1.max(1) as f64,
    }
}
