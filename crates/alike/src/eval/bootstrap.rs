//! How far a number may be off because these images were drawn and not others (Efron and Tibshirani 1993, chapter 13: percentiles).

use crate::rng::{Purpose, RngExt, stream};
use rayon::prelude::*;

/// Draws of means, which are cheap.
const OF_MEANS: usize = 1000;
/// Draws of all else.
const DRAWS: u64 = 200;

/// What is drawn: numbers of one kind are drawn alike, of two kinds independently. (2 is what `paired` draws.)
#[derive(Clone, Copy, Debug)]
pub(super) enum Drawn {
    Groups = 0,
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
    (0..DRAWS).into_par_iter().map(|draw| of(&counts(n, drawn, seed, draw))).collect()
}

/// Between what 95 % of the values lie; zeros for none.
pub fn percentiles(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => [0.0; 2],
        n => [values[n * 25 / 1000], values[(n * 975 / 1000).saturating_sub(1)]],
    }
}

/// Between what 95 % of the means lie, when groups (each a sum and a count) are drawn as often as there are of them.
pub(super) fn of_means(groups: &[(f64, f64)], seed: u64) -> [f64; 2] {
    let mean = |draw: usize| {
        let counts = counts(groups.len(), Drawn::Groups, seed, draw as u64);
        let drawn = counts.iter().zip(groups).map(|(c, (sum, n))| (f64::from(*c) * sum, f64::from(*c) * n));
        let (sum, n) = drawn.fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        sum / n
    };
    match groups {
        [] => [0.0; 2],
        _ => percentiles((0..OF_MEANS).into_par_iter().map(mean).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_as_wide_as_the_means_spread() {
        // The mean of 400 coins has a standard error of 0.025.
        let coins: Vec<(f64, f64)> = (0..400).map(|i| (f64::from(i % 2), 1.0)).collect();
        let [low, high] = of_means(&coins, 1);
        assert!((low - 0.451).abs() < 0.006 && (high - 0.549).abs() < 0.006, "{low} {high}");
        assert_eq!(of_means(&[(3.0, 4.0)], 1), [0.75, 0.75]);
        assert_eq!(of_means(&[], 1), [0.0, 0.0]);
    }
}
