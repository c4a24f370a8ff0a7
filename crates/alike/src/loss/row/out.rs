//! Where a row's elements and its gradient go.

use crate::loss::Reducer;
use crate::loss::reduce::Tally;
use alike_kernels::Tier;

/// Logits below this are rounded as they are.
const SMALL: f64 = 64.0;

/// Where a row's elements and its gradient go.
#[derive(Debug)]
pub struct RowOut<'a> {
    /// The gradient by each distance of the row.
    pub gradient: &'a mut [f64],
    /// The gradient by each of the loss's own numbers, [`RowLoss::numbers`](super::RowLoss::numbers).
    pub numbers: &'a mut [f64],
    /// The derivative by the anchor's length.
    pub length: f64,
    /// The gradient by each reference's length.
    pub reference_lengths: &'a mut [f64],
    pub(super) tallies: &'a mut [Tally],
    pub(super) reducers: &'a [Reducer],
    /// What each term's gradient is multiplied by; nothing while elements are only counted.
    pub(super) scales: Option<&'a [f64]>,
    pub(super) class: u32,
    pub(super) shares: [f64; 2],
    /// The same by element, in order, where pairs come more than once; and how many elements there were.
    pub(super) repeated: [&'a [f64]; 2],
    pub(super) met: [usize; 2],
    pub(super) tier: Tier,
    pub(super) soft: &'a mut [Vec<f32>; 2],
    /// Elements as they come, where they are kept.
    pub(super) kept: Option<Vec<(usize, f64)>>,
}

impl<'a> RowOut<'a> {
    /// For a matrix as a whole: the gradient by all distances.
    pub(in crate::loss) fn new(
        gradient: &'a mut [f64],
        tallies: &'a mut [Tally],
        reducers: &'a [Reducer],
        scales: Option<&'a [f64]>,
        tier: Tier,
        soft: &'a mut [Vec<f32>; 2],
    ) -> RowOut<'a> {
        RowOut {
            gradient,
            numbers: &mut [],
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
    pub(in crate::loss) fn of(&mut self, class: u32, share: f64) {
        (self.class, self.shares) = (class, [share; 2]);
    }

    /// Takes an element of a term, which is 0 or 1. Returns the factor that the element's gradient is to be multiplied by
    /// before it is added; where that is zero the gradient is not needed.
    ///
    /// # Panics
    ///
    /// If the loss has no such term.
    pub fn element(&mut self, term: usize, value: f64) -> f64 {
        if let Some(kept) = &mut self.kept {
            kept.push((term, value));
        }
        let share = self.repeated[term].get(self.met[term]).copied().unwrap_or(self.shares[term]);
        self.met[term] += 1;
        let weight = self.tallies[term].take(&self.reducers[term], value, self.class, share);
        self.scales.map_or(0.0, |scales| weight * scales[term])
    }

    /// Adds to the divisor of a term, for [`Reducer::Divisor`].
    pub fn divide_by(&mut self, term: usize, divisor: f64) {
        self.tallies[term].divide_by(divisor);
    }

    /// `log(sum exp(logits))`, with a further `exp(0)` if `and_zero`; minus infinity for no logits at all. The softmax, each
    /// logit's share of the sum, is kept under `kept`, which is 0 or 1, for [`RowOut::add_gradient_by_share`].
    ///
    /// # Panics
    ///
    /// If `kept` is neither.
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

    /// `-log` of the share of the logit at `at`, given the same as a difference of logarithms, and the sum of all other
    /// shares. Where that sum is small, the logarithm is taken of it, because the difference is then mostly rounding.
    pub(in crate::loss) fn target_loss(&self, kept: usize, at: usize, difference: f64) -> (f64, f64) {
        let shares = &self.soft[kept];
        let own = f64::from(shares[at]);
        if own < 0.9 || !difference.is_finite() {
            return (difference, 1.0 - own);
        }
        let sum = |list: &[f32]| list.iter().map(|v| f64::from(*v)).sum::<f64>();
        let rest = sum(&shares[..at]) + sum(&shares[at + 1..]);
        // As in doubles: what does not change one is zero.
        (if 1.0 - rest == 1.0 { 0.0 } else { -(-rest).ln_1p() }, rest)
    }

    /// [`RowOut::log_sum_exp`] of logits that were written to [`RowOut::logits`].
    pub(in crate::loss) fn soften(&mut self, kept: usize, and_zero: bool) -> f64 {
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
    pub(in crate::loss) fn narrow_logits(
        &mut self,
        kept: usize,
        distances: &[f64],
        factor: f64,
        offset: f64,
    ) {
        self.soft[kept].resize(distances.len(), 0.0);
        self.tier.narrow(distances, factor, offset, &mut self.soft[kept]);
    }

    /// Adds `factor` times its share to the derivative by every reference, where logits were of all references.
    pub(in crate::loss) fn add_shares(&mut self, kept: usize, factor: f64) {
        self.tier.add_scaled(&self.soft[kept], factor, self.gradient);
    }

    pub(in crate::loss) fn logits(&mut self, kept: usize) -> &mut Vec<f32> {
        &mut self.soft[kept]
    }

    /// The softmax that [`RowOut::log_sum_exp`] kept, in the logits' order.
    pub fn shares(&self, kept: usize) -> &[f32] {
        &self.soft[kept]
    }

    /// Adds `factor` times its share to the derivative by each reference of the list that the logits were of.
    pub fn add_gradient_by_share(&mut self, kept: usize, list: &[u32], factor: f64) {
        if factor != 0.0 {
            for (j, share) in list.iter().zip(&self.soft[kept]) {
                self.gradient[*j as usize] += factor * f64::from(*share);
            }
        }
    }

    /// [`RowOut::add_gradient_by_share`] for all references but that at `but`.
    pub(in crate::loss) fn add_gradient_except(
        &mut self,
        kept: usize,
        but: usize,
        list: &[u32],
        factor: f64,
    ) {
        if factor != 0.0 {
            for (at, (j, share)) in list.iter().zip(&self.soft[kept]).enumerate() {
                if at != but {
                    self.gradient[*j as usize] += factor * f64::from(*share);
                }
            }
        }
    }

    /// Adds to the derivative by the distance of reference `j`.
    ///
    /// # Panics
    ///
    /// If there is no such reference.
    pub fn add_gradient(&mut self, j: u32, derivative: f64) {
        self.gradient[j as usize] += derivative;
    }
}
