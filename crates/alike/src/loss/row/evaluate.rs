//! Streams the rows of a batch, a block at a time and in parallel, so that the matrix of all distances need never exist.

use super::{Row, RowLists, RowLoss, RowOut, TupleUse};
use crate::distance::{Block, Distance, Matrix, Side};
use crate::loss::reduce::{Elements, Reducer, Tally, pair_shares};
use crate::loss::{Batch, LossReport};
use crate::mining::Tuples;
use alike_kernels::Tier;
use rayon::prelude::*;
use std::ops::Range;

/// Rows that are done together.
const BLOCK: usize = 32;
/// Into how many parts the rows are cut, at most; the cut never depends on threads, so neither do sums.
const PARTS: usize = 8;
/// Pairs that make another part worth a gradient of all references of its own.
const PART: usize = 1 << 17;

/// How a formula is to be evaluated.
#[derive(Clone, Debug)]
pub(in crate::loss) struct Setup<'a> {
    pub(in crate::loss) tier: Tier,
    pub(in crate::loss) distance: Distance,
    pub(in crate::loss) reducers: &'a [Reducer],
    pub(in crate::loss) elements: Elements,
}

/// Gradients, each added `weight` times: of the anchors, of the references where those are learned, of the loss's own
/// numbers.
pub(in crate::loss) struct Into<'a> {
    pub(in crate::loss) weight: f64,
    pub(in crate::loss) anchors: &'a mut [f32],
    pub(in crate::loss) references: Option<&'a mut [f32]>,
    pub(in crate::loss) numbers: &'a mut [f32],
}

/// The value of a row loss over a batch, each element standing for what `elements` says. The gradient by the batch's `n x d`
/// embeddings is added to `gradient`, which is as long.
///
/// # Panics
///
/// If the gradient is not as long as the embeddings, or tuples name a reference that does not exist.
pub fn evaluate_row_loss(
    loss: &dyn RowLoss,
    elements: Elements,
    tier: Tier,
    distance: Distance,
    reducer: &Reducer,
    batch: &Batch<'_>,
    gradient: &mut [f32],
) -> LossReport {
    assert_eq!(gradient.len(), batch.embeddings.len(), "row loss: a gradient for each embedding");
    let reducers = vec![reducer.clone(); loss.terms()];
    let mut own = vec![0.0; loss.numbers().len()];
    let into = Into { weight: 1.0, anchors: gradient, references: None, numbers: &mut own };
    evaluate(loss, &Setup { tier, distance, reducers: &reducers, elements }, batch, into)
}

/// The elements of a row loss over a batch, unreduced: a list for each term, in the order of anchors.
///
/// # Panics
///
/// If tuples name a reference that does not exist.
pub fn elements(loss: &dyn RowLoss, tier: Tier, distance: Distance, batch: &Batch<'_>) -> Vec<Vec<f64>> {
    struct Kept<'a>(&'a dyn RowLoss, std::sync::Mutex<Vec<(usize, usize, f64)>>);
    impl RowLoss for Kept<'_> {
        fn terms(&self) -> usize {
            self.0.terms()
        }
        fn once(&self) -> bool {
            self.0.once()
        }
        fn needs_both(&self) -> bool {
            self.0.needs_both()
        }
        fn tuples(&self) -> TupleUse {
            self.0.tuples()
        }
        fn numbers(&self) -> &[f32] {
            self.0.numbers()
        }
        fn uses_lengths(&self) -> bool {
            self.0.uses_lengths()
        }
        fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>) {
            out.kept = Some(Vec::new());
            self.0.row(row, out);
            let kept = out.kept.take().unwrap_or_default();
            let mut all = self.1.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            all.extend(kept.into_iter().map(|(term, value)| (term, row.anchor, value)));
        }
    }
    let kept = Kept(loss, std::sync::Mutex::default());
    let mut gradient = vec![0.0; batch.embeddings.len()];
    let reducers = vec![Reducer::Sum; loss.terms()];
    let into = Into { weight: 0.0, anchors: &mut gradient, references: None, numbers: &mut [] };
    // Sums need no first pass, so every element comes once; what elements stand for does not matter to them.
    let setup = Setup { tier, distance, reducers: &reducers, elements: Elements::Anchors };
    evaluate(&kept, &setup, batch, into);
    let mut all = kept.1.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    all.sort_by_key(|(term, anchor, _)| (*term, *anchor));
    let mut by_term = vec![Vec::new(); loss.terms()];
    all.into_iter().for_each(|(term, _, value)| by_term[term].push(value));
    by_term
}

