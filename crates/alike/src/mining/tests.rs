use super::*;
use crate::rng::{Purpose, stream};
use crate::text::Choice;

/// Every miner, against what its definition says, by loops that have nothing in common with it but the definition.
fn check(miner: &str, holds: impl Fn(&Candidates<'_>, &Tuples)) {
    let miner: Miner = miner.parse().unwrap();
    for (labels, seed) in [
        (vec![0, 0, 1, 1, 2, 2, 2, 0, 3], 1.0f32),
        (vec![5; 4], 0.3),
        (vec![0, 1, 2, 3], 0.9),
        (vec![0, 0, 1], 0.1),
        (vec![], 0.0),
    ] {
        let d = 5;
        let x: Vec<f32> = (0..labels.len() * d).map(|i| (i as f32 * 1.7 + seed).sin()).collect();
        let distance = miner.distance().unwrap_or(Distance::Chord);
        let distances = distances(Tier::available()[0], distance, &x, None, d);
        let itself = (0..labels.len()).map(Some).collect();
        let candidates = Candidates { labels: &labels, references: &labels, distances, d, itself };
        let tuples = miner.mine(&candidates, &mut stream(1, Purpose::Mining, 0, 0));
        holds(&candidates, &tuples);
    }
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let refused = |text: &str| text.parse::<Miner>().unwrap().refusal().is_some();
    for text in [
        "hdc:filter-percentage=-1",
        "hdc:filter-percentage=0",
        "hdc:filter-percentage=1.5",
        "batch-easy-hard:neg-low=0.9,neg-high=0.1",
        "batch-easy-hard:pos-low=1,pos-high=0",
        "distance-weighted:cutoff=0",
        "angular:angle=90",
        "angular:angle=-1",
        "hard-range:take=0",
        "uniform-histogram:num-bins=0",
    ] {
        assert!(refused(text), "{text}");
    }
    for text in ["hdc:filter-percentage=1", "batch-easy-hard:neg-low=0.1,neg-high=0.9", "angular:angle=45"] {
        assert!(!refused(text), "{text}");
    }
    assert!(Miner::all().iter().all(|m| m.refusal().is_none()));
}

fn triplets(tuples: &Tuples) -> Vec<[usize; 3]> {
    let Tuples::Triplets(lists) = tuples else { panic!("not triplets: {tuples:?}") };
    let all = (0..lists.anchors())
        .flat_map(|a| lists.of(a).iter().map(move |[p, n]| [a, *p as usize, *n as usize]));
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    all
}

fn pairs(tuples: &Tuples) -> (Vec<[usize; 2]>, Vec<[usize; 2]>) {
    let Tuples::Pairs { positives, negatives } = tuples else { panic!("not pairs: {tuples:?}") };
    let list = |lists: &Lists<u32>| {
        let all = (0..lists.anchors()).flat_map(|a| lists.of(a).iter().map(move |j| [a, *j as usize]));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable();
        all
    };
    (list(positives), list(negatives))
}

fn all_triplets(c: &Candidates<'_>, keep: impl Fn(f64, f64) -> bool) -> Vec<[usize; 3]> {
    let n = c.len();
    let mut out = Vec::new();
    for a in 0..n {
        for p in 0..n {
            for q in 0..n {
                if a != p && c.labels[a] == c.labels[p] && c.labels[a] != c.labels[q] {
                    let (ap, an) = (c.distances[a * n + p], c.distances[a * n + q]);
                    if keep(ap, an) {
                        out.push([a, p, q]);
                    }
                }
            }
        }
    }
    out
}

fn all_pairs(c: &Candidates<'_>, same: bool, keep: impl Fn(usize, f64) -> bool) -> Vec<[usize; 2]> {
    let n = c.len();
    let mut out = Vec::new();
    for a in 0..n {
        for j in 0..n {
            if a != j && (c.labels[a] == c.labels[j]) == same && keep(a, c.distances[a * n + j]) {
                out.push([a, j]);
            }
        }
    }
    out
}

fn extreme(c: &Candidates<'_>, a: usize, same: bool, largest: bool) -> Option<f64> {
    let all = all_pairs(c, same, |i, _| i == a);
    let each = all.iter().map(|[a, j]| c.distances[a * c.len() + j]);
    if largest { each.reduce(f64::max) } else { each.reduce(f64::min) }
}

#[test]
fn triplet_margins_keep_what_their_type_says() {
    type Keep = fn(f64, f64) -> bool;
    let types: [(&str, Keep); 4] = [
        ("all", |ap, an| an - ap <= 0.2),
        ("hard", |ap, an| an - ap <= 0.0),
        ("semihard", |ap, an| an - ap > 0.0 && an - ap <= 0.2),
        ("easy", |ap, an| an - ap > 0.2),
    ];
    for (name, keep) in types {
        check(&format!("triplet-margin:triplets={name}"), |c, t| {
            assert_eq!(triplets(t), all_triplets(c, keep), "{name}");
        });
    }
    check("semi-hard", |c, t| {
        assert_eq!(triplets(t), all_triplets(c, |ap, an| an - ap > 0.0 && an - ap <= 0.2));
    });
}

#[test]
fn pair_margins_keep_far_positives_and_near_negatives() {
    check("pair-margin:pos-margin=0.9,neg-margin=1.2", |c, t| {
        let expected = (all_pairs(c, true, |_, d| d > 0.9), all_pairs(c, false, |_, d| d < 1.2));
        assert_eq!(pairs(t), expected);
    });
}

#[test]
fn batch_hard_takes_the_extremes() {
    check("batch-hard", |c, t| {
        let found = triplets(t);
        let both = |a: usize| extreme(c, a, true, true).zip(extreme(c, a, false, false));
        assert_eq!(found.len(), (0..c.len()).filter(|a| both(*a).is_some()).count());
        for [a, p, n] in found {
            let of = |j: usize| c.distances[a * c.len() + j];
            assert_eq!(Some((of(p), of(n))), both(a));
        }
    });
}

#[test]
fn batch_easy_hard_takes_one_of_each_as_its_strategies_say() {
    // Which of the distances that are left is taken: the largest or the smallest.
    let choose = |all: Vec<f64>, largest: bool| {
        if largest { all.into_iter().reduce(f64::max) } else { all.into_iter().reduce(f64::min) }
    };
    for (pos, neg) in [
        ("easy", "semihard"),
        ("hard", "semihard"),
        ("semihard", "hard"),
        ("semihard", "easy"),
        ("easy", "easy"),
        ("easy", "hard"),
        ("hard", "easy"),
    ] {
        check(&format!("batch-easy-hard:pos={pos},neg={neg}"), |c, t| {
            let n = c.len();
            let (found_p, found_n) = pairs(t);
            let mut anchors = Vec::new();
            for a in 0..n {
                let all = |same: bool| -> Vec<f64> {
                    let each = all_pairs(c, same, |i, _| i == a);
                    each.iter().map(|[_, j]| c.distances[a * n + j]).collect()
                };
                let plain_p = choose(all(true), pos != "easy");
                let plain_n = choose(all(false), neg == "easy");
                // The semihard one is the hardest that is still easier than the other.
                let p = if pos == "semihard" {
                    plain_n.and_then(|b| choose(all(true).into_iter().filter(|d| *d < b).collect(), true))
                } else {
                    plain_p
                };
                let q = if neg == "semihard" {
                    plain_p.and_then(|b| choose(all(false).into_iter().filter(|d| *d > b).collect(), false))
                } else {
                    plain_n
                };
                let Some(expected) = p.zip(q) else { continue };
                anchors.push(a);
                let of = |found: &[[usize; 2]]| -> Vec<f64> {
                    found.iter().filter(|f| f[0] == a).map(|f| c.distances[a * n + f[1]]).collect()
                };
                assert_eq!((of(&found_p), of(&found_n)), (vec![expected.0], vec![expected.1]), "{pos} {neg}");
            }
            assert_eq!(found_p.len(), anchors.len(), "{pos} {neg}");
        });
    }
}

#[test]
fn angular_keeps_triangles_that_are_wide_at_the_negative() {
    check("angular:angle=30", |c, t| {
        let n = c.len();
        let d = |i: usize, j: usize| c.distances[i * n + j];
        let expected: Vec<[usize; 3]> = all_triplets(c, |_, _| true)
            .into_iter()
            .filter(|&[a, p, q]| {
                // Apollonius: the squares of two sides are twice those of the median and of half the third.
                let median =
                    ((d(a, q).powi(2) + d(p, q).powi(2) - d(a, p).powi(2) / 2.0) / 2.0).max(0.0).sqrt();
                (d(a, p) / (2.0 * median)).atan().to_degrees() > 30.0
            })
            .collect();
        assert_eq!(triplets(t), expected);
    });
}

#[test]
fn multi_similarity_compares_with_the_hardest_of_the_other_kind() {
    check("multi-similarity", |c, t| {
        let positives =
            all_pairs(c, true, |a, d| extreme(c, a, false, false).is_some_and(|nearest| d + 0.1 > nearest));
        let negatives =
            all_pairs(c, false, |a, d| extreme(c, a, true, true).is_some_and(|farthest| d - 0.1 < farthest));
        assert_eq!(pairs(t), (positives, negatives));
    });
}

#[test]
fn hdc_keeps_the_hardest_half() {
    check("hdc", |c, t| {
        for (same, found) in [(true, pairs(t).0), (false, pairs(t).1)] {
            let all = all_pairs(c, same, |_, _| true);
            assert_eq!(found.len(), all.len().div_ceil(2));
            let of = |[a, j]: &[usize; 2]| c.distances[a * c.len() + j] * if same { 1.0 } else { -1.0 };
            let easiest_kept = found.iter().map(of).fold(f64::INFINITY, f64::min);
            let hardest_left =
                all.iter().filter(|p| !found.contains(p)).map(of).fold(f64::NEG_INFINITY, f64::max);
            assert!(found.is_empty() || easiest_kept >= hardest_left);
        }
    });
}

#[test]
fn hard_ranges_skip_the_very_hardest() {
    check("hard-range:skip=1,take=2", |c, t| {
        let (positives, negatives) = pairs(t);
        for (same, found) in [(true, positives), (false, negatives)] {
            for a in 0..c.len() {
                let mut all = all_pairs(c, same, |i, _| i == a);
                let of = |p: &[usize; 2]| c.distances[p[0] * c.len() + p[1]] * if same { -1.0 } else { 1.0 };
                all.sort_by(|x, y| of(x).total_cmp(&of(y)));
                // A class of few keeps its last positive.
                let skip = 1.min(all.len().saturating_sub(1));
                let mut expected: Vec<_> = all.into_iter().skip(skip).take(2).collect();
                expected.sort_unstable();
                let own: Vec<_> = found.iter().filter(|p| p[0] == a).copied().collect();
                assert_eq!(own, expected);
            }
        }
    });
}

#[test]
fn drawn_tuples_are_of_the_right_classes() {
    for miner in ["distance-weighted", "uniform-histogram:pos-per-bin=2"] {
        check(miner, |c, t| {
            let (positives, negatives) = match t {
                Tuples::Triplets(_) => (
                    triplets(t).iter().map(|t| [t[0], t[1]]).collect(),
                    triplets(t).iter().map(|t| [t[0], t[2]]).collect(),
                ),
                _ => pairs(t),
            };
            assert!(positives.iter().all(|[a, p]| a != p && c.labels[*a] == c.labels[*p]), "{miner}");
            assert!(negatives.iter().all(|[a, n]| c.labels[*a] != c.labels[*n]), "{miner}");
        });
    }
}

#[test]
fn a_misspelt_miner_is_answered() {
    assert!("semi-herd".parse::<Miner>().unwrap_err().to_string().contains("did you mean 'semi-hard'"));
}
