//! Some images that stand for all, where all are too many; and folds.
//!
//! An image is drawn by a hash of the seed and its key ([`crate::identity`]), never by its place in a list: a regular sample falls
//! in step with lists whose classes take turns, or that hold two images of every class. What is drawn is listed in the order of that
//! hash, so a result is the same, to the bit, for any order of the images.

use crate::rng::mix;
use std::collections::BTreeMap;

/// Where an image of `key` stands in the order of a seed.
fn rank(key: u64, seed: u64) -> u64 {
    mix(key ^ mix(seed))
}

/// Sorts `images` into the order of a seed.
fn sort(images: &mut [usize], keys: &[u64], seed: u64) {
    images.sort_by_key(|i| (rank(keys[*i], seed), *i));
}

/// `most` of the images, or all where there are fewer, each as likely as any other.
pub fn some(keys: &[u64], most: usize, seed: u64) -> Vec<usize> {
    let mut all: Vec<usize> = (0..keys.len()).collect();
    sort(&mut all, keys, seed);
    all.truncate(most);
    all
}

/// By label: its images, in the order of a seed.
fn by_class(labels: &[u32], keys: &[u64], seed: u64) -> BTreeMap<u32, Vec<usize>> {
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    some(keys, keys.len(), seed).into_iter().for_each(|i| classes.entry(labels[i]).or_default().push(i));
    classes
}

/// `most` of the images: `at_least` of every class, or all that it has, and of what is left of the classes shares as large as
/// they are. Where there are too many classes for that, some of them are drawn, each as likely as any other.
///
/// # Panics
///
/// If there is not a label for each key.
pub fn stratified(labels: &[u32], keys: &[u64], most: usize, at_least: usize, seed: u64) -> Vec<usize> {
    assert_eq!(labels.len(), keys.len(), "sample: a label for each image");
    let n = keys.len();
    if n <= most {
        return some(keys, most, seed);
    }
    let mut classes: Vec<Vec<usize>> = by_class(labels, keys, seed).into_values().collect();
    // The order in which classes are drawn follows from their first images.
    classes.sort_by_key(|members| (rank(keys[members[0]], !seed), members[0]));
    let fewest = |members: &[usize]| members.len().min(at_least.max(1));
    let needed: usize = classes.iter().map(|c| fewest(c)).sum();
    let mut drawn: Vec<usize> = Vec::with_capacity(most);
    if needed > most {
        for members in classes {
            let take = fewest(&members);
            if drawn.len() + take > most && !drawn.is_empty() {
                break;
            }
            drawn.extend(&members[..take]);
        }
    } else {
        // What is left of `most` once every class has its fewest is shared out by what is left of the classes.
        let spare = most - needed;
        let rest = n - needed;
        let (mut seen, mut given) = (0, 0);
        for members in classes {
            let least = fewest(&members);
            seen += members.len() - least;
            let by_now = (seen as u128 * spare as u128 / rest.max(1) as u128) as usize;
            drawn.extend(&members[..least + by_now - given]);
            given = by_now;
        }
    }
    sort(&mut drawn, keys, seed);
    drawn
}

