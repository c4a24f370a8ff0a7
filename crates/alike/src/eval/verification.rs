//! Verification: are two images of the same class, by a threshold on their distance?

mod folds;
mod intervals;
mod pairs;

pub use folds::Folded;
pub use pairs::{Pair, Pairs};

use crate::identity::Identities;
use crate::images::Vectors;
use serde::Serialize;

/// How well a threshold tells pairs of one class from pairs of two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verification {
    /// The equal error rate: where as large a share of pairs of one class is rejected as is accepted of pairs of two.
    pub eer: f64,
    /// Between what the rate lies, 95 %, where that was asked for: see [`Pairs::eer_interval`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// The distance at which that is so; half way between two pairs where it is so from one to the other.
    pub threshold: f64,
    /// Pairs of one class.
    pub genuine: usize,
    /// Pairs of two classes.
    pub impostor: usize,
}

/// How many pairs of one class are accepted where few of two are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AtFar {
    /// The share of pairs of two classes that may be accepted.
    pub far: f64,
    /// The share of pairs of one class that is accepted then.
    pub tar: f64,
    /// Between what that share lies, 95 %, where that was asked for: see [`Pairs::intervals`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// The largest distance that is accepted: half way to the next pair.
    pub threshold: f64,
    /// Pairs of two classes that are accepted. Of few, the rate is not well known: ten or more are wanted.
    pub support: usize,
}

/// What pairs are of that is independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Independent {
    /// Classes, of which another sample would have others: an open set. Pairs that are given stand for themselves.
    Classes,
    /// Images, of which another sample would have others of the same classes.
    Images,
}

/// At a threshold.
#[derive(Clone, Copy)]
struct Rates {
    /// The share of pairs of one class that is rejected.
    rejected: f64,
    /// The share of pairs of two classes that is accepted.
    accepted: f64,
}

impl Rates {
    /// Where nothing is accepted.
    const NONE: Rates = Rates { rejected: 1.0, accepted: 0.0 };

    /// Where both rates are the same between here and a larger threshold: the rate, and how far along the straight lines from here to
    /// there cross; no such place if they are equal there. Nothing if they do not meet yet.
    fn crossing(self, after: Rates) -> Option<(f64, Option<f64>)> {
        // What is all but equal was counted differently.
        const SAME: f64 = 1e-12;
        if after.rejected > after.accepted + SAME {
            return None;
        }
        if after.accepted <= after.rejected + SAME {
            return Some((after.accepted, None));
        }
        let (gap, left) = (self.rejected - self.accepted, after.accepted - after.rejected);
        let t = if gap + left > 0.0 { gap / (gap + left) } else { 0.0 };
        Some((self.accepted + t * (after.accepted - self.accepted), Some(t)))
    }
}

impl Pairs {
    /// The equal error rate. Between two thresholds the rates are taken to go straight from one to the other, as a receiver
    /// operating characteristic is drawn.
    pub fn equal_error_rate(&self) -> Verification {
        let (mut accepted, mut wrongly, mut at) = (0usize, 0usize, 0);
        let (mut before, mut nearer) = (Rates::NONE, 0.0);
        let made = |eer, threshold| Verification {
            eer,
            interval: None,
            threshold,
            genuine: self.genuine,
            impostor: self.impostor,
        };
        for tied in self.sorted.chunk_by(|a, b| a.distance == b.distance) {
            at += tied.len();
            let genuine = tied.iter().filter(|p| p.genuine).count();
            (accepted, wrongly) = (accepted + genuine, wrongly + tied.len() - genuine);
            let far = tied[0].distance;
            let after = Rates {
                rejected: 1.0 - accepted as f64 / self.genuine as f64,
                accepted: wrongly as f64 / self.impostor as f64,
            };
            match before.crossing(after) {
                None => (before, nearer) = (after, far),
                // Both are equal from here to the next pair.
                Some((eer, None)) => return made(eer, between(far, self.sorted.get(at).map(|p| p.distance))),
                Some((eer, Some(t))) if far.is_finite() => return made(eer, nearer + t * (far - nearer)),
                Some((eer, Some(_))) => return made(eer, nearer),
            }
        }
        made(0.0, 0.0)
    }

