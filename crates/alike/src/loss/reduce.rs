//! From the elements of a loss to one number.

use crate::text::{self, Choice};
use serde::{Deserialize, Serialize};

/// How the elements of a term become its value. Each term of a loss is reduced by itself; the values are added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reducer {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
    /// The mean of those above zero.
    NonZero,
    /// The mean of those within bounds.
    Threshold(Threshold),
    /// Their sum, divided by the divisor that the loss gives; the mean where it gives none.
    Divisor,
    /// The mean of each anchor's pairs, then of all anchors.
    PerAnchor,
    /// The mean, each element times the weight of its anchor's class.
    ClassWeighted(ClassWeighted),
}

/// Bounds; none by default. Elements on a bound are outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Threshold {
    /// Elements must be above this.
    pub low: Option<f64>,
    /// Elements must be below this.
    pub high: Option<f64>,
}

/// A weight for each class, by its label; classes beyond the list have weight 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassWeighted {
    /// As in `weights=1/0.5/2`.
    pub weights: Vec<f64>,
}

impl Choice for Reducer {
    const WHAT: &'static str = "reducer";

    fn all() -> Vec<Reducer> {
        vec![
            Reducer::Mean,
            Reducer::Sum,
            Reducer::NonZero,
            Reducer::Threshold(Threshold::default()),
            Reducer::Divisor,
            Reducer::PerAnchor,
            Reducer::ClassWeighted(ClassWeighted::default()),
        ]
    }
}

impl std::str::FromStr for Reducer {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<Reducer, text::ChoiceError> {
        text::parse(s)
    }
}

/// Reducers by term, written `sum | mean`; the last one serves all terms that follow.
#[derive(Clone, Debug, PartialEq)]
pub struct Reducers(pub Vec<Reducer>);

impl Reducers {
    /// The reducers of a loss's first and second term.
    pub(super) fn pair(&self) -> [Reducer; 2] {
        let of = |term: usize| self.0.get(term).or(self.0.last()).cloned().unwrap_or(Reducer::Mean);
        [of(0), of(1)]
    }
}

impl std::fmt::Display for Reducers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each: Vec<String> = self.0.iter().map(text::write).collect();
        f.write_str(&each.join(" | "))
    }
}

impl std::str::FromStr for Reducers {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<Reducers, text::ChoiceError> {
        s.split('|').map(|one| one.trim().parse()).collect::<Result<_, _>>().map(Reducers)
    }
}

/// What an element stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elements {
    /// An anchor, or a class.
    Anchors,
    /// A pair: positives are elements of the first term, negatives of the second, in the order of the anchor's lists.
    Pairs,
    /// A triplet.
    Triplets,
}

/// What each pair of an anchor's list counts in the mean of them: those that are there more than once, as triplets name them,
/// count once together.
pub(super) fn pair_shares(list: &[u32]) -> Vec<f64> {
    pair_counts(list).into_iter().map(|n| 1.0 / n as f64).collect()
}

/// By pair of an anchor's list: the number of different ones, times how often this one is there.
pub(super) fn pair_counts(list: &[u32]) -> Vec<usize> {
    let mut sorted = list.to_vec();
    sorted.sort_unstable();
    let unique = sorted.chunk_by(|a, b| a == b).count();
    if unique == list.len() {
        return vec![unique; list.len()];
    }
    let times = |j: u32| sorted.partition_point(|k| *k <= j) - sorted.partition_point(|k| *k < j);
    list.iter().map(|j| unique * times(*j)).collect()
}

/// The elements of a term so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tally {
    sum: f64,
    count: f64,
    divisor: f64,
    /// Elements, and those above zero.
    pub(super) elements: u64,
    pub(super) active: u64,
}