/// By image: its fold, from 0 to `folds - 1`. The images of a class are dealt evenly; with `groups`, those of a group stay together.
///
/// # Panics
///
/// If there is not a label, and a group, for each key.
pub fn folds(labels: &[u32], groups: Option<&[u32]>, keys: &[u64], folds: usize, seed: u64) -> Vec<usize> {
    assert!(labels.len() == keys.len() && groups.is_none_or(|g| g.len() == keys.len()));
    let mut fold = vec![0; keys.len()];
    let mut next = 0;
    for members in by_class(labels, keys, seed).into_values() {
        let Some(groups) = groups else {
            for i in members {
                fold[i] = next % folds;
                next += 1;
            }
            continue;
        };
        // A group of two classes follows its fold among the first of them.
        let mut of_group: BTreeMap<u32, usize> = BTreeMap::new();
        for i in members {
            fold[i] = *of_group.entry(groups[i]).or_insert_with(|| {
                next += 1;
                (next - 1) % folds
            });
        }
    }
    if let Some(groups) = groups {
        let mut first: BTreeMap<u32, usize> = BTreeMap::new();
        for i in some(keys, keys.len(), seed) {
            fold[i] = *first.entry(groups[i]).or_insert(fold[i]);
        }
    }
    fold
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(n: usize) -> Vec<u64> {
        (0..n as u64).map(mix).collect()
    }

    #[test]
    fn two_images_a_class_stay_two_and_shares_are_kept() {
        // Classes in turn, two images each: a stride of two would take one of each.
        let labels: Vec<u32> = (0..4000).map(|i| i % 2000).collect();
        let drawn = stratified(&labels, &keys(4000), 2000, 2, 0);
        let mut counts = vec![0; 2000];
        drawn.iter().for_each(|i| counts[labels[*i] as usize] += 1);
        assert_eq!(drawn.len(), 2000);
        assert!(counts.iter().all(|c| *c == 0 || *c == 2));
        // 900 and 90 and 10 of 1,000: two of each, and 94 by what is left, 898 and 88 and 8: 84.9, 8.3 and 0.8.
        let labels: Vec<u32> = (0..1000).map(|i| u32::from(i >= 900) + u32::from(i >= 990)).collect();
        let drawn = stratified(&labels, &keys(1000), 100, 2, 7);
        let count = |class| drawn.iter().filter(|i| labels[**i] == class).count();
        assert_eq!(drawn.len(), 100);
        assert!(
            (86..=87).contains(&count(0)) && (10..=11).contains(&count(1)) && (2..=3).contains(&count(2))
        );
    }

    #[test]
    fn every_image_is_as_likely_as_any_other() {
        let mut times = vec![0u32; 50];
        (0..2000).for_each(|seed| some(&keys(50), 10, seed).iter().for_each(|i| times[*i] += 1));
        // A binomial of 2,000 draws at a fifth: 400, with a deviation of 18.
        assert!(times.iter().all(|t| (310..490).contains(t)), "{times:?}");
    }

    #[test]
    fn folds_are_even_within_classes_and_keep_groups() {
        // `i % 5` would put all of a class into one fold.
        let labels: Vec<u32> = (0..100).map(|i| i % 5).collect();
        let of = folds(&labels, None, &keys(100), 5, 0);
        for class in 0..5 {
            for f in 0..5 {
                assert_eq!((0..100).filter(|i| labels[*i] == class && of[*i] == f).count(), 4);
            }
        }
        let groups: Vec<u32> = (0..100).map(|i| i / 7).collect();
        let of = folds(&labels, Some(&groups), &keys(100), 5, 0);
        assert!((0..100).all(|i| (0..100).all(|j| groups[i] != groups[j] || of[i] == of[j])));
        assert!((0..5).all(|f| of.contains(&f)));
    }

    proptest! {
        #[test]
        fn the_order_of_the_images_changes_nothing(
            labels in prop::collection::vec(0u32..5, 2..60),
            turn in 0usize..60, most in 1usize..60, at_least in 0usize..4, seed in 0u64..9,
        ) {
            let n = labels.len();
            let keys = keys(n);
            let other: Vec<usize> = some(&keys, n, turn as u64);
            let moved = |v: &[u64]| other.iter().map(|i| v[*i]).collect::<Vec<_>>();
            let classes: Vec<u32> = other.iter().map(|i| labels[*i]).collect();
            let back = |list: Vec<usize>| list.into_iter().map(|i| other[i]).collect::<Vec<_>>();
            prop_assert_eq!(some(&keys, most, seed), back(some(&moved(&keys), most, seed)));
            prop_assert_eq!(
                stratified(&labels, &keys, most, at_least, seed),
                back(stratified(&classes, &moved(&keys), most, at_least, seed))
            );
            let groups: Vec<u32> = (0..n as u32).map(|i| i / 3).collect();
            let moved_groups: Vec<u32> = other.iter().map(|i| groups[*i]).collect();
            for (here, there) in [(None, None), (Some(&groups[..]), Some(&moved_groups[..]))] {
                let now = folds(&labels, here, &keys, 5, seed);
                let then = folds(&classes, there, &moved(&keys), 5, seed);
                prop_assert!((0..n).all(|at| now[other[at]] == then[at]));
            }
        }
    }
}
