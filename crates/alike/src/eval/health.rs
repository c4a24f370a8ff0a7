//! A data set's health as an embedding sees it: labels that neighbours contradict, images that are there twice, classes that are
//! taken for each other.

use super::bursts::Sets;
use crate::files::FileError;
use crate::images::{Features, Vectors};
use crate::neighbours::{Exact, Exclude, Neighbour, nearest};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// An image whose label its neighbours judge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Whether its class has other images, without which nothing can be said of its label.
    pub judged: bool,
}

/// Two classes, images of one of which lie among the other's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Confused {
    /// The two labels, the smaller first.
    pub classes: [u32; 2],
    /// Images of either whose neighbours favour the other.
    pub images: usize,
    /// Their share of all images of both.
    pub share: f64,
}

/// How far a model's doubts can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fitness {
    /// Images whose class has others, so that neighbours can name it.
    pub images: usize,
    /// The share of them whose label their neighbours give, each image left out.
    pub accuracy: f64,
    /// Labels that neighbours contradict.
    pub doubts: usize,
    /// How many of these are expected to be wrong labels; the others are the model's own mistakes.
    pub expected: usize,
    /// Whether the model tells classes apart well enough for its doubts to be acted on, and at least half of them are expected to
    /// be wrong labels.
    pub fit: bool,
}

/// A model that gives fewer labels than this rightly is in no position to doubt others.
const FIT: f64 = 0.8;
/// Parts of the doubts by how strong they are.
const STRENGTHS: usize = 4;

impl Fitness {
    /// A label is taken for wrong because it is, or because the image lies where the model mistakes it. A model's own mistakes lie mostly
    /// near the border between two classes: the stronger a doubt, the fewer they are. So of each strength no more are its own mistakes than
    /// of any weaker one, and what is beyond that is expected to be wrong labels.
    fn of(verdicts: &[Verdict]) -> Fitness {
        let judged: Vec<&Verdict> = verdicts.iter().filter(|v| v.judged).collect();
        let mut counts = [0usize; STRENGTHS];
        for v in judged.iter().filter(|v| v.doubt > 0.0) {
            counts[((v.doubt * STRENGTHS as f64).ceil() as usize).clamp(1, STRENGTHS) - 1] += 1;
        }
        let doubts = counts.iter().sum();
        let mut own = usize::MAX;
        let mut expected = 0;
        for n in counts {
            own = own.min(n);
            expected += n - own;
        }
        let accuracy = (judged.len() - doubts) as f64 / judged.len().max(1) as f64;
        let fit = accuracy >= FIT && 2 * expected >= doubts;
        Fitness { images: judged.len(), accuracy, doubts, expected, fit }
    }
}

/// What is doubtful about a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// By image.
    pub verdicts: Vec<Verdict>,
    /// Groups of images that are one picture, each in rising order.
    pub twice: Vec<Vec<usize>>,
    /// How far the doubts can be trusted.
    pub fitness: Fitness,
    /// Classes by how many images are taken for the other's, most first.
    pub confused: Vec<Confused>,
}

/// Neighbours that are looked at for images that are one picture.
const SAME: usize = 8;