impl Tally {
    /// Takes an element; returns its weight in the sum. `share` is one over the anchor's elements of this term.
    pub(super) fn take(&mut self, reducer: &Reducer, value: f64, class: u32, share: f64) -> f64 {
        let weight = match reducer {
            Reducer::NonZero if value <= 0.0 => 0.0,
            Reducer::Threshold(t)
                if t.low.is_some_and(|low| value <= low) || t.high.is_some_and(|high| value >= high) =>
            {
                0.0
            }
            Reducer::ClassWeighted(c) => c.weights.get(class as usize).copied().unwrap_or(1.0),
            Reducer::PerAnchor => share,
            Reducer::Mean | Reducer::Sum | Reducer::NonZero | Reducer::Threshold(_) | Reducer::Divisor => 1.0,
        };
        self.elements += 1;
        self.active += u64::from(value > 0.0);
        // A filter's weight of zero leaves an element out altogether, even one that is not finite.
        if weight != 0.0 {
            self.sum += weight * value;
        }
        let out = weight == 0.0 && !matches!(reducer, Reducer::ClassWeighted(_));
        self.count += if out { 0.0 } else { 1.0 };
        weight
    }

    pub(super) fn divide_by(&mut self, divisor: f64) {
        self.divisor += divisor;
    }

    pub(super) fn add(&mut self, other: &Tally) {
        self.sum += other.sum;
        self.count += other.count;
        self.divisor += other.divisor;
        self.elements += other.elements;
        self.active += other.active;
    }

    /// What the sum is multiplied by. `pairs_of` is the number of anchors where elements are pairs.
    pub(super) fn scale(&self, reducer: &Reducer, names_divisor: bool, pairs_of: Option<usize>) -> f64 {
        let divisor = match reducer {
            Reducer::Sum => return 1.0,
            Reducer::Divisor if names_divisor => self.divisor,
            Reducer::PerAnchor => pairs_of.map_or(self.count, |anchors| anchors as f64),
            Reducer::Mean
            | Reducer::NonZero
            | Reducer::Threshold(_)
            | Reducer::Divisor
            | Reducer::ClassWeighted(_) => self.count,
        };
        if divisor == 0.0 { 0.0 } else { 1.0 / divisor }
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduce(reducer: &Reducer, values: &[f64]) -> (f64, Vec<f64>) {
        let mut tally = Tally::default();
        let weights = values.iter().map(|v| tally.take(reducer, *v, 1, 0.5)).collect();
        (tally.sum() * tally.scale(reducer, false, Some(2)), weights)
    }

    #[test]
    fn reducers_by_term_are_read_and_the_last_serves_the_rest() {
        let two: Reducers = "sum | mean".parse().unwrap();
        assert_eq!(two.pair(), [Reducer::Sum, Reducer::Mean]);
        assert_eq!("sum".parse::<Reducers>().unwrap().pair(), [Reducer::Sum, Reducer::Sum]);
        assert!("sum | men".parse::<Reducers>().unwrap_err().to_string().contains("did you mean 'mean'"));
    }

    #[test]
    fn pairs_that_are_there_twice_count_once() {
        assert_eq!(pair_counts(&[4, 2, 9]), [3, 3, 3]);
        assert_eq!(pair_counts(&[4, 2, 4, 4]), [6, 2, 6, 6]);
        assert!((pair_shares(&[4, 2, 4, 4]).iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(pair_counts(&[]).is_empty());
    }

    #[test]
    fn every_reducer_does_what_it_says() {
        let values = [0.0, 1.0, 3.0];
        assert_eq!(reduce(&Reducer::Mean, &values).0, 4.0 / 3.0);
        assert_eq!(reduce(&Reducer::Sum, &values).0, 4.0);
        assert_eq!(reduce(&Reducer::NonZero, &values), (2.0, vec![0.0, 1.0, 1.0]));
        let bounds: Reducer = "threshold:low=0,high=3".parse().unwrap();
        assert_eq!(reduce(&bounds, &values), (1.0, vec![0.0, 1.0, 0.0]));
        let weighted: Reducer = "class-weighted:weights=9/0.5".parse().unwrap();
        assert_eq!(reduce(&weighted, &values).0, 2.0 / 3.0);
        assert_eq!(reduce(&Reducer::PerAnchor, &values).0, 1.0);
        assert_eq!(reduce(&Reducer::NonZero, &[0.0]).0, 0.0);
    }
}