    /// Between what the equal error rate lies, 95 %: see [`Pairs::intervals`].
    pub fn eer_interval(&self, seed: u64, of: Independent) -> [f64; 2] {
        self.intervals(seed, of, &[]).0
    }

    /// By threshold, rising: the shares of pairs of two classes and of one that are accepted. From (0, 0) to (1, 1), a point
    /// for every distance, as `sklearn.metrics.roc_curve` with `drop_intermediate=False`.
    pub fn roc(&self) -> Vec<[f64; 2]> {
        let mut points = vec![[0.0; 2]];
        let mut counts = [0usize; 2];
        for tied in self.sorted.chunk_by(|a, b| a.distance == b.distance) {
            tied.iter().for_each(|p| counts[usize::from(p.genuine)] += 1);
            points.push([counts[0] as f64 / self.impostor as f64, counts[1] as f64 / self.genuine as f64]);
        }
        points
    }

    /// How many pairs of one class are accepted at the largest threshold that accepts no larger share than `far` of those of
    /// two, of these pairs: a point of their curve, as `sklearn.metrics.roc_curve` has it. For pairs that come later see
    /// [`Pairs::promising`].
    pub fn at_far(&self, far: f64) -> AtFar {
        let allowed = (far * self.impostor as f64 + 1e-9) as usize;
        self.accepting(far, |counts| counts <= allowed)
    }

    /// A threshold for pairs that come later: of new pairs of two classes it accepts a share of `far` at most, in expectation, for a new
    /// pair is as likely to take any rank among those that are known; see [`alarm_threshold`](super::alarm_threshold). Where there are
    /// too few for that, nothing is accepted that is as far as the nearest known pair of two classes, and the rate is what that promises.
    pub fn promising(&self, far: f64) -> AtFar {
        let n = (self.impostor + 1) as f64;
        // Of so many the nearest is not accepted any more.
        let rank = (far * n + 1e-9).floor().max(1.0) as usize;
        self.accepting(far.max(1.0 / n), |count| count < rank || far == 1.0)
    }

    /// The largest distance up to which as many pairs of two classes are accepted as `may` be.
    fn accepting(&self, far: f64, may: impl Fn(usize) -> bool) -> AtFar {
        let first = self.sorted[0].distance;
        let none = if first > 0.0 { first / 2.0 } else { f64::MIN_POSITIVE.copysign(-1.0) };
        let mut found = AtFar { far, tar: 0.0, interval: None, threshold: none, support: 0 };
        let (mut counts, mut at) = ([0usize; 2], 0);
        for tied in self.sorted.chunk_by(|a, b| a.distance == b.distance) {
            tied.iter().for_each(|p| counts[usize::from(p.genuine)] += 1);
            at += tied.len();
            if !may(counts[0]) {
                break;
            }
            found.tar = counts[1] as f64 / self.genuine as f64;
            found.threshold = between(tied[0].distance, self.sorted.get(at).map(|p| p.distance));
            found.support = counts[0];
        }
        found
    }
}

/// Half way from a distance to the next, if there is one.
fn between(distance: f64, next: Option<f64>) -> f64 {
    next.filter(|n| n.is_finite()).map_or(distance, |next| (distance + next) / 2.0)
}

/// The equal error rate of all pairs of the images, or of some of them where they are many. Nothing if there are no pairs of
/// one kind.
pub fn verification(
    vectors: Vectors<'_>,
    labels: &[u32],
    identities: &Identities,
    seed: u64,
) -> Option<Verification> {
    Pairs::all(vectors, labels, identities, seed).map(|pairs| pairs.equal_error_rate())
}

#[cfg(test)]
mod tests {
    use super::pairs::tests::{pairs, spread};
    use super::*;
    use crate::images::Features;
    use crate::sample;
    use proptest::prelude::*;

    fn eer(same: &[f64], other: &[f64]) -> f64 {
        pairs(same, other).equal_error_rate().eer
    }