/// Judges every image by its `k` nearest others, those of its own group left out where there are groups; votes weigh one over the
/// distance. `same` tells whether two images are one picture, as [`crate::data::same_picture`] does; only neighbours are asked about.
///
/// # Errors
///
/// Those of `same`.
///
/// # Panics
///
/// If numbers do not fit together, or `k` is zero.
pub fn health(
    features: &Features,
    labels: &[u32],
    groups: &[u32],
    k: usize,
    same: impl Fn(usize, usize) -> Result<bool, FileError> + Sync,
) -> Result<Health, FileError> {
    assert!(features.len() == labels.len() && k > 0, "health: one label an image");
    let v = Vectors::Features(features);
    let index = Exact::new(v);
    let lists: Vec<Vec<Neighbour>> =
        nearest(&index, v, k.max(SAME), Exclude::Itself, |_, list| list.to_vec());
    let apart: Option<Vec<Vec<Neighbour>>> = (!groups.is_empty()).then(|| {
        nearest(&index, v, k, Exclude::Group { queries: groups, gallery: groups }, |_, list| list.to_vec())
    });
    // By class, and by class and group: an image is judged if its class has others that count for it.
    let mut counts: BTreeMap<(u32, Option<u32>), usize> = BTreeMap::new();
    for (i, l) in labels.iter().enumerate() {
        *counts.entry((*l, None)).or_default() += 1;
        if let Some(group) = groups.get(i) {
            *counts.entry((*l, Some(*group))).or_default() += 1;
        }
    }
    let judged = |i: usize| {
        let own = groups.get(i).map_or(1, |g| counts[&(labels[i], Some(*g))]);
        counts[&(labels[i], None)] > own
    };
    let verdicts: Vec<Verdict> = apart
        .as_ref()
        .unwrap_or(&lists)
        .iter()
        .enumerate()
        .map(|(i, list)| verdict(i, labels, &list[..k.min(list.len())], judged(i)))
        .collect();
    let pairs: Vec<Vec<[usize; 2]>> = lists
        .par_iter()
        .enumerate()
        .map(|(i, list)| {
            let near = list.iter().take(SAME).map(|n| n.index);
            // Each pair is looked at once, from whichever side it is seen.
            let seen = |j: usize| lists[j].iter().take(SAME).any(|n| n.index == i);
            let mut found = Vec::new();
            for j in near.filter(|j| i < *j || !seen(*j)) {
                if same(i, j)? {
                    found.push([i, j]);
                }
            }
            Ok(found)
        })
        .collect::<Result<_, FileError>>()?;
    let twice = together(labels.len(), &pairs.concat());
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
    let fitness = Fitness::of(&verdicts);
    Ok(Health { verdicts, twice, fitness, confused })
}

/// Groups of numbers that pairs join, directly or by others.
fn together(n: usize, pairs: &[[usize; 2]]) -> Vec<Vec<usize>> {
    let mut sets = Sets::new(n);
    pairs.iter().for_each(|[a, b]| {
        sets.join(*a, *b);
    });
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    (0..n).for_each(|i| groups.entry(sets.find(i)).or_default().push(i));
    groups.into_values().filter(|g| g.len() > 1).collect()
}

