//! How far a number may be off because these images were drawn and not others (Efron and Tibshirani 1993, chapter 13: percentiles).

use crate::meter::stage;
use crate::rng::{Purpose, RngExt, stream};
use rayon::prelude::*;

/// Draws of a number.
const DRAWS: u64 = 200;

/// What is drawn: numbers of one kind are drawn alike, of two kinds independently. (2 is what `paired` draws.)
#[derive(Clone, Copy, Debug)]
pub(super) enum Drawn {
    Classes = 1,
    Images = 3,
}

/// How often each of `n` comes up when `n` are drawn with replacement.
fn counts(n: usize, drawn: Drawn, seed: u64, draw: u64) -> Vec<u32> {
    let mut rng = stream(seed, Purpose::Bootstrap, draw, drawn as u64);
    let mut counts = vec![0; n];
    (0..n).for_each(|_| counts[rng.random_range(0..n)] += 1);
    counts
}

/// What a number comes to in each draw, given how often each of `n` came up, where it comes to anything.
pub(super) fn draws<T: Send>(
    n: usize,
    drawn: Drawn,
    seed: u64,
    of: impl Fn(&[u32]) -> Option<T> + Sync,
) -> Vec<Option<T>> {
    let stage = stage("drawing for intervals", DRAWS as usize);
    let one = |draw| {
        let found = of(&counts(n, drawn, seed, draw));
        stage.advance(1);
        found
    };
    (0..DRAWS).into_par_iter().map(one).collect()
}

/// Between what 95 % of the values lie; zeros for none. The rank of a share is that share of one more than there are values, and between
/// two values straight (Hyndman and Fan 1996, definition 6; `numpy.quantile` with `method="weibull"`).
pub fn percentiles(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return [0.0; 2] };
    [0.025, 0.975].map(|share| {
        let at = (share * values.len() as f64 + share - 1.0).clamp(0.0, last as f64);
        let (below, part) = (at.floor() as usize, at.fract());
        let above = values[(below + 1).min(last)];
        // Infinite values have no way between them.
        if part == 0.0 || above == values[below] {
            values[below]
        } else {
            values[below] + part * (above - values[below])
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.quantile(values, [0.025, 0.975], method="weibull")`.
    #[test]
    fn percentiles_have_numpys_ranks() {
        let to = |n: u32| percentiles((1..=n).rev().map(f64::from).collect());
        for (n, low, high) in [
            (1, 1.0, 1.0),
            (2, 1.0, 2.0),
            (20, 1.0, 20.0),
            (50, 1.275, 49.725),
            (200, 5.025, 195.975),
            (1000, 25.025, 975.975),
        ] {
            let ours = to(n);
            assert!((ours[0] - low).abs() < 1e-9 && (ours[1] - high).abs() < 1e-9, "{n}: {ours:?}");
        }
        assert_eq!(percentiles(Vec::new()), [0.0; 2]);
        // 95 of 100 new values lie between: 0.025 below.
        let [low, high] = to(999);
        assert_eq!((low, high), (25.0, 975.0));
    }

    #[test]
    fn draws_spread_as_a_mean_does() {
        // The mean of 400 coins has a standard error of 0.025.
        let mean = |counts: &[u32]| {
            Some(counts.iter().enumerate().map(|(i, c)| f64::from(*c) * (i % 2) as f64).sum::<f64>() / 400.0)
        };
        let drawn: Vec<f64> = draws(400, Drawn::Images, 1, mean).into_iter().flatten().collect();
        let [low, high] = percentiles(drawn);
        assert!((low - 0.451).abs() < 0.012 && (high - 0.549).abs() < 0.012, "{low} {high}");
    }
}
