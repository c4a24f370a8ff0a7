//! The row form: one anchor's distances to all references make its elements and the row's slopes.
//!
//! Rows are streamed, a block at a time and in parallel, so that the matrix of all distances need never exist.

use super::reduce::{Elements, Reducer, Tally, pair_shares};
use super::{Batch, LossReport};
use crate::distance::{Block, Distance, Matrix, Side};
use crate::mining::Tuples;
use alike_kernels::Tier;
use rayon::prelude::*;
use std::ops::Range;

/// Rows that are done together.
const BLOCK: usize = 32;
/// Into how many parts the rows are cut, at most; the cut never depends on threads, so neither do sums.
const PARTS: usize = 8;
/// Logits below this are rounded as they are.
const SMALL: f64 = 64.0;
/// Pairs that make another part worth a gradient of all references of its own.
const PART: usize = 1 << 17;

/// A loss that sees one anchor's distances at a time.
pub trait RowLoss: Sync {
    /// Terms, which are reduced each by itself: 1 or 2.
    fn terms(&self) -> usize {
        1
    }

    /// What an element stands for.
    fn elements(&self) -> Elements {
        Elements::Anchors
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

    /// Whether slopes by lengths are asked for: [`RowOut::length`] and [`RowOut::reference_lengths`].
    fn uses_lengths(&self) -> bool {
        false
    }

    /// Whether rows call [`RowOut::divide_by`].
    fn names_divisor(&self) -> bool {
        false
    }

    /// Vectors a class, where references are class vectors in order and the loss asks for no lists: an anchor's positives
    /// are then its own vectors, and negatives are not listed.
    fn centers(&self) -> Option<usize> {
        None
    }

    /// The divisors of all terms, where they are known beforehand: then one look at each row is enough.
    fn divisors(&self) -> Option<[f64; 2]> {
        None
    }

    /// Learned numbers of its own.
    fn parameters(&self) -> &[f32] {
        &[]
    }

    /// Calls [`RowOut::element`] for every element of the row, and adds its slopes.
    fn row(&self, row: &Row<'_>, out: &mut RowOut<'_>);
}

/// What a loss does with tuples.
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
    /// The anchor's number in the batch.
    pub anchor: usize,
    /// Its label.
    pub label: u32,
    /// By reference, smaller is nearer.
    pub distances: &'a [f64],
    /// Numbers of references: of the anchor's class, itself left out, or those that were mined.
    pub positives: &'a [u32],
    /// Of other classes, or those that were mined.
    pub negatives: &'a [u32],
    /// Mined triplets; nothing where every positive goes with every negative.
    pub triplets: Option<&'a [[u32; 2]]>,
    /// The anchor among the references, where it is one.
    pub itself: Option<usize>,
    /// How much the anchor counts in losses that take tuples as weights.
    pub weight: f64,
    /// The anchor's length, and the references', where only directions are compared.
    pub length: f64,
    /// See `length`.
    pub reference_lengths: &'a [f64],
}

impl Row<'_> {
    /// The distance of reference `j`.
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

/// Where a row's elements and slopes go.
#[derive(Debug)]
pub struct RowOut<'a> {
    /// The slope by each distance of the row.
    pub slopes: &'a mut [f64],
    /// The slope by each of the loss's own numbers.
    pub parameters: &'a mut [f64],
    /// The slope by the anchor's length.
    pub length: f64,
    /// The slope by each reference's length.
    pub reference_lengths: &'a mut [f64],
    tallies: &'a mut [Tally],
    reducers: &'a [Reducer],
    /// What each term's slopes are multiplied by; nothing while elements are only counted.
    scales: Option<&'a [f64]>,
    class: u32,
    shares: [f64; 2],
    /// The same by element, in order, where pairs come more than once; and how many elements there were.
    repeated: [&'a [f64]; 2],
    met: [usize; 2],
    tier: Tier,
    soft: &'a mut [Vec<f32>; 2],
    /// Elements as they come, where somebody asks for them.
    kept: Option<Vec<(usize, f64)>>,
}