/// Evaluates a row loss.
pub(in crate::loss) fn evaluate(
    loss: &dyn RowLoss,
    setup: &Setup<'_>,
    batch: &Batch<'_>,
    into: Into<'_>,
) -> LossReport {
    let within = batch.references.is_none();
    let weights = match loss.tuples() {
        TupleUse::Choose => vec![1.0; batch.len()],
        TupleUse::Weigh => batch.tuples.weights(batch.len(), false),
        TupleUse::WeighApart => batch.tuples.weights(batch.len(), !within),
    };
    let all = Batch { tuples: &Tuples::All, ..*batch };
    let batch = if loss.tuples() == TupleUse::Choose { batch } else { &all };
    if loss.needs_both() && !has_both(batch) {
        return LossReport::default();
    }
    let anchors = Side::new(setup.tier, setup.distance, batch.embeddings, batch.d);
    let apart =
        batch.references.as_ref().map(|r| Side::new(setup.tier, setup.distance, r.embeddings, batch.d));
    let references = apart.as_ref().unwrap_or(&anchors);
    let learned = within || into.references.is_some();
    let rows = Rows {
        loss,
        setup,
        batch,
        matrix: Matrix::new(setup.tier, setup.distance, &anchors, references),
        m: references.len(),
        weights,
        reference_len: if learned { references.gradient_len() } else { 0 },
        lengths: (anchors.lengths(), references.lengths()),
    };
    let pairs_of = (setup.elements == Elements::Pairs).then_some(batch.len());
    let scales = |tallies: &[Tally]| -> Vec<f64> {
        let each = tallies.iter().zip(setup.reducers);
        each.map(|(t, reducer)| t.scale(reducer, loss.names_divisor(), pairs_of)).collect()
    };
    let mut gradient = vec![0.0; anchors.gradient_len()];
    let done;
    let factor;
    if loss.terms() == 1 {
        // One scale for all, which can wait for the end.
        done = rows.pass(Some(&[1.0]), &mut gradient);
        factor = scales(&done.tallies)[0];
    } else {
        let all = |reducer: Reducer| setup.reducers.iter().all(|r| *r == reducer);
        let known = match loss.divisors().filter(|_| all(Reducer::Divisor)) {
            _ if all(Reducer::Sum) => vec![1.0; loss.terms()],
            Some(divisors) => divisors.map(|d| if d == 0.0 { 0.0 } else { 1.0 / d }).to_vec(),
            None => scales(&rows.pass(None, &mut gradient).tallies),
        };
        gradient.fill(0.0);
        done = rows.pass(Some(&known), &mut gradient);
        factor = 1.0;
    }
    let by_term = scales(&done.tallies);
    let Into { weight, anchors: to, references: to_references, numbers } = into;
    let factor = factor * weight;
    anchors.add_gradient(&gradient, factor, to);
    anchors.add_length_gradient(&done.anchor_lengths, factor, to);
    if within {
        anchors.add_gradient(&done.references, factor, to);
    } else if let Some(to) = to_references {
        references.add_gradient(&done.references, factor, to);
        references.add_length_gradient(&done.reference_lengths, factor, to);
    }
    numbers.iter_mut().zip(&done.numbers).for_each(|(to, g)| *to += (factor * g) as f32);
    let sum = |f: fn(&Tally) -> u64| done.tallies.iter().map(f).sum::<u64>() as f64;
    let mean = |(sum, n): (f64, u64)| if n == 0 { 0.0 } else { sum / n as f64 };
    LossReport {
        loss: weight * done.tallies.iter().zip(&by_term).map(|(t, s)| t.sum() * s).sum::<f64>(),
        active: sum(|t| t.active) / sum(|t| t.elements).max(1.0),
        d_ap: mean(done.positive),
        d_an: mean(done.negative),
    }
}

