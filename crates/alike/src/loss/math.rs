//! Sums of exponentials, without overflow.

/// `log(sum exp(values))`, with a further `exp(0)` if `and_zero`; minus infinity for nothing.
pub(super) fn log_sum_exp(values: impl Iterator<Item = f64> + Clone, and_zero: bool) -> f64 {
    let floor = if and_zero { 0.0 } else { f64::NEG_INFINITY };
    let most = values.clone().fold(floor, f64::max);
    if !most.is_finite() {
        // Nothing at all, or what no shift can mend: an infinity or a NaN.
        return values.fold(most, |sum, v| if v.is_nan() { v } else { sum });
    }
    let zero = if and_zero { (-most).exp() } else { 0.0 };
    most + (zero + values.map(|v| (v - most).exp()).sum::<f64>()).ln()
}

/// `log(1 + exp(x))`.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `log(exp(own) + exp(others)) - own`: minus the logarithm of a target's share in a softmax, given its logit and the
/// [`log_sum_exp`] of all others. The target is not subtracted from a sum that it is part of, so nothing remains of nothing: where
/// the others are too little to be felt beside it in doubles, as where there are none, the loss is zero.
pub(super) fn cross_entropy(own: f64, others: f64) -> f64 {
    let value = softplus(others - own);
    if value < f64::EPSILON / 2.0 { 0.0 } else { value }
}

/// `1 / (1 + exp(-x))`.
pub(super) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_without_others_costs_exactly_nothing() {
        for own in [-1e5, -3.3, 0.0, 0.1, 14.285_714_285_714_286, 1e5] {
            assert_eq!(cross_entropy(own, f64::NEG_INFINITY), 0.0);
            assert_eq!(cross_entropy(own, own - 40.0), 0.0);
            assert!((cross_entropy(own, own - 20.0) / (-20f64).exp() - 1.0).abs() < 1e-8);
            assert!((cross_entropy(own, own) - 2f64.ln()).abs() < 1e-12);
        }
        assert!(cross_entropy(f64::NAN, 0.0).is_nan());
    }

    #[test]
    fn sums_of_exponentials_neither_overflow_nor_vanish() {
        assert!((log_sum_exp([1000.0, 1000.0].into_iter(), false) - 1000.0 - 2f64.ln()).abs() < 1e-12);
        assert!((log_sum_exp([-1000.0].into_iter(), true)).abs() < 1e-12);
        assert_eq!(log_sum_exp([].into_iter(), false), f64::NEG_INFINITY);
        assert!(log_sum_exp([f64::NAN, 1.0].into_iter(), true).is_nan());
        assert_eq!((softplus(800.0), softplus(-800.0), sigmoid(-800.0)), (800.0, 0.0, 0.0));
    }
}