impl<'a> RowOut<'a> {
    /// For a matrix as a whole: slopes of all rows.
    pub(super) fn new(
        slopes: &'a mut [f64],
        tallies: &'a mut [Tally],
        reducers: &'a [Reducer],
        scales: Option<&'a [f64]>,
        tier: Tier,
        soft: &'a mut [Vec<f32>; 2],
    ) -> RowOut<'a> {
        RowOut {
            slopes,
            parameters: &mut [],
            length: 0.0,
            reference_lengths: &mut [],
            tallies,
            reducers,
            scales,
            class: 0,
            shares: [1.0; 2],
            repeated: [&[]; 2],
            met: [0; 2],
            tier,
            soft,
            kept: None,
        }
    }

    /// Elements that follow belong to an anchor of this class; `share` is one over its pairs.
    pub(super) fn of(&mut self, class: u32, share: f64) {
        (self.class, self.shares) = (class, [share; 2]);
    }

    /// Takes an element of a term; returns what its slopes are to be multiplied by before they are added. Zero asks for
    /// none at all.
    pub fn element(&mut self, term: usize, value: f64) -> f64 {
        if let Some(kept) = &mut self.kept {
            kept.push((term, value));
        }
        let share = self.repeated[term].get(self.met[term]).copied().unwrap_or(self.shares[term]);
        self.met[term] += 1;
        let weight = self.tallies[term].take(&self.reducers[term], value, self.class, share);
        self.scales.map_or(0.0, |scales| weight * scales[term])
    }

    /// Adds to the divisor of a term.
    pub fn divide_by(&mut self, term: usize, divisor: f64) {
        self.tallies[term].divide_by(divisor);
    }

    /// `log(sum exp(logits))`, with a further `exp(0)` if `and_zero`; minus infinity for nothing. The logits' shares of the
    /// sum are kept for [`RowOut::slopes_by_share`] under `kept`, which is 0 or 1.
    pub fn log_sum_exp(
        &mut self,
        kept: usize,
        logits: impl Iterator<Item = f64> + Clone,
        and_zero: bool,
    ) -> f64 {
        let soft = &mut self.soft[kept];
        soft.clear();
        let most = logits.clone().fold(if and_zero { 0.0 } else { f64::NEG_INFINITY }, f64::max);
        if and_zero && most < SMALL || !most.is_finite() {
            soft.extend(logits.map(|v| v as f32));
            return self.soften(kept, and_zero);
        }
        // What matters is how far logits are from the largest, so the difference is rounded rather than both.
        soft.extend(logits.map(|v| (v - most) as f32));
        let sum = self.tier.exp_sum(soft, 0.0) + if and_zero { (-most).exp() } else { 0.0 };
        let scale = (1.0 / sum) as f32;
        soft.iter_mut().for_each(|v| *v *= scale);
        most + sum.ln()
    }

    /// `-log` of the share of the logit at `at`, given the same as a difference of logarithms, and the shares of all others
    /// together: by these where they are little, for then the difference is nothing but rounding.
    pub(super) fn target_loss(&self, kept: usize, at: usize, difference: f64) -> (f64, f64) {
        let shares = &self.soft[kept];
        let own = f64::from(shares[at]);
        if own < 0.9 || !difference.is_finite() {
            return (difference, 1.0 - own);
        }
        let sum = |list: &[f32]| list.iter().map(|v| f64::from(*v)).sum::<f64>();
        let rest = sum(&shares[..at]) + sum(&shares[at + 1..]);
        // As in doubles: what one does not feel is nothing.
        (if 1.0 - rest == 1.0 { 0.0 } else { -(-rest).ln_1p() }, rest)
    }

    /// The same for logits that were written to [`RowOut::logits`].
    pub(super) fn soften(&mut self, kept: usize, and_zero: bool) -> f64 {
        let soft = &mut self.soft[kept];
        let most = self.tier.largest(soft, if and_zero { 0.0 } else { f32::NEG_INFINITY });
        if !most.is_finite() {
            return f64::from(most);
        }
        let sum = self.tier.exp_sum(soft, most) + if and_zero { f64::from(-most).exp() } else { 0.0 };
        let scale = (1.0 / sum) as f32;
        soft.iter_mut().for_each(|v| *v *= scale);
        f64::from(most) + sum.ln()
    }

    /// Logits `factor * d + offset` of all distances.
    pub(super) fn narrow_logits(&mut self, kept: usize, distances: &[f64], factor: f64, offset: f64) {
        self.soft[kept].resize(distances.len(), 0.0);
        self.tier.narrow(distances, factor, offset, &mut self.soft[kept]);
    }

    /// Adds `factor` times its share to the slope by every reference, where logits were of all.
    pub(super) fn add_shares(&mut self, kept: usize, factor: f64) {
        self.tier.add_scaled(&self.soft[kept], factor, self.slopes);
    }

    pub(super) fn logits(&mut self, kept: usize) -> &mut Vec<f32> {
        &mut self.soft[kept]
    }

    /// The shares that [`RowOut::log_sum_exp`] kept, in the logits' order.
    pub fn shares(&self, kept: usize) -> &[f32] {
        &self.soft[kept]
    }

    /// Adds `slope` times its share to the slope by each reference of the list that the logits were of.
    pub fn slopes_by_share(&mut self, kept: usize, list: &[u32], slope: f64) {
        if slope != 0.0 {
            for (j, share) in list.iter().zip(&self.soft[kept]) {
                self.slopes[*j as usize] += slope * f64::from(*share);
            }
        }
    }

    /// The same for all but the reference at `but`.
    pub(super) fn slopes_but(&mut self, kept: usize, but: usize, list: &[u32], slope: f64) {
        if slope != 0.0 {
            for (at, (j, share)) in list.iter().zip(&self.soft[kept]).enumerate() {
                if at != but {
                    self.slopes[*j as usize] += slope * f64::from(*share);
                }
            }
        }
    }

    /// Adds to the slope by reference `j`.
    pub fn slope(&mut self, j: u32, slope: f64) {
        self.slopes[j as usize] += slope;
    }
}