/// Whether there is a positive pair at all, and a negative one.
pub(in crate::loss) fn has_both(batch: &Batch<'_>) -> bool {
    match batch.tuples {
        Tuples::All => {
            let refs = batch.references.as_ref().map_or(batch.labels, |r| r.labels);
            let mut counts = std::collections::HashMap::new();
            refs.iter().for_each(|l| *counts.entry(*l).or_insert(0usize) += 1);
            let own = usize::from(batch.references.is_none());
            let positive = batch.labels.iter().any(|l| counts.get(l).copied().unwrap_or(0) > own);
            let negative = batch.labels.iter().any(|l| counts.get(l).copied().unwrap_or(0) < refs.len());
            positive && negative
        }
        Tuples::Pairs { positives, negatives } => !positives.is_empty() && !negatives.is_empty(),
        Tuples::Triplets(triplets) => !triplets.is_empty(),
    }
}

struct Rows<'a> {
    loss: &'a dyn RowLoss,
    setup: &'a Setup<'a>,
    batch: &'a Batch<'a>,
    matrix: Matrix<'a>,
    m: usize,
    weights: Vec<f64>,
    reference_len: usize,
    lengths: (&'a [f64], &'a [f64]),
}

/// What a part of the rows came to.
#[derive(Default)]
struct Done {
    tallies: Vec<Tally>,
    references: Vec<f32>,
    numbers: Vec<f64>,
    /// Gradients by lengths, where the loss adds them: of the part's anchors, of all references.
    anchor_lengths: Vec<f64>,
    reference_lengths: Vec<f64>,
    positive: (f64, u64),
    negative: (f64, u64),
}

