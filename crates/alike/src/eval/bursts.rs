//! Bursts: pictures of one thing that were taken one after another, and are far more alike than any others.
//!
//! Who calibrates by leaving an image out must leave out its siblings as well, or promises what new images do not keep. Where nobody
//! says which images belong together, the distances do: joined nearest first, images of bursts join at distances far below those at
//! which bursts join each other, with a gap between the two.

use super::Reference;
use crate::images::Vectors;
use crate::neighbours::{Exact, Exclude, Neighbour, nearest};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// Neighbours by which images are joined.
const NEAR: usize = 24;
/// Images of a burst, at most, in the middle: what is larger is a kind of thing rather than a burst.
const LARGEST: usize = 24;
/// Bursts, or images that stand alone, at least: of fewer nothing can be said.
const FEWEST: usize = 8;
/// How many joins are between bursts' members at least, and at least as a share of all images.
const JOINS: usize = 5;
const SHARE: f64 = 0.05;
/// How much longer a typical join between bursts is than one within.
const RATIO: f64 = 3.0;
/// Around the gap, by this factor up and down, lies no more than this share of the joins below it.
const WIDTH: f64 = 1.4;
const WITHIN: f64 = 0.1;

/// Images that belong together by their distances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Bursts {
    /// By image: its burst; an image that stands alone has a number of its own.
    #[serde(skip)]
    pub groups: Vec<u32>,
    /// Bursts of two images or more.
    pub bursts: usize,
    /// Images of these.
    pub images: usize,
}

impl Bursts {
    /// How many there are that are independent of each other: bursts, and images that stand alone.
    pub fn independent(&self) -> usize {
        self.groups.iter().max().map_or(0, |m| *m as usize + 1)
    }
}

/// The bursts among images, each of which is of one class. Nothing if no gap tells them from the rest, as is so of images that were taken
/// one by one.
pub fn bursts(images: Reference<'_>) -> Option<Bursts> {
    look(images).0
}

/// The same, and the nearest others of each image, where all are of one class.
fn look(images: Reference<'_>) -> (Option<Bursts>, Vec<Vec<Neighbour>>) {
    images.check();
    let (joins, near) = joins(images);
    (among(images.len(), &joins), near)
}

fn among(n: usize, joins: &[Join]) -> Option<Bursts> {
    let lengths: Vec<f64> = joins.iter().map(|j| j.0).collect();
    let below = gap(&lengths, n)?;
    let mut sets = Sets::new(n);
    joins[..below].iter().for_each(|(_, a, b)| {
        sets.join(*a, *b);
    });
    let mut numbers: BTreeMap<usize, u32> = BTreeMap::new();
    let groups: Vec<u32> = (0..n)
        .map(|i| {
            let next = numbers.len() as u32;
            *numbers.entry(sets.find(i)).or_insert(next)
        })
        .collect();
    let mut sizes = vec![0usize; numbers.len()];
    groups.iter().for_each(|g| sizes[*g as usize] += 1);
    let mut many: Vec<usize> = sizes.iter().copied().filter(|s| *s > 1).collect();
    many.sort_unstable();
    let usual = many.get(many.len() / 2).copied()?;
    let found = Bursts { groups, bursts: many.len(), images: many.iter().sum() };
    (usual <= LARGEST && sizes.len() >= FEWEST).then_some(found)
}

/// A distance, and the two images that it joins.
type Join = (f64, usize, usize);

/// The edges by which images of a class hang together, nearest first: a minimum spanning forest of each one's near neighbours.
/// Pictures that are there twice hang together at no distance, and are no burst.
fn joins(images: Reference<'_>) -> (Vec<Join>, Vec<Vec<Neighbour>>) {
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    images.labels.iter().enumerate().for_each(|(i, l)| classes.entry(*l).or_default().push(i));
    let (mut joins, mut near) = (Vec::new(), Vec::new());
    for members in classes.values() {
        let rows = images.vectors.select(members);
        let v = Vectors::Features(&rows);
        let lists = nearest(&Exact::new(v), v, NEAR, Exclude::Itself, |_, list| list.to_vec());
        let mut edges: Vec<Join> = lists
            .iter()
            .enumerate()
            .flat_map(|(i, list)| list.iter().map(move |n| (n.distance, i.min(n.index), i.max(n.index))))
            .collect();
        edges.par_sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut sets = Sets::new(members.len());
        joins.extend(
            edges
                .into_iter()
                .filter(|(_, a, b)| sets.join(*a, *b))
                .map(|(d, a, b)| (d, members[a], members[b])),
        );
        if classes.len() == 1 {
            near = lists;
        }
    }
    joins.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    (joins, near)
}

