//! How good a ranking is.

use super::interval::mean_interval;
use crate::data::Dataset;
use serde::Serialize;
use std::collections::BTreeMap;

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

/// The quality of one query's ranking by all of the field's measures, or the mean over several. `R` is the number of right
/// ones in the gallery; lists follow the `K`s that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Quality {
    /// Whether one of the `K` nearest is right: Recall@K as metric learning means it (Jégou et al. 2011; Song et al. 2016).
    pub recall_at: Vec<f64>,
    /// The share of right ones among the `K` nearest.
    pub precision_at: Vec<f64>,
    /// The discounted gain of the `K` nearest over the best that is possible (Järvelin and Kekäläinen 2002), a right one counting
    /// one.
    pub ndcg_at: Vec<f64>,
    /// The share of right ones among the `R` nearest.
    pub r_precision: f64,
    /// The mean of the precision down to each right one.
    pub map: f64,
    /// See [`Retrieval::map_at_r`].
    pub map_at_r: f64,
    /// One over the rank of the first right one.
    pub mrr: f64,
}

impl Quality {
    /// The quality of a ranking whose right ones have these ranks, from 1 and rising.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn of_ranks(ranks: &[u32], ks: &[usize]) -> Quality {
        assert!(!ranks.is_empty(), "a query without a match cannot be ranked");
        let r = ranks.len();
        let within = |k: usize| ranks.partition_point(|rank| *rank as usize <= k);
        let gain = |rank: usize| 1.0 / (1.0 + rank as f64).log2();
        let ndcg = |k: usize| {
            let got: f64 = ranks[..within(k)].iter().map(|rank| gain(*rank as usize)).sum();
            got / (1..=r.min(k)).map(gain).sum::<f64>()
        };
        let precision = |(i, rank): (usize, &u32)| (i + 1) as f64 / f64::from(*rank);
        Quality {
            recall_at: ks.iter().map(|k| f64::from(u8::from(within(*k) > 0))).collect(),
            precision_at: ks.iter().map(|k| within(*k) as f64 / *k as f64).collect(),
            ndcg_at: ks.iter().map(|k| ndcg(*k)).collect(),
            r_precision: within(r) as f64 / r as f64,
            map: ranks.iter().enumerate().map(precision).sum::<f64>() / r as f64,
            map_at_r: ranks[..within(r)].iter().enumerate().map(precision).sum::<f64>() / r as f64,
            mrr: 1.0 / f64::from(ranks[0]),
        }
    }

    /// The mean; zeros for none.
    pub fn mean<'a>(all: impl IntoIterator<Item = &'a Quality>, ks: usize) -> Quality {
        let zeros = || vec![0.0; ks];
        let mut sum =
            Quality { recall_at: zeros(), precision_at: zeros(), ndcg_at: zeros(), ..Quality::default() };
        let mut n = 0usize;
        let add = |to: &mut [f64], from: &[f64]| to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        for q in all {
            n += 1;
            add(&mut sum.recall_at, &q.recall_at);
            add(&mut sum.precision_at, &q.precision_at);
            add(&mut sum.ndcg_at, &q.ndcg_at);
            sum.r_precision += q.r_precision;
            sum.map += q.map;
            sum.map_at_r += q.map_at_r;
            sum.mrr += q.mrr;
        }
        let n = n.max(1) as f64;
        let each = |list: &mut Vec<f64>| list.iter_mut().for_each(|v| *v /= n);
        each(&mut sum.recall_at);
        each(&mut sum.precision_at);
        each(&mut sum.ndcg_at);
        let Quality { r_precision, map, map_at_r, mrr, .. } = sum;
        Quality { r_precision: r_precision / n, map: map / n, map_at_r: map_at_r / n, mrr: mrr / n, ..sum }
    }

    /// Names and values, those of the `K`s first.
    pub fn named(&self, ks: &[usize]) -> Vec<(String, f64)> {
        names(ks).into_iter().zip(self.values()).collect()
    }

    /// Values in the order of [`names`].
    fn values(&self) -> impl Iterator<Item = f64> {
        let of_ks = [&self.recall_at, &self.precision_at, &self.ndcg_at].into_iter().flatten().copied();
        of_ks.chain([self.r_precision, self.map_at_r, self.map, self.mrr])
    }
}

/// What measures are called, those of the `K`s first.
fn names(ks: &[usize]) -> Vec<String> {
    let at = |name| ks.iter().map(move |k| format!("{name}@{k}"));
    let of_ks = ["Recall", "Precision", "NDCG"].into_iter().flat_map(at);
    of_ks.chain(["R-Precision", "MAP@R", "MAP", "MRR"].map(str::to_owned)).collect()
}