/// How a row loss is to be evaluated.
#[derive(Clone, Debug)]
pub(super) struct Setup<'a> {
    pub(super) tier: Tier,
    pub(super) distance: Distance,
    pub(super) reducers: &'a [Reducer],
}

/// Gradients, each added `weight` times: of the anchors, of the references where those are learned, of the loss's own
/// numbers.
pub(super) struct Into<'a> {
    pub(super) weight: f64,
    pub(super) anchors: &'a mut [f32],
    pub(super) references: Option<&'a mut [f32]>,
    pub(super) parameters: &'a mut [f32],
}

/// Evaluates a row loss of one's own over a batch, and adds the gradient of its embeddings to `gradient`.
///
/// # Panics
///
/// If the gradient is not as long as the embeddings, or tuples name what is not there.
pub fn evaluate_row_loss(
    loss: &dyn RowLoss,
    tier: Tier,
    distance: Distance,
    reducer: &Reducer,
    batch: &Batch<'_>,
    gradient: &mut [f32],
) -> LossReport {
    assert_eq!(gradient.len(), batch.embeddings.len(), "row loss: a gradient an embedding");
    let reducers = vec![reducer.clone(); loss.terms()];
    let mut own = vec![0.0; loss.parameters().len()];
    let into = Into { weight: 1.0, anchors: gradient, references: None, parameters: &mut own };
    evaluate(loss, &Setup { tier, distance, reducers: &reducers }, batch, into)
}

/// The elements of a row loss over a batch, unreduced, by term and in the order of anchors.
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
        fn parameters(&self) -> &[f32] {
            self.0.parameters()
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
    let into = Into { weight: 0.0, anchors: &mut gradient, references: None, parameters: &mut [] };
    // Sums need no first look, so that every element comes once.
    let setup = Setup { tier, distance, reducers: &reducers };
    evaluate(&kept, &setup, batch, into);
    let mut all = kept.1.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    all.sort_by_key(|(term, anchor, _)| (*term, *anchor));
    let mut by_term = vec![Vec::new(); loss.terms()];
    all.into_iter().for_each(|(term, _, value)| by_term[term].push(value));
    by_term
}