/// How many joins lie below the gap between those within bursts and those between them, if there is one.
fn gap(lengths: &[f64], images: usize) -> Option<usize> {
    let all = lengths.len();
    let least = JOINS.max((SHARE * images as f64).ceil() as usize);
    let mut best: Option<(f64, usize)> = None;
    for below in least..all.saturating_sub(1) {
        let (near, far) = (lengths[below - 1], lengths[below]);
        // Where pictures coincide, half the nearest distance that is none stands for it.
        let at = (near.max(far * 1e-3) * far).sqrt();
        let (within, between) = (lengths[below / 2], lengths[below + (all - below) / 2]);
        if far <= near || between < RATIO * within.max(f64::MIN_POSITIVE) {
            continue;
        }
        let low = lengths.partition_point(|d| *d < at / WIDTH);
        let high = lengths.partition_point(|d| *d <= at * WIDTH);
        // Neither side may be thin: a few images far from all others are no proof.
        let around = (high - low) as f64;
        let allowed = WITHIN * below.min(all - below) as f64;
        if around > allowed {
            continue;
        }
        let width = far / near.max(far * 1e-3);
        if best.is_none_or(|b| width > b.0) {
            best = Some((width, below));
        }
    }
    best.map(|b| b.1)
}

/// Sets of numbers that are joined.
pub(crate) struct Sets {
    above: Vec<usize>,
}

impl Sets {
    pub(crate) fn new(n: usize) -> Sets {
        Sets { above: (0..n).collect() }
    }

    pub(crate) fn find(&mut self, i: usize) -> usize {
        let mut top = i;
        while self.above[top] != top {
            top = self.above[top];
        }
        let mut at = i;
        while self.above[at] != top {
            at = std::mem::replace(&mut self.above[at], top);
        }
        top
    }

    /// Whether the two were apart. The smaller number stands for both.
    pub(crate) fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        self.above[a.max(b)] = a.min(b);
        a != b
    }
}

/// Which images belong together.
#[derive(Clone, Debug, Default)]
pub struct Siblings {
    /// By image: its group, as it is known or as its burst says; none where nobody knows of any.
    pub groups: Vec<u32>,
    /// The bursts that were found, where no groups are known.
    pub bursts: Option<Bursts>,
    /// By image: the nearest others, nearest first, where bursts were looked for among images of one class. Otherwise none.
    pub near: Vec<Vec<Neighbour>>,
}