/// How well a space retrieves.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RetrievalReport {
    /// The `K`s of the lists.
    pub ks: Vec<usize>,
    /// Queries that have a match in the gallery.
    pub queries: usize,
    /// Queries that have none, and are left out.
    pub without_match: usize,
    /// Whether intervals are those of other classes: see `intervals`.
    pub by_classes: bool,
    /// The mean over queries.
    pub micro: Quality,
    /// The mean over classes of the mean over their queries.
    pub per_class: Quality,
    /// By measure: between what the mean over queries lies, 95 % (see [`mean_interval`]). Classes are the unit where the set is an open
    /// one, for then other classes are what another sample would have; queries elsewhere.
    pub intervals: BTreeMap<String, [f64; 2]>,
    /// By class: the mean over its queries.
    pub by_class: BTreeMap<String, Quality>,
    /// By category: the mean over its queries.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_category: BTreeMap<String, Quality>,
}

impl RetrievalReport {
    /// Puts together what every query came to; nothing for a query without a match.
    pub fn new(data: &Dataset, each: &[Option<Quality>], ks: &[usize]) -> RetrievalReport {
        let labels = &data.test.labels;
        let found: Vec<(u32, &Quality)> =
            each.iter().zip(labels).filter_map(|(q, l)| Some((*l, q.as_ref()?))).collect();
        let mut classes: BTreeMap<u32, Vec<&Quality>> = BTreeMap::new();
        found.iter().for_each(|(l, q)| classes.entry(*l).or_default().push(q));
        let mean = |list: &[&Quality]| Quality::mean(list.iter().copied(), ks.len());
        let of_class: Vec<(u32, Quality)> = classes.iter().map(|(l, list)| (*l, mean(list))).collect();
        let mut categories: BTreeMap<String, Vec<&Quality>> = BTreeMap::new();
        for (l, q) in &found {
            if let Some(name) = data.categories.get(*l as usize).filter(|c| !c.is_empty()) {
                categories.entry(name.clone()).or_default().push(q);
            }
        }
        let groups: Vec<Vec<&Quality>> = if data.is_open_set() {
            classes.values().cloned().collect()
        } else {
            found.iter().map(|(_, q)| vec![*q]).collect()
        };
        // By measure: the sum over each group, and how many queries it has.
        let names = names(ks);
        let mut sums = vec![Vec::with_capacity(groups.len()); names.len()];
        for group in &groups {
            let mut of_group = vec![0.0; names.len()];
            for quality in group {
                of_group.iter_mut().zip(quality.values()).for_each(|(sum, value)| *sum += value);
            }
            let n = group.len() as f64;
            sums.iter_mut().zip(of_group).for_each(|(sums, sum)| sums.push((sum, n)));
        }
        let intervals = names.into_iter().zip(sums.iter().map(|sums| mean_interval(sums))).collect();
        RetrievalReport {
            ks: ks.to_vec(),
            queries: found.len(),
            without_match: each.len() - found.len(),
            by_classes: data.is_open_set(),
            micro: Quality::mean(found.iter().map(|f| f.1), ks.len()),
            per_class: Quality::mean(of_class.iter().map(|c| &c.1), ks.len()),
            intervals,
            by_class: of_class.into_iter().map(|(l, q)| (data.classes[l as usize].clone(), q)).collect(),
            by_category: categories.into_iter().map(|(name, list)| (name, mean(&list))).collect(),
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

    #[test]
    fn all_measures_follow_from_the_ranks_of_the_right_ones() {
        let q = Quality::of_ranks(&[2, 3, 7], &[1, 3, 10]);
        assert_eq!(q.recall_at, [0.0, 1.0, 1.0]);
        assert_eq!(q.precision_at, [0.0, 2.0 / 3.0, 0.3]);
        assert_eq!((q.r_precision, q.mrr), (2.0 / 3.0, 0.5));
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(q.map, (0.5 + 2.0 / 3.0 + 3.0 / 7.0) / 3.0);
        close(q.map_at_r, (0.5 + 2.0 / 3.0) / 3.0);
        let best = 1.0 + 1.0 / 3f64.log2() + 0.5;
        close(q.ndcg_at[2], (1.0 / 3f64.log2() + 0.5 + 1.0 / 3.0) / best);
        let perfect = Quality::of_ranks(&[1, 2, 3], &[1, 5]);
        assert!(perfect.named(&[1, 5]).iter().all(|(n, v)| *v == 1.0 || n == "Precision@5"), "{perfect:?}");
        let same = rank_quality((1..=3).map(|r| [2, 3, 7].contains(&r)), 3);
        assert_eq!((same.r_precision, same.map_at_r), (q.r_precision, q.map_at_r));
    }
}