fn verdict(i: usize, labels: &[u32], list: &[Neighbour], judged: bool) -> Verdict {
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
    let doubt = if total > 0.0 && judged { (most - own) / total } else { 0.0 };
    let distance = list.iter().map(|n| n.distance).sum::<f64>() / list.len().max(1) as f64;
    Verdict { image: i, label, other, doubt, distance, judged }
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
        let mut all: Vec<Verdict> =
            self.verdicts.iter().copied().filter(|v| v.other != v.label && v.judged).collect();
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
        let same = |a: usize, b: usize| Ok([a.min(b), a.max(b)] == [4, 5]);
        let h = health(&Features::new(1, at), &labels, &[], 5, same).unwrap();
        let worst = h.doubtful()[0];
        assert_eq!((worst.image, worst.label, worst.other), (3, 1, 0));
        assert!(worst.doubt > 0.9 && h.verdicts[0].doubt < 0.0);
        assert_eq!(h.hardest()[0].image, 21);
        assert_eq!(h.ambiguous()[0].image, 20);
        assert_eq!(h.twice, [[4, 5]]);
        assert_eq!(
            (h.fitness.images, h.fitness.doubts),
            (22, 2),
            "the one between is of a class that is the farther"
        );
        assert_eq!(
            (h.confused[0].classes, h.confused[0].images),
            ([0, 1], h.verdicts.iter().filter(|v| v.doubt > 0.0).count())
        );
    }

    fn noise(i: u64) -> f64 {
        // Nearly normal: a sum of uniform numbers.
        let unit = |k: u64| (crate::rng::mix(i * 16 + k) >> 11) as f64 / (1u64 << 53) as f64;
        (0..12).map(unit).sum::<f64>() - 6.0
    }

    /// Ten classes of a hundred in eight dimensions, whose middles lie `far` from that of all; every `wrong`th label is not the
    /// image's own. Returns how many doubts are such labels, and what is said of them.
    fn classes(far: f64, wrong: usize, seed: u64) -> (usize, Fitness) {
        let (n, d) = (1000, 8);
        let middle = |c: usize, k: usize| far * noise(1_000_000 * (seed + 1) + (c * d + k) as u64);
        let truth: Vec<u32> = (0..n as u32).map(|i| i % 10).collect();
        let at = (0..n).flat_map(|i| (0..d).map(move |k| (i, k)));
        let value = |(i, k): (usize, usize)| middle(i % 10, k) + noise(seed << 32 | (i * d + k) as u64);
        let features = Features::new(d, at.map(|p| value(p) as f32).collect());
        let is_wrong = |i: usize| wrong > 0 && (i / 10 + i).is_multiple_of(wrong);
        let labels: Vec<u32> = (0..n)
            .map(|i| if is_wrong(i) { (truth[i] + 1 + (i as u32 / 3) % 9) % 10 } else { truth[i] })
            .collect();
        let h = health(&features, &labels, &[], 10, |_, _| Ok(false)).unwrap();
        let real = h.verdicts.iter().filter(|v| v.doubt > 0.0 && labels[v.image] != truth[v.image]).count();
        (real, h.fitness)
    }

    #[test]
    fn how_many_doubts_are_real_is_told_and_a_weak_model_is_not_believed() {
        for seed in 0..6 {
            // Far apart: what is contradicted is wrong.
            let (real, told) = classes(3.0, 25, seed);
            assert!(told.fit && told.accuracy > 0.9, "{told:?}");
            assert!(told.expected.abs_diff(real) * 5 <= real, "{real} of {told:?}");
            // The same without wrong labels: doubts are the model's own.
            let (_, told) = classes(1.2, 0, seed);
            assert!(told.accuracy > 0.75 && told.expected == 0 && !told.fit, "{told:?}");
            // Classes that lie among each other: whatever is wrong, this model cannot tell.
            let (_, told) = classes(0.5, 25, seed);
            assert!(told.accuracy < 0.8 && !told.fit, "{told:?}");
            // Near each other: some of both.
            let (real, told) = classes(1.2, 25, seed);
            assert!(told.expected <= real + real / 3 + 5, "{real} of {told:?}");
        }
    }

    #[test]
    fn copies_of_copies_are_one_group_and_a_class_of_one_image_is_not_judged() {
        let at: Vec<f32> = vec![0.0, 0.01, 0.02, 5.0, 5.1, 9.0];
        let labels = [0, 0, 0, 1, 1, 2];
        // 0 is like 1 and 1 like 2; nobody says that 0 is like 2.
        let same = |a: usize, b: usize| Ok(a.abs_diff(b) == 1 && a.max(b) < 3);
        let h = health(&Features::new(1, at), &labels, &[], 3, same).unwrap();
        assert_eq!(h.twice, [[0, 1, 2]]);
        assert!(!h.verdicts[5].judged && h.verdicts[5].doubt == 0.0);
        assert_eq!(h.fitness.images, 5);
        // Nor one that is of a group alone.
        let groups = [0, 0, 0, 1, 2, 3];
        let at: Vec<f32> = vec![0.0, 0.01, 0.02, 5.0, 5.1, 9.0];
        let h = health(&Features::new(1, at), &labels, &groups, 3, |_, _| Ok(false)).unwrap();
        assert_eq!(
            h.verdicts.iter().map(|v| v.judged).collect::<Vec<_>>(),
            [false, false, false, true, true, false]
        );
    }
}
