//! A data set's health as an embedding sees it: labels that neighbours contradict, images that are there twice, classes that are
//! taken for each other.

use crate::images::{Features, Vectors};
use crate::neighbours::{Leave, Neighbour, nearest};
use alike_kernels::Tier;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// An image whose label its neighbours judge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Its number.
    pub image: usize,
    /// Its label.
    pub label: u32,
    /// The likeliest other label.
    pub other: u32,
    /// From -1, all neighbours are of its label, to 1, all are of the other one. Above 0 the label is likelier wrong than right.
    pub doubt: f64,
    /// The mean distance to its neighbours.
    pub distance: f64,
}

/// Two classes, images of one of which lie among the other's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Confused {
    /// The two labels, the smaller first.
    pub classes: [u32; 2],
    /// Images of either whose neighbours favour the other.
    pub images: usize,
    /// Their share of all images of both.
    pub share: f64,
}

/// What is doubtful about a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// By image.
    pub verdicts: Vec<Verdict>,
    /// Images that look the same, the smaller number first.
    pub twice: Vec<[usize; 2]>,
    /// Classes by how many images are taken for the other's, most first.
    pub confused: Vec<Confused>,
}

/// Neighbours that are looked at for images that look the same.
const SAME: usize = 3;

/// Judges every image by its `k` nearest others; votes weigh one over the distance. `same` tells whether two images look the
/// same, as [`crate::data::look_alike`] does; only neighbours are asked about.
///
/// # Panics
///
/// If numbers do not fit together, or `k` is zero.
pub fn health(
    tier: Tier,
    features: &Features,
    labels: &[u32],
    k: usize,
    same: impl Fn(usize, usize) -> bool + Sync,
) -> Health {
    assert!(features.len() == labels.len() && k > 0, "health: one label an image");
    let v = Vectors::Features(features);
    let lists: Vec<Vec<Neighbour>> = nearest(tier, v, v, k.max(SAME), Leave::Itself, |_, list| list.to_vec());
    let verdicts: Vec<Verdict> =
        lists.iter().enumerate().map(|(i, list)| verdict(i, labels, &list[..k.min(list.len())])).collect();
    let mut twice: Vec<[usize; 2]> = lists
        .par_iter()
        .enumerate()
        .flat_map_iter(|(i, list)| {
            let near = list.iter().take(SAME).map(|n| n.index);
            near.filter(|j| same(i, *j)).map(|j| [i.min(j), i.max(j)]).collect::<Vec<_>>()
        })
        .collect();
    twice.sort_unstable();
    twice.dedup();
    let mut counts: BTreeMap<[u32; 2], usize> = BTreeMap::new();
    let doubtful = verdicts.iter().filter(|v| v.doubt > 0.0);
    doubtful.for_each(|v| *counts.entry([v.label.min(v.other), v.label.max(v.other)]).or_default() += 1);
    let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
    labels.iter().for_each(|l| *sizes.entry(*l).or_default() += 1);
    let mut confused: Vec<Confused> = counts
        .into_iter()
        .map(|(classes, images)| {
            let of = classes.map(|c| sizes[&c]).iter().sum::<usize>();
            Confused { classes, images, share: images as f64 / of.max(1) as f64 }
        })
        .collect();
    confused.sort_by(|a, b| b.images.cmp(&a.images).then(b.share.total_cmp(&a.share)));
    Health { verdicts, twice, confused }
}

fn verdict(i: usize, labels: &[u32], list: &[Neighbour]) -> Verdict {
    let label = labels[i];
    let mut weights: BTreeMap<u32, f64> = BTreeMap::new();
    // Images that coincide weigh much, but no more than all others can answer.
    let floor = list.iter().map(|n| n.distance).sum::<f64>() / list.len().max(1) as f64 * 0.1;
    for n in list {
        *weights.entry(labels[n.index]).or_default() += 1.0 / n.distance.max(floor).max(1e-12);
    }
    let total: f64 = weights.values().sum();
    let own = weights.remove(&label).unwrap_or(0.0);
    let (other, most) = weights.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((label, 0.0));
    let doubt = if total > 0.0 { (most - own) / total } else { 0.0 };
    let distance = list.iter().map(|n| n.distance).sum::<f64>() / list.len().max(1) as f64;
    Verdict { image: i, label, other, doubt, distance }
}

impl Health {
    /// Images by how much their labels are in doubt, most first.
    pub fn doubtful(&self) -> Vec<Verdict> {
        let mut all = self.verdicts.clone();
        all.sort_by(|a, b| {
            b.doubt.total_cmp(&a.doubt).then(b.distance.total_cmp(&a.distance)).then(a.image.cmp(&b.image))
        });
        all
    }

    /// Images between two classes, the most undecided first.
    pub fn ambiguous(&self) -> Vec<Verdict> {
        let mut all: Vec<Verdict> = self.verdicts.iter().copied().filter(|v| v.other != v.label).collect();
        all.sort_by(|a, b| a.doubt.abs().total_cmp(&b.doubt.abs()).then(a.image.cmp(&b.image)));
        all
    }

    /// Images that are far from all others, the farthest first.
    pub fn hardest(&self) -> Vec<Verdict> {
        let mut all = self.verdicts.clone();
        all.sort_by(|a, b| b.distance.total_cmp(&a.distance).then(a.image.cmp(&b.image)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_label_an_image_between_and_one_that_is_there_twice_are_found() {
        // Two heaps of ten on a line, at 0 and at 100; number 3 has the wrong label, 20 lies between, 21 far away.
        let at: Vec<f32> = (0..10).chain(100..110).map(|v| v as f32).chain([54.5, 400.0]).collect();
        let mut labels: Vec<u32> = (0..22).map(|i| u32::from(i >= 10)).collect();
        labels[3] = 1;
        let same = |a: usize, b: usize| [a.min(b), a.max(b)] == [4, 5];
        let h = health(Tier::available()[0], &Features::new(1, at), &labels, 5, same);
        let worst = h.doubtful()[0];
        assert_eq!((worst.image, worst.label, worst.other), (3, 1, 0));
        assert!(worst.doubt > 0.9 && h.verdicts[0].doubt < 0.0);
        assert_eq!(h.hardest()[0].image, 21);
        assert_eq!(h.ambiguous()[0].image, 20);
        assert_eq!(h.twice, [[4, 5]]);
        assert_eq!(
            (h.confused[0].classes, h.confused[0].images),
            ([0, 1], h.verdicts.iter().filter(|v| v.doubt > 0.0).count())
        );
    }
}
