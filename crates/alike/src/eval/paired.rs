//! Whether one rule is better than another on the same queries, or was lucky.

use serde::Serialize;

/// McNemar's exact test of two rules' answers to the same queries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// Queries that only the first rule answered rightly.
    pub only_first: u64,
    /// Queries that only the second rule answered rightly.
    pub only_second: u64,
    /// The probability of a split at least this uneven if both were equally good (two-sided).
    pub p_value: f64,
}

impl Paired {
    /// Whether chance is an unlikely explanation of the difference: `p < 0.01`.
    pub fn is_real(&self) -> bool {
        self.p_value < 0.01
    }

    /// The test's outcome in words.
    pub fn verdict(&self) -> String {
        let words = if self.is_real() { "real" } else { "may be chance" };
        let p = match self.p_value {
            p if p < 1e-4 => "< 0.0001".to_owned(),
            p if p < 0.1 => format!("= {p:.4}"),
            p => format!("= {p:.2}"),
        };
        format!("{words} (McNemar p {p})")
    }
}

/// Compares two rules by which of their answers were right (McNemar 1947, "Note on the sampling error of the difference
/// between correlated proportions", with the exact binomial probability).
pub fn compare(first: impl Iterator<Item = bool>, second: impl Iterator<Item = bool>) -> Paired {
    let (mut only_first, mut only_second) = (0, 0);
    for pair in first.zip(second) {
        match pair {
            (true, false) => only_first += 1,
            (false, true) => only_second += 1,
            _ => {}
        }
    }
    Paired { only_first, only_second, p_value: two_sided(only_first, only_second) }
}

/// `min(1, 2 P(X <= min(a, b)))` for `X` binomial with `a + b` fair draws.
fn two_sided(a: u64, b: u64) -> f64 {
    let n = a + b;
    // log2 of C(n, i), built up term by term, keeps thousands of draws in range.
    let mut log_choose = 0.0f64;
    let mut sum = 0.0;
    for i in 0..=a.min(b) {
        sum += (log_choose - n as f64).exp2();
        log_choose += ((n - i) as f64 / (i + 1) as f64).log2();
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.binomtest(min, n, 0.5).pvalue`.
    #[test]
    fn p_values_are_scipys() {
        for (a, b, p) in [
            (0, 0, 1.0),
            (5, 5, 1.0),
            (1, 9, 0.021484375),
            (40, 60, 0.05688793364098082),
            (900, 1100, 8.45708953550381e-6),
        ] {
            let ours = two_sided(a, b);
            assert!((ours - p).abs() <= 2e-3 * p, "{a} {b}: {ours} {p}");
        }
    }
}
