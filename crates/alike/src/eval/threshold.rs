//! Thresholds that keep a promise about images that come later.
//!
//! A threshold that `r` of `n` known scores lie at or below is kept by a new one with probability `r / (n + 1)`, whatever the scores'
//! distribution: the new one is as likely to take any of the `n + 1` ranks (split conformal prediction; Vovk, Gammerman and Shafer
//! 2005; Angelopoulos and Bates 2021, <https://arxiv.org/abs/2107.07511>). A quantile of the `n` scores alone promises too much. What is
//! rarer than one in `n + 1` cannot be promised by `n` scores at all.

/// A threshold, and what it promises of new scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    /// What is above it raises an alarm.
    pub threshold: f64,
    /// The share of normal images that raise one, at most and in expectation: what was asked for, or the least that so few scores can
    /// promise.
    pub rate: f64,
    /// The scores that it was found on.
    pub scores: usize,
}

impl Alarm {
    /// How many scores a rate would need, if it is more than there are.
    pub fn needs(&self, rate: f64) -> Option<usize> {
        let needed = (1.0 / rate - 1.0 - 1e-9).ceil() as usize;
        (needed > self.scores).then_some(needed)
    }
}

/// The score that at most a share `false_alarms` of new normal images exceed, in expectation; where there are too few scores for that,
/// the largest of them.
///
/// # Panics
///
/// If there are no scores.
pub fn alarm_threshold(mut normal: Vec<f64>, false_alarms: f64) -> Alarm {
    assert!(!normal.is_empty(), "a threshold needs scores");
    normal.sort_by(f64::total_cmp);
    let n = normal.len();
    let (rank, _) = rank(n, 1.0 - false_alarms);
    Alarm { threshold: normal[rank - 1], rate: false_alarms.max(1.0 / (n + 1) as f64), scores: n }
}

/// The least rank among `n` scores, from 1, at or below which a new score lies with a probability of `share` or more, and that
/// share; or the last rank and the share that it has, where `n` is too small.
pub(super) fn rank(n: usize, share: f64) -> (usize, f64) {
    let wanted = ((n + 1) as f64 * share - 1e-9).ceil().max(1.0) as usize;
    let rank = wanted.min(n);
    (rank, if wanted > n { n as f64 / (n + 1) as f64 } else { share })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, RngExt, stream};

    #[test]
    fn ranks_are_of_one_more_than_there_are() {
        assert_eq!(rank(99, 0.99), (99, 0.99));
        assert_eq!(rank(100, 0.99), (100, 0.99));
        assert_eq!(rank(199, 0.99), (198, 0.99));
        assert_eq!(rank(9, 0.99), (9, 0.9));
        assert_eq!(rank(9, 1.0), (9, 0.9));
        assert_eq!(rank(9, 0.0), (1, 0.0));
        let scores: Vec<f64> = (1..=100).map(f64::from).collect();
        let alarm = alarm_threshold(scores.clone(), 0.01);
        assert_eq!((alarm.threshold, alarm.rate, alarm.needs(0.01)), (100.0, 0.01, None));
        assert_eq!(alarm_threshold(scores.clone(), 0.05).threshold, 96.0);
        let rare = alarm_threshold(scores, 0.001);
        assert_eq!((rare.threshold, rare.rate, rare.needs(0.001)), (100.0, 1.0 / 101.0, Some(999)));
    }

    /// What new scores really come to: no more than was promised, and not much less.
    #[test]
    fn promised_rates_are_kept() {
        let mut rng = stream(5, Purpose::Bootstrap, 0, 1);
        for (n, rate) in [(30, 0.1), (100, 0.01), (100, 0.05), (1000, 0.001), (250, 0.01)] {
            let times = 6000;
            let above: f64 = (0..times)
                .map(|_| {
                    let scores = (0..n).map(|_| rng.random::<f64>()).collect();
                    // Of scores that are spread evenly from 0 to 1 this share is above.
                    1.0 - alarm_threshold(scores, rate).threshold
                })
                .sum::<f64>()
                / f64::from(times);
            // The share above has a deviation of about `rate`, and its mean one of `rate / sqrt(times)`.
            assert!(above < rate * 1.04, "{n} {rate}: {above}");
            assert!(above > rate - 1.0 / f64::from(n + 1) - 0.04 * rate, "{n} {rate}: {above}");
        }
    }
}