    #[test]
    fn rates_are_equal_where_they_cross() {
        assert_eq!(eer(&[1.0, 2.0], &[3.0, 4.0]), 0.0);
        assert_eq!(eer(&[3.0, 4.0], &[1.0, 2.0]), 1.0);
        // One of four rejected, one of four accepted.
        assert_eq!(eer(&[1.0, 2.0, 3.0, 6.0], &[4.0, 5.5, 7.0, 8.0]), 0.25);
        // All alike: a threshold can only take half of each.
        assert_eq!(eer(&[1.0, 1.0], &[1.0, 1.0, 1.0]), 0.5);
        let one = Pair { distance: 1.0, genuine: true, of: [0, 0], images: [0, 1], key: 0 };
        assert_eq!(Pairs::new(vec![one]), None);
    }

    #[test]
    fn few_false_acceptances_cost_true_ones() {
        let p = pairs(&[1.0, 2.0, 5.0, 9.0], &[4.0, 6.0, 7.0, 8.0]);
        let at = |far| {
            let a = p.at_far(far);
            (a.tar, a.threshold, a.support)
        };
        assert_eq!(at(0.1), (0.5, 3.0, 0));
        assert_eq!(at(0.25), (0.75, 5.5, 1));
        assert_eq!(at(1.0), (1.0, 9.0, 4));
        assert_eq!(p.nearer_than(5.0), [0.5, 0.25]);
        let (most, bins) = p.histogram(3);
        assert_eq!((most, bins), (9.0, vec![[2, 0], [1, 1], [1, 3]]));
    }

    #[test]
    fn an_interval_holds_the_rate_and_shrinks_with_classes() {
        let width = |classes: u32| {
            let n = classes * 4;
            let value = |i: u32| f64::from(i.wrapping_mul(2_654_435_761) >> 16) / 65536.0;
            let f = Features::new(
                1,
                (0..n).map(|i| (f64::from(i / 4 * 7 % classes) + 3.0 * value(i)) as f32).collect(),
            );
            let labels: Vec<u32> = (0..n).map(|i| i / 4).collect();
            let pairs =
                Pairs::all(Vectors::Features(&f), &labels, &Identities::numbered(n as usize), 0).unwrap();
            let [low, high] = pairs.eer_interval(1, Independent::Classes);
            let eer = pairs.equal_error_rate().eer;
            assert!(low <= eer && eer <= high, "{low} {eer} {high}");
            high - low
        };
        assert!(width(60) < width(12));
    }

    #[test]
    fn what_is_told_apart_without_error_has_its_threshold_between() {
        let p = pairs(&[1.0, 2.0, 3.0], &[5.0, 8.0, 9.0]);
        let v = p.equal_error_rate();
        assert_eq!((v.eer, v.threshold), (0.0, 4.0));
        assert_eq!(p.at_far(0.01).threshold, 4.0);
        // As many wrong as missed from 4 to 6, where no pair is.
        assert_eq!(pairs(&[1.0, 2.0, 3.0, 6.0], &[4.0, 6.5, 7.0, 8.0]).equal_error_rate().threshold, 5.0);
        // Three pairs promise a rate of one in four and no less.
        assert_eq!((p.promising(0.01).far, p.promising(0.01).threshold), (0.25, 4.0));
        assert_eq!((p.promising(0.5).threshold, p.promising(0.5).support), (6.5, 1));
        assert_eq!(p.promising(1.0).threshold, 9.0);
        // Copies of one picture in two classes: nothing can be accepted.
        let same = pairs(&[1.0, 2.0], &[0.0, 3.0]).promising(0.001);
        assert!(same.threshold < 0.0 && same.tar == 0.0, "{same:?}");
        let [low, high] = p.eer_interval(0, Independent::Classes);
        assert!(low == 0.0 && high > 0.3, "three pairs of each kind say little: {high}");
    }

