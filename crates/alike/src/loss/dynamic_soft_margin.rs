//! The dynamic soft margin loss.

use super::whole::{Whole, WholeLoss, WholeOut};
use super::{
    Elements, Evaluation, Facts, LossFunction, LossReport, MOST_BINS, Measure, Parameter, Reducer, State,
};
use crate::distance::Distance;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// The mean of `F(x) x` over triplets, `x = d(a, p) - d(a, n)` and `F` its distribution so far, a running histogram (Zhang and
/// Rusinkiewicz 2019, <https://arxiv.org/abs/1904.01747>, equations 5 and 6).
///
/// No margin to choose. As in the paper `F` is a weight without a gradient; the reference lets a gradient through on its first
/// step and fails on its second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DynamicSoftMargin {
    /// The least difference, and minus the largest.
    pub min_val: f64,
    /// Bins of the histogram.
    pub num_bins: usize,
    /// The part of a batch in the running histogram.
    pub momentum: f64,
}

impl Default for DynamicSoftMargin {
    fn default() -> DynamicSoftMargin {
        DynamicSoftMargin { min_val: -2.0, num_bins: 10, momentum: 0.01 }
    }
}

impl LossFunction for DynamicSoftMargin {
    fn facts(&self) -> Facts {
        Facts {
            distance: Measure::Only(Distance::Chord),
            reducer: Reducer::Mean,
            elements: Elements::Triplets,
            proxies: None,
            tuples: true,
            memory: false,
            views: false,
            keeps_distances: true,
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::finite("min-val", self.min_val),
            Parameter::count("num-bins", self.num_bins, MOST_BINS),
            Parameter::finite("momentum", self.momentum),
        ]
    }

    fn initial(&self, _: usize) -> State {
        State { histogram: vec![0.0; self.num_bins], ..State::default() }
    }

    fn evaluate(&self, evaluation: &mut Evaluation<'_>) -> LossReport {
        let histogram = evaluation.state.histogram.clone();
        let loss = WithHistogram { loss: *self, next: Mutex::new(histogram.clone()), histogram };
        let report = evaluation.whole(&loss);
        evaluation.state.histogram = loss.next.into_inner().unwrap_or_else(PoisonError::into_inner);
        report
    }
}

/// The loss with its histogram as it stands: `num_bins` numbers that sum to one, or to zero before the first batch.
#[derive(Debug)]
pub(super) struct WithHistogram {
    pub(super) loss: DynamicSoftMargin,
    pub(super) histogram: Vec<f64>,
    /// The histogram after this batch.
    pub(super) next: Mutex<Vec<f64>>,
}

impl WholeLoss for WithHistogram {
    fn whole(&self, all: &Whole<'_>, out: &mut WholeOut<'_>) {
        let DynamicSoftMargin { min_val, num_bins, momentum } = self.loss;
        let delta = 2.0 * min_val.abs() / num_bins as f64;
        let bin = |x: f64| {
            let at = ((x - min_val) / delta).clamp(0.0, num_bins as f64 - 1.0);
            (at.floor() as usize, at.fract())
        };
        let mut fresh = vec![0.0; num_bins + 1];
        let mut any = false;
        all.each_row(|row| {
            row.each_triplet(|p, n| {
                let (low, part) = bin(row.d(p) - row.d(n));
                fresh[low] += 1.0 - part;
                fresh[low + 1] += part;
                any = true;
            });
        });
        if !any {
            return;
        }
        let momentum = if self.histogram.iter().sum::<f64>() == 0.0 { 1.0 } else { momentum };
        let mut next: Vec<f64> = self
            .histogram
            .iter()
            .zip(&fresh)
            .map(|(old, new)| (1.0 - momentum) * old + momentum * new)
            .collect();
        let total: f64 = next.iter().sum();
        next.iter_mut().for_each(|v| *v /= total);
        let shares: Vec<f64> = next
            .iter()
            .scan(0.0, |sum, v| {
                *sum += v;
                Some(*sum)
            })
            .collect();
        all.each_row(|row| {
            row.each_triplet(|p, n| {
                let x = row.d(p) - row.d(n);
                let share = shares[bin(x).0];
                let weight = share * out.element(0, share * x, row.label, 1);
                out.add_gradient(row.anchor, p as usize, weight);
                out.add_gradient(row.anchor, n as usize, -weight);
            });
        });
        // The state is one batch's and is taken over after it; a panic elsewhere leaves nothing half-written here.
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}
