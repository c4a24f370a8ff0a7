//! How good a ranking is.

/// The quality of one query's ranking, or the mean over several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Retrieval {
    /// Whether the nearest is right.
    pub precision_at_1: f64,
    /// The share of right ones among the `R` nearest, where `R` of the gallery are right.
    pub r_precision: f64,
    /// `1/R` times the sum, over the right ones among the `R` nearest, of the precision down to each (Musgrave,
    /// Belongie and Lim 2020, "A Metric Learning Reality Check", <https://arxiv.org/abs/2003.08505>, section 3.2).
    pub map_at_r: f64,
}

/// The quality of a ranking whose entries are right or not, nearest first, where `r` of the gallery are right. At least
/// the first `r` entries must be given; what follows them does not count.
///
/// # Panics
///
/// If `r` is zero or the ranking shorter than `r`.
pub fn rank_quality(right: impl Iterator<Item = bool>, r: usize) -> Retrieval {
    assert!(r > 0, "a query without a match cannot be ranked");
    let (mut hits, mut sum, mut seen, mut first) = (0usize, 0.0, 0usize, false);
    for (i, ok) in right.take(r).enumerate() {
        seen += 1;
        if ok {
            hits += 1;
            sum += hits as f64 / (i + 1) as f64;
            first |= i == 0;
        }
    }
    assert_eq!(seen, r, "a ranking as deep as its matches");
    Retrieval {
        precision_at_1: f64::from(u8::from(first)),
        r_precision: hits as f64 / r as f64,
        map_at_r: sum / r as f64,
    }
}

impl Retrieval {
    /// The mean over queries; zeros for none.
    pub fn mean(all: &[Retrieval]) -> Retrieval {
        let n = all.len().max(1) as f64;
        let mean = |f: fn(&Retrieval) -> f64| all.iter().map(f).sum::<f64>() / n;
        Retrieval {
            precision_at_1: mean(|r| r.precision_at_1),
            r_precision: mean(|r| r.r_precision),
            map_at_r: mean(|r| r.map_at_r),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of "A Metric Learning Reality Check", table 3: with R = 10 and right answers at the given ranks.
    #[test]
    fn map_at_r_is_as_its_paper_works_out() {
        let at = |ranks: &[usize]| rank_quality((1..=10).map(|i| ranks.contains(&i)), 10);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 5e-4, "{a} {b}");
        close(at(&[1, 10]).r_precision, 0.2);
        close(at(&[1, 10]).map_at_r, 0.12);
        close(at(&[1, 2]).map_at_r, 0.2);
        close(
            at(&[1, 2, 7, 8, 9, 10]).map_at_r,
            (1.0 + 1.0 + 3.0 / 7.0 + 4.0 / 8.0 + 5.0 / 9.0 + 0.6) / 10.0,
        );
        close(at(&(1..=10).collect::<Vec<_>>()).map_at_r, 1.0);
        assert_eq!(at(&[2]).precision_at_1, 0.0);
    }
}