    /// Distances spread evenly from 0 to 1: a threshold accepts a share as large as it is.
    #[test]
    fn promised_false_acceptances_are_kept() {
        let mut rng = crate::rng::stream(5, crate::rng::Purpose::Bootstrap, 0, 2);
        for (n, far) in [(40, 0.1), (99, 0.01), (250, 0.01), (1000, 0.001)] {
            let times = 3000;
            let accepted: f64 = (0..times)
                .map(|_| {
                    let other: Vec<f64> = (0..n).map(|_| crate::rng::RngExt::random(&mut rng)).collect();
                    pairs(&[2.0], &other).promising(far).threshold
                })
                .sum::<f64>()
                / f64::from(times);
            // Half way to a pair that is not accepted: between one rank and the next.
            assert!(
                accepted < 1.05 * far && accepted > far - 1.5 / f64::from(n) - 0.05 * far,
                "{n} {far}: {accepted}"
            );
        }
    }

    #[test]
    fn classes_in_turn_give_the_rate_of_all_pairs_and_any_order_the_same() {
        let n = 6000u64;
        let names: Vec<u64> = (0..n).collect();
        let labels: Vec<u32> = (0..n).map(|i| (i % 10) as u32).collect();
        // Every pair, counted one by one.
        let f = spread(&labels, &names);
        let (mut same, mut other) = (Vec::new(), Vec::new());
        for i in 0..n as usize {
            for j in 0..i {
                let d = f64::from((f.row(i)[0] - f.row(j)[0]).abs());
                if labels[i] == labels[j] { same.push(d) } else { other.push(d) }
            }
        }
        other.sort_by(f64::total_cmp);
        same.sort_by(f64::total_cmp);
        let share = |list: &[f64], t: f64| list.partition_point(|d| *d <= t) as f64 / list.len() as f64;
        let all =
            (0..400).map(|t| f64::from(t) / 100.0).map(|t| (1.0 - share(&same, t)).max(share(&other, t)));
        let all = all.fold(1.0, f64::min);
        let judged = |order: &[usize]| {
            let names: Vec<u64> = order.iter().map(|i| names[*i]).collect();
            let labels: Vec<u32> = order.iter().map(|i| labels[*i]).collect();
            let identities = Identities::numbered(n as usize).select(order);
            let pairs =
                Pairs::all(Vectors::Features(&spread(&labels, &names)), &labels, &identities, 0).unwrap();
            (
                pairs.equal_error_rate(),
                pairs.folded(true, 3),
                pairs.at_far(0.01),
                pairs.eer_interval(1, Independent::Images),
            )
        };
        let turn: Vec<usize> = (0..n as usize).collect();
        let shuffled = sample::some(Identities::numbered(n as usize).keys(), n as usize, 9);
        let mut sorted = turn.clone();
        sorted.sort_by_key(|i| labels[*i]);
        let first = judged(&turn);
        assert!((first.0.eer - all).abs() < 0.004, "{} {all}", first.0.eer);
        assert_eq!(first, judged(&shuffled));
        assert_eq!(first, judged(&sorted));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Ties included: distances are few whole numbers.
        #[test]
        fn rates_are_those_of_counting_at_every_threshold(
            same in proptest::collection::vec(0u32..12, 1..40), other in proptest::collection::vec(0u32..12, 1..40), far in 0.0f64..1.0,
        ) {
            let float = |v: &[u32]| v.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
            let (same, other) = (float(&same), float(&other));
            let p = pairs(&same, &other);
            let share = |list: &[f64], t: f64| list.iter().filter(|d| **d <= t).count() as f64 / list.len() as f64;
            let mut best = 0.0f64;
            for t in 0..12 {
                let (f, g) = (share(&other, f64::from(t)), share(&same, f64::from(t)));
                if f <= far {
                    best = best.max(g);
                }
                if f > 0.0 || g > 0.0 {
                    prop_assert!(p.roc().contains(&[f, g]));
                }
            }
            prop_assert_eq!(p.at_far(far).tar, best);
            let eer = p.equal_error_rate().eer;
            // At no threshold are both rates below the equal one.
            for t in -1..12 {
                let (miss, wrong) = (1.0 - share(&same, f64::from(t)), share(&other, f64::from(t)));
                prop_assert!(miss.max(wrong) >= eer - 1e-12);
            }
        }
    }
}