/// Evaluates a row loss.
pub(super) fn evaluate(
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
    let pairs_of = (loss.elements() == Elements::Pairs).then_some(batch.len());
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
    let Into { weight, anchors: to, references: to_references, parameters } = into;
    let factor = factor * weight;
    anchors.add_gradient(&gradient, factor, to);
    anchors.add_length_gradient(&done.anchor_lengths, factor, to);
    if within {
        anchors.add_gradient(&done.references, factor, to);
    } else if let Some(to) = to_references {
        references.add_gradient(&done.references, factor, to);
        references.add_length_gradient(&done.reference_lengths, factor, to);
    }
    parameters.iter_mut().zip(&done.parameters).for_each(|(to, g)| *to += (factor * g) as f32);
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
pub(super) fn has_both(batch: &Batch<'_>) -> bool {
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
    parameters: Vec<f64>,
    /// Slopes by lengths, where the loss asks for them: of the part's anchors, of all references.
    anchor_lengths: Vec<f64>,
    reference_lengths: Vec<f64>,
    positive: (f64, u64),
    negative: (f64, u64),
}

impl Rows<'_> {
    /// All rows once. Slopes are only asked for where `scales` are known; `gradient` is that of the anchors.
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
            all.parameters.iter_mut().zip(&part.parameters).for_each(|(a, b)| *a += b);
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
            parameters: vec![0.0; self.loss.parameters().len()],
            reference_lengths: vec![0.0; if self.loss.uses_lengths() { self.m } else { 0 }],
            ..Done::default()
        }
    }

    fn part(&self, first: usize, scales: Option<&[f64]>, gradient: &mut [f32], pitch: usize) -> Done {
        let m = self.m;
        let mut done = self.empty();
        let mut block = Block::default();
        let (mut distances, mut slopes) = (vec![0.0; BLOCK * m], vec![0.0; BLOCK * m]);
        let mut lists = RowLists::default();
        for (b, gradient) in gradient.chunks_mut(BLOCK * pitch).enumerate() {
            let rows = gradient.len() / pitch;
            let range = first + b * BLOCK..first + b * BLOCK + rows;
            let (distances, slopes) = (&mut distances[..rows * m], &mut slopes[..rows * m]);
            self.matrix.distances(range.clone(), &mut block, distances);
            slopes.fill(0.0);
            self.rows(range.clone(), scales, (distances, slopes), &mut lists, &mut done);
            if scales.is_some() {
                let references = (self.reference_len > 0).then_some(&mut done.references[..]);
                self.matrix.backward(range, distances, slopes, &mut block, gradient, references);
            }
        }
        done
    }

    fn rows(
        &self,
        range: Range<usize>,
        scales: Option<&[f64]>,
        (distances, slopes): (&[f64], &mut [f64]),
        lists: &mut RowLists,
        done: &mut Done,
    ) {
        let mut soft = [Vec::new(), Vec::new()];
        for ((anchor, distances), slopes) in
            range.zip(distances.chunks_exact(self.m)).zip(slopes.chunks_exact_mut(self.m))
        {
            let row = match self.loss.centers() {
                Some(centers) => lists.of_class(self.batch, anchor, distances, centers),
                None => lists.row(self.batch, anchor, distances, self.loss.once()),
            };
            let row = Row {
                weight: self.weights[anchor],
                length: self.lengths.0.get(anchor).copied().unwrap_or(1.0),
                reference_lengths: self.lengths.1,
                ..row
            };
            let share = |n: usize| 1.0 / n.max(1) as f64;
            let shares = match self.loss.elements() {
                Elements::Pairs => [share(row.positives.len()), share(row.negatives.len())],
                _ => [1.0; 2],
            };
            // A pair that is there more than once is one of its anchor's pairs all the same.
            let repeated = if self.loss.elements() == Elements::Pairs
                && self.setup.reducers.contains(&Reducer::PerAnchor)
                && !matches!(self.batch.tuples, Tuples::All)
            {
                [row.positives, row.negatives].map(pair_shares)
            } else {
                [Vec::new(), Vec::new()]
            };
            let far = |list: &[u32]| list.iter().map(|j| row.d(*j)).sum::<f64>();
            let near = far(row.positives);
            // Where every reference takes part, negatives are what is left of all.
            let rest = match self.batch.tuples {
                Tuples::All => {
                    self.setup.tier.sum(distances) - near - row.itself.map_or(0.0, |i| distances[i])
                }
                _ => far(row.negatives),
            };
            let far_count = match self.loss.centers() {
                Some(centers) => self.m - centers,
                None => row.negatives.len(),
            };
            for (sum, (total, list)) in
                [(&mut done.positive, (near, row.positives.len())), (&mut done.negative, (rest, far_count))]
            {
                (sum.0, sum.1) = (sum.0 + total, sum.1 + list as u64);
            }
            let mut out = RowOut {
                slopes,
                parameters: &mut done.parameters,
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

/// Room for the lists of one anchor.
#[derive(Default)]
pub(super) struct RowLists {
    /// The references of each class that was met, in order.
    by_label: std::collections::HashMap<u32, Vec<u32>>,
    positives: Vec<u32>,
    negatives: Vec<u32>,
}

impl RowLists {
    fn of_class<'a>(
        &'a mut self,
        batch: &Batch<'a>,
        anchor: usize,
        distances: &'a [f64],
        centers: usize,
    ) -> Row<'a> {
        let label = batch.labels[anchor];
        self.positives.clear();
        let first = label * centers as u32;
        self.positives.extend(first..first + centers as u32);
        Row {
            anchor,
            label,
            distances,
            positives: &self.positives,
            negatives: &[],
            triplets: None,
            itself: None,
            weight: 1.0,
            length: 1.0,
            reference_lengths: &[],
        }
    }

    pub(super) fn row<'a>(
        &'a mut self,
        batch: &Batch<'a>,
        anchor: usize,
        distances: &'a [f64],
        once: bool,
    ) -> Row<'a> {
        let label = batch.labels[anchor];
        let itself = batch.itself(anchor);
        let (mut triplets, RowLists { by_label, positives, negatives }) = (None, self);
        positives.clear();
        negatives.clear();
        match batch.tuples {
            Tuples::All => {
                let labels = batch.references.as_ref().map_or(batch.labels, |r| r.labels);
                let own = by_label.entry(label).or_insert_with(|| {
                    let of = labels.iter().enumerate().filter(|(_, other)| **other == label);
                    of.map(|(j, _)| j as u32).collect()
                });
                // Negatives are what lies between: runs, which are quicker than a look at every label.
                let mut next = 0;
                for j in own.iter() {
                    negatives.extend(next..*j);
                    next = j + 1;
                }
                negatives.extend(next..labels.len() as u32);
                positives.extend(own.iter().filter(|j| Some(**j as usize) != itself));
            }
            Tuples::Pairs { positives: p, negatives: n } => {
                positives.extend_from_slice(p.of(anchor));
                negatives.extend_from_slice(n.of(anchor));
            }
            Tuples::Triplets(all) => {
                let own = all.of(anchor);
                positives.extend(own.iter().map(|t| t[0]));
                negatives.extend(own.iter().map(|t| t[1]));
                triplets = Some(own);
            }
        }
        if once && !matches!(batch.tuples, Tuples::All) {
            for list in [&mut *positives, &mut *negatives] {
                list.sort_unstable();
                list.dedup();
            }
        }
        Row {
            anchor,
            label,
            distances,
            positives,
            negatives,
            triplets,
            itself,
            weight: 1.0,
            length: 1.0,
            reference_lengths: &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Contrastive;

    #[test]
    fn unreduced_elements_are_those_that_a_sum_is_made_of() {
        let (labels, d) = ([0u32, 0, 1, 1, 0], 3);
        let x: Vec<f32> = (0..15).map(|i| (i as f32).sin()).collect();
        let batch = Batch { embeddings: &x, d, labels: &labels, references: None, tuples: &Tuples::All };
        let (tier, loss) = (Tier::available()[0], Contrastive::default());
        let all = elements(&loss, tier, Distance::Euclidean, &batch);
        assert_eq!((all[0].len(), all[1].len()), (8, 12));
        let mut gradient = vec![0.0; x.len()];
        let sum =
            evaluate_row_loss(&loss, tier, Distance::Euclidean, &Reducer::Sum, &batch, &mut gradient).loss;
        assert!((all.iter().flatten().sum::<f64>() - sum).abs() < 1e-12);
        // The first positive pair of the first anchor.
        assert!((all[0][0] - Distance::Euclidean.between(&x[..3], &x[3..6])).abs() < 1e-5);
    }
}