/// Groups that are known, or bursts that are found.
pub fn known_or_found(images: Reference<'_>) -> Siblings {
    if !images.groups.is_empty() {
        return Siblings { groups: images.groups.to_vec(), ..Siblings::default() };
    }
    let (bursts, near) = look(images);
    Siblings { groups: bursts.as_ref().map_or_else(Vec::new, |b| b.groups.clone()), bursts, near }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{AnomalyMethod, Detector};
    use crate::identity::Identities;
    use crate::images::Features;
    use crate::rng::mix;

    fn uniform(seed: u64, i: u64) -> f64 {
        (mix(i ^ mix(seed)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A standard normal number: Box and Muller.
    fn normal(seed: u64, i: u64) -> f64 {
        let (a, b) = (uniform(seed, 2 * i).max(1e-300), uniform(seed, 2 * i + 1));
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// Things in `d` dimensions, a picture of each `size` times, apart by `noise`.
    fn things(seed: u64, count: usize, size: usize, d: usize, noise: f64) -> Features {
        let value = |thing: usize, picture: usize, k: usize| {
            let at = normal(seed, (thing * d + k) as u64);
            at + noise * normal(seed ^ 77, ((thing * 64 + picture) * d + k) as u64)
        };
        let all = (0..count * size).flat_map(|i| (0..d).map(move |k| (i / size, i % size, k)));
        Features::new(d, all.map(|(t, p, k)| value(t, p, k) as f32).collect())
    }

    fn found(features: &Features) -> Option<Bursts> {
        let n = features.len();
        bursts(Reference::new(Vectors::Features(features), &vec![0; n], &Identities::numbered(n)))
    }

    #[test]
    fn bursts_are_found_and_images_taken_one_by_one_are_none() {
        for d in [2, 8, 32] {
            let noise = if d == 2 { 0.004 } else { 0.03 };
            let six = found(&things(d as u64, 37, 6, d, noise)).unwrap();
            let apart =
                (0..222).all(|i| (0..222).all(|j| (i / 6 == j / 6) == (six.groups[i] == six.groups[j])));
            // In the plane two things may lie as near each other as pictures of one.
            assert!(apart || d == 2 && six.bursts >= 33, "{d}: {} bursts of {}", six.bursts, six.images);
            assert!(d == 2 || six.independent() == 37);
            // As many images one by one, in 40 samples of each size: no gap.
            for (seed, n) in (0..40).flat_map(|s| [30, 220, 1000].map(|n| (s, n))) {
                let none = found(&things(1000 + seed, n, 1, d, 0.0));
                assert_eq!(none, None, "{d} dimensions, sample {seed} of {n}");
            }
        }
        // Half the things stand alone.
        let mut mixed = things(5, 60, 4, 16, 0.02).into_data();
        mixed.extend_from_slice(things(6, 100, 1, 16, 0.0).data());
        let half = found(&Features::new(16, mixed)).unwrap();
        assert_eq!((half.bursts, half.images, half.independent()), (60, 240, 160));
        // A few kinds of parts, of 50 each, are no bursts.
        assert_eq!(found(&things(9, 5, 50, 16, 0.05)), None);
    }

    #[test]
    fn classes_that_lie_far_apart_are_no_bursts() {
        let n = 400;
        let features = things(3, 40, 10, 16, 0.05);
        let labels: Vec<u32> = (0..n as u32).map(|i| i / 10).collect();
        let ids = Identities::numbered(n);
        assert_eq!(bursts(Reference::new(Vectors::Features(&features), &labels, &ids)), None);
    }

    /// Neighbours that are known give the same detector as those that are searched: with bursts, without, and for more neighbours than
    /// are known.
    #[test]
    fn a_detector_does_not_search_twice() {
        for (size, method) in [1, 6]
            .into_iter()
            .flat_map(|size| ["knn:k=1", "knn:k=30", "lof:k=20", "mahalanobis"].map(|m| (size, m)))
        {
            let method: AnomalyMethod = method.parse().unwrap();
            let reference = things(8, 240 / size, size, 8, 0.03);
            let n = reference.len();
            let (labels, ids) = (vec![0; n], Identities::numbered(n));
            let plain = Reference::new(Vectors::Features(&reference), &labels, &ids);
            let siblings = known_or_found(plain);
            assert_eq!((siblings.bursts.is_some(), siblings.near.len()), (size > 1, n));
            let of = Reference { groups: &siblings.groups, ..plain };
            let known = Detector::fit_near(of, method, &siblings.near).unwrap();
            let searched = Detector::fit(of, method).unwrap();
            assert_eq!(known.reference_scores(), searched.reference_scores(), "{method}, {size}");
            let new = things(9, 50, 1, 8, 0.0);
            let score = |d: &Detector<'_>| d.score(Vectors::Features(&new), None);
            assert_eq!(score(&known), score(&searched));
        }
    }

    #[test]
    fn false_alarms_are_as_promised_where_references_come_in_bursts() {
        let promised = 0.05;
        for method in [AnomalyMethod::Knn { k: 1 }, AnomalyMethod::Mahalanobis, AnomalyMethod::Lof { k: 20 }]
        {
            let (mut alone, mut together) = (0, 0);
            let (mut asked, rounds) = (0, 8);
            for round in 0..rounds {
                let reference = things(round, 100, 6, 8, 0.03);
                // Things that nobody has seen, each asked about once.
                let new = things(900 + round, 300, 1, 8, 0.0);
                let n = reference.len();
                let (labels, ids) = (vec![0; n], Identities::numbered(n));
                let plain = Reference::new(Vectors::Features(&reference), &labels, &ids);
                let groups = bursts(plain).unwrap().groups;
                for (alarms, groups) in [(&mut alone, &[][..]), (&mut together, &groups[..])] {
                    let d = Detector::fit(Reference { groups, ..plain }, method).unwrap();
                    let mut own: Vec<f64> = d.reference_scores().into_iter().flatten().collect();
                    own.sort_by(f64::total_cmp);
                    let threshold = own[((1.0 - promised) * own.len() as f64) as usize];
                    let scores = d.score(Vectors::Features(&new), None);
                    *alarms += scores.iter().filter(|s| **s > threshold).count();
                }
                asked += new.len();
            }
            let [alone, together] = [alone, together].map(|n| n as f64 / asked as f64);
            assert!((0.02..=0.08).contains(&together), "{method}: {together} alarms at {promised}");
            if matches!(method, AnomalyMethod::Knn { .. }) {
                assert!(alone > 0.3, "{method}: image by image {alone} alarms at {promised}");
            }
        }
    }
}