impl Rows<'_> {
    /// Visits all rows once. Gradients are only needed where `scales` are known; `gradient` is that of the anchors.
    fn pass(&self, scales: Option<&[f64]>, gradient: &mut [f32]) -> Done {
        let n = self.batch.len();
        let parts = (n.saturating_mul(self.m) / PART).clamp(2, PARTS);
        let per = n.div_ceil(parts).max(1);
        let pitch = gradient.len() / n.max(1);
        if n == 0 {
            return self.empty();
        }
        let parts: Vec<Done> = gradient
            .par_chunks_mut(per * pitch)
            .enumerate()
            .map(|(part, gradient)| self.part(part * per, scales, gradient, pitch))
            .collect();
        let mut all = self.empty();
        for part in parts {
            all.tallies.iter_mut().zip(&part.tallies).for_each(|(a, b)| a.add(b));
            all.references.iter_mut().zip(&part.references).for_each(|(a, b)| *a += b);
            all.numbers.iter_mut().zip(&part.numbers).for_each(|(a, b)| *a += b);
            all.anchor_lengths.extend_from_slice(&part.anchor_lengths);
            all.reference_lengths.iter_mut().zip(&part.reference_lengths).for_each(|(a, b)| *a += b);
            for (a, b) in [(&mut all.positive, part.positive), (&mut all.negative, part.negative)] {
                (a.0, a.1) = (a.0 + b.0, a.1 + b.1);
            }
        }
        all
    }

    fn empty(&self) -> Done {
        Done {
            tallies: vec![Tally::default(); self.loss.terms()],
            references: vec![0.0; self.reference_len],
            numbers: vec![0.0; self.loss.numbers().len()],
            reference_lengths: vec![0.0; if self.loss.uses_lengths() { self.m } else { 0 }],
            ..Done::default()
        }
    }

    fn part(&self, first: usize, scales: Option<&[f64]>, gradient: &mut [f32], pitch: usize) -> Done {
        let m = self.m;
        let mut done = self.empty();
        let mut block = Block::default();
        let (mut distances, mut by_distance) = (vec![0.0; BLOCK * m], vec![0.0; BLOCK * m]);
        let mut lists = RowLists::default();
        for (b, gradient) in gradient.chunks_mut(BLOCK * pitch).enumerate() {
            let rows = gradient.len() / pitch;
            let range = first + b * BLOCK..first + b * BLOCK + rows;
            let (distances, by_distance) = (&mut distances[..rows * m], &mut by_distance[..rows * m]);
            self.matrix.distances(range.clone(), &mut block, distances);
            by_distance.fill(0.0);
            self.rows(range.clone(), scales, (distances, by_distance), &mut lists, &mut done);
            if scales.is_some() {
                let references = (self.reference_len > 0).then_some(&mut done.references[..]);
                self.matrix.backward(range, distances, by_distance, &mut block, gradient, references);
            }
        }
        done
    }

    fn rows(
        &self,
        range: Range<usize>,
        scales: Option<&[f64]>,
        (distances, by_distance): (&[f64], &mut [f64]),
        lists: &mut RowLists,
        done: &mut Done,
    ) {
        let mut soft = [Vec::new(), Vec::new()];
        for ((anchor, distances), by_distance) in
            range.zip(distances.chunks_exact(self.m)).zip(by_distance.chunks_exact_mut(self.m))
        {
            let row = match self.loss.proxies_per_class() {
                Some(per_class) => lists.of_class(self.batch, anchor, distances, per_class),
                None => lists.row(self.batch, anchor, distances, self.loss.once()),
            };
            let row = Row {
                weight: self.weights[anchor],
                length: self.lengths.0.get(anchor).copied().unwrap_or(1.0),
                reference_lengths: self.lengths.1,
                ..row
            };
            let share = |n: usize| 1.0 / n.max(1) as f64;
            let shares = match self.setup.elements {
                Elements::Pairs => [share(row.positives.len()), share(row.negatives.len())],
                Elements::Anchors | Elements::Triplets => [1.0; 2],
            };
            // A pair that is there more than once is one of its anchor's pairs all the same.
            let repeated = if self.setup.elements == Elements::Pairs
                && self.setup.reducers.contains(&Reducer::PerAnchor)
                && !matches!(self.batch.tuples, Tuples::All)
            {
                [row.positives, row.negatives].map(pair_shares)
            } else {
                [Vec::new(), Vec::new()]
            };
            let far = |list: &[u32]| list.iter().map(|j| row.d(*j)).sum::<f64>();
            let near = far(row.positives);
            // Where every reference takes part, negatives are all that is left.
            let rest = match self.batch.tuples {
                Tuples::All => {
                    self.setup.tier.sum(distances) - near - row.itself.map_or(0.0, |i| distances[i])
                }
                Tuples::Pairs { .. } | Tuples::Triplets(_) => far(row.negatives),
            };
            let far_count = match self.loss.proxies_per_class() {
                Some(per_class) => self.m - per_class,
                None => row.negatives.len(),
            };
            for (sum, (total, list)) in
                [(&mut done.positive, (near, row.positives.len())), (&mut done.negative, (rest, far_count))]
            {
                (sum.0, sum.1) = (sum.0 + total, sum.1 + list as u64);
            }
            let mut out = RowOut {
                gradient: by_distance,
                numbers: &mut done.numbers,
                length: 0.0,
                reference_lengths: &mut done.reference_lengths,
                tallies: &mut done.tallies,
                reducers: self.setup.reducers,
                scales,
                class: row.label,
                shares,
                repeated: [&repeated[0], &repeated[1]],
                met: [0; 2],
                tier: self.setup.tier,
                soft: &mut soft,
                kept: None,
            };
            self.loss.row(&row, &mut out);
            if self.loss.uses_lengths() {
                let length = out.length;
                done.anchor_lengths.push(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{Contrastive, LossFunction};

    #[test]
    fn unreduced_elements_are_those_that_a_sum_is_made_of() {
        let (labels, d) = ([0u32, 0, 1, 1, 0], 3);
        let x: Vec<f32> = (0..15).map(|i| (i as f32).sin()).collect();
        let batch = Batch { embeddings: &x, d, labels: &labels, references: None, tuples: &Tuples::All };
        let (tier, loss) = (Tier::available()[0], Contrastive::default());
        let all = elements(&loss, tier, Distance::Euclidean, &batch);
        assert_eq!((all[0].len(), all[1].len()), (8, 12));
        let mut gradient = vec![0.0; x.len()];
        let (kind, distance) = (loss.facts().elements, Distance::Euclidean);
        let sum = evaluate_row_loss(&loss, kind, tier, distance, &Reducer::Sum, &batch, &mut gradient).loss;
        assert!((all.iter().flatten().sum::<f64>() - sum).abs() < 1e-12);
        // The first positive pair of the first anchor.
        assert!((all[0][0] - Distance::Euclidean.between(&x[..3], &x[3..6])).abs() < 1e-5);
    }
}
