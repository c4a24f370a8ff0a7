//! Pairs of images: which there are, and how far apart they are.

use crate::identity::Identities;
use crate::images::Vectors;
use crate::neighbours::squared_distance;
use crate::rng::mix;
use crate::sample;
use alike_kernels::Tier;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Images whose pairs are counted, at most: two million pairs say enough of an error rate.
const MOST: usize = 2000;
/// As many pairs.
const MOST_PAIRS: usize = MOST * (MOST - 1) / 2;
/// Floats that stay in a core's cache while others pass.
const TILE: usize = 1 << 16;
/// Vectors of a tile, at most: threads share tiles.
const MOST_OF_TILE: usize = 16;

/// A pair of images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// How far apart they are; what is no number counts as farthest.
    pub distance: f64,
    /// Whether they are of one class.
    pub genuine: bool,
    /// The two classes, or whatever else pairs share that are not independent of each other.
    pub of: [u32; 2],
    /// Which two images.
    pub images: [u32; 2],
    /// Follows from the two images' keys, for [`crate::sample`].
    pub key: u64,
}

/// Pairs, nearest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Pairs {
    pub(super) sorted: Vec<Pair>,
    pub(super) genuine: usize,
    pub(super) impostor: usize,
}

impl Pairs {
    /// Sorts pairs. Nothing if there are no pairs of one kind.
    pub fn new(mut pairs: Vec<Pair>) -> Option<Pairs> {
        pairs.iter_mut().filter(|p| p.distance.is_nan()).for_each(|p| p.distance = f64::INFINITY);
        let genuine = pairs.iter().filter(|p| p.genuine).count();
        let impostor = pairs.len() - genuine;
        pairs.par_sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.key.cmp(&b.key)));
        (genuine > 0 && impostor > 0).then_some(Pairs { sorted: pairs, genuine, impostor })
    }

    /// All pairs of the images, none of a picture with itself. Where there are more than two million, those of some of the
    /// images: pairs of two classes are of images that are drawn by class, and pairs of one class, which are far fewer, of as many
    /// images as there is room for. `identities` and `seed` say which ([`crate::sample`]).
    ///
    /// # Panics
    ///
    /// If there is not a label and an identity for each vector.
    pub fn all(vectors: Vectors<'_>, labels: &[u32], identities: &Identities, seed: u64) -> Option<Pairs> {
        Pairs::leaving_groups(vectors, labels, identities, &[], seed)
    }

    /// The same without pairs of one group, where images have groups: neither those of one class nor those of two.
    ///
    /// # Panics
    ///
    /// If there is not a label and an identity for each vector, and a group for each or for none.
    pub fn leaving_groups(
        vectors: Vectors<'_>,
        labels: &[u32],
        identities: &Identities,
        groups: &[u32],
        seed: u64,
    ) -> Option<Pairs> {
        Pairs::new(Pairs::by_class(vectors, labels, identities, groups, seed))
    }

    /// The same pairs, before they are sorted.
    pub(crate) fn by_class(
        vectors: Vectors<'_>,
        labels: &[u32],
        identities: &Identities,
        groups: &[u32],
        seed: u64,
    ) -> Vec<Pair> {
        assert!(vectors.len() == labels.len() && labels.len() == identities.len(), "pairs: a label for each");
        assert!([0, labels.len()].contains(&groups.len()), "pairs: a group for each");
        let of = (vectors, labels, identities.keys());
        let apart = |i: usize, j: usize| {
            (identities.place(i).is_none() || identities.place(i) != identities.place(j))
                && (groups.is_empty() || groups[i] != groups[j])
        };
        let of_two = sample::stratified(labels, of.2, MOST, 1, seed);
        let mut pairs = measured(of, &of_two, |i, j| labels[i] != labels[j] && apart(i, j));
        let classes = enough_of_each(labels, of.2, seed);
        pairs.par_extend(classes.into_par_iter().flat_map_iter(|members| measured(of, &members, apart)));
        pairs
    }

    /// The pairs that are given, by their images, and whether they are of one class.
    pub fn given(vectors: Vectors<'_>, pairs: &[([usize; 2], bool)]) -> Option<Pairs> {
        let row = |i: usize| {
            let mut row = vec![0.0; vectors.d()];
            vectors.read(i, &mut row);
            row
        };
        let measured = pairs
            .par_iter()
            .enumerate()
            .map(|(n, (images, genuine))| Pair {
                distance: squared_distance(&row(images[0]), &row(images[1])).sqrt(),
                genuine: *genuine,
                // Each stands by itself.
                of: [n as u32; 2],
                images: images.map(|i| i as u32),
                key: mix(n as u64),
            })
            .collect();
        Pairs::new(measured)
    }

    /// The area under the receiver operating characteristic: the share of couples of a pair of one class and a pair of two in which the
    /// first is nearer; where both are as far, half counts (Mann and Whitney 1947).
    pub fn auc(&self) -> f64 {
        let mut farther = self.impostor as f64;
        let mut area = 0.0;
        for level in self.sorted.chunk_by(|a, b| a.distance == b.distance) {
            let genuine = level.iter().filter(|p| p.genuine).count() as f64;
            let impostor = level.len() as f64 - genuine;
            farther -= impostor;
            area += genuine * (farther + 0.5 * impostor);
        }
        area / (self.genuine as f64 * self.impostor as f64)
    }

    /// All, nearest first.
    pub fn sorted(&self) -> &[Pair] {
        &self.sorted
    }

    /// Pairs of one class, and pairs of two.
    pub fn counts(&self) -> (usize, usize) {
        (self.genuine, self.impostor)
    }

    /// The shares of known pairs, of one class and of two, that are nearer than `distance`.
    pub fn nearer_than(&self, distance: f64) -> [f64; 2] {
        let near = &self.sorted[..self.sorted.partition_point(|p| p.distance < distance)];
        let genuine = near.iter().filter(|p| p.genuine).count();
        [genuine as f64 / self.genuine as f64, (near.len() - genuine) as f64 / self.impostor as f64]
    }

    /// How many pairs of one class and of two lie in each of `bins` equal parts of the distances, up to the largest.
    pub fn histogram(&self, bins: usize) -> (f64, Vec<[usize; 2]>) {
        let finite = self.sorted.iter().rev().map(|p| p.distance).find(|d| d.is_finite());
        let most = finite.unwrap_or(0.0);
        let mut counts = vec![[0; 2]; bins];
        for p in &self.sorted {
            let bin = if most > 0.0 { (p.distance / most * bins as f64) as usize } else { 0 };
            counts[bin.min(bins - 1)][usize::from(!p.genuine)] += 1;
        }
        (most, counts)
    }
}

/// By class: images whose pairs of one class are two million at most, thinned in every class alike, but never to fewer than two.
fn enough_of_each(labels: &[u32], keys: &[u64], seed: u64) -> Vec<Vec<usize>> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    labels.iter().for_each(|l| *counts.entry(*l).or_default() += 1);
    let pairs: usize = counts.values().map(|n| n * n.saturating_sub(1) / 2).sum();
    let most = match pairs {
        0..=MOST_PAIRS => labels.len(),
        // Half the images make a quarter of the pairs.
        _ => (labels.len() as f64 * (MOST_PAIRS as f64 / pairs as f64).sqrt()) as usize,
    };
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    let drawn = sample::stratified(labels, keys, most, 2, seed);
    drawn.into_iter().for_each(|i| classes.entry(labels[i]).or_default().push(i));
    classes.into_values().collect()
}

/// The pairs of some images that are wanted, measured.
fn measured(
    (vectors, labels, keys): (Vectors<'_>, &[u32], &[u64]),
    chosen: &[usize],
    wanted: impl Fn(usize, usize) -> bool + Sync,
) -> Vec<Pair> {
    let d = vectors.d();
    let mut rows = vec![0.0f32; chosen.len() * d];
    rows.par_chunks_mut(d).zip(chosen).for_each(|(row, &i)| vectors.read(i, row));
    let (tier, n, rows, wanted) = (Tier::found(), chosen.len(), &rows, &wanted);
    // A few vectors at a time meet all that follow, so that long ones are not read from memory for every pair.
    let few = (TILE / d.max(1)).clamp(1, MOST_OF_TILE);
    (0..n.div_ceil(few))
        .into_par_iter()
        .flat_map_iter(|tile| {
            (tile * few..n).flat_map(move |b| (tile * few..b.min(tile * few + few)).map(move |a| (a, b)))
        })
        .filter(|(a, b)| wanted(chosen[*a], chosen[*b]))
        .map(|(a, b)| {
            let (i, j) = (chosen[a].min(chosen[b]), chosen[a].max(chosen[b]));
            let of = [labels[i], labels[j]];
            Pair {
                distance: tier.square_distance(&rows[a * d..][..d], &rows[b * d..][..d]).sqrt(),
                genuine: of[0] == of[1],
                of,
                images: [i as u32, j as u32],
                key: mix(keys[i] ^ keys[j]),
            }
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::images::Features;

    /// Pairs at given distances, of one class and of two.
    pub(in super::super) fn pairs(same: &[f64], other: &[f64]) -> Pairs {
        let pair = |(i, distance): (usize, &f64), genuine| {
            let of = if genuine { [i as u32; 2] } else { [i as u32, i as u32 + 1] };
            Pair { distance: *distance, genuine, of, images: [i as u32, 0], key: i as u64 }
        };
        let same = same.iter().enumerate().map(|p| pair(p, true));
        Pairs::new(same.chain(other.iter().enumerate().map(|p| pair(p, false))).collect()).unwrap()
    }

    /// Pairs of a normal spread within classes a unit apart: the rate is `Phi(-d/2)`-like whatever the order.
    pub(in super::super) fn spread(labels: &[u32], names: &[u64]) -> Features {
        let value = |i: u64| (mix(i) >> 40) as f32 / (1u64 << 24) as f32;
        Features::new(1, labels.iter().zip(names).map(|(l, n)| *l as f32 + 3.0 * value(*n)).collect())
    }

    #[test]
    fn every_pair_counts_once() {
        let f = Features::new(1, vec![0.0, 1.0, 5.0, 6.0, 20.0]);
        let all = Pairs::all(Vectors::Features(&f), &[0, 0, 1, 1, 2], &Identities::numbered(5), 0).unwrap();
        let v = all.equal_error_rate();
        assert_eq!((v.genuine, v.impostor, v.eer), (2, 8, 0.0));
        assert!((1.0..=4.0).contains(&v.threshold));
        let given =
            Pairs::given(Vectors::Features(&f), &[([0, 1], true), ([1, 4], false), ([0, 4], false)]).unwrap();
        assert_eq!(given.sorted().iter().map(|p| p.distance).collect::<Vec<_>>(), [1.0, 19.0, 20.0]);
    }

    #[test]
    fn people_with_two_photos_each_have_pairs_of_one_class() {
        let n = 4000u64;
        let names: Vec<u64> = (0..n).collect();
        for person in [|i: u64| (i / 2) as u32, |i: u64| (i % 2000) as u32] {
            let labels: Vec<u32> = (0..n).map(person).collect();
            let f = spread(&labels, &names);
            let all = Pairs::all(Vectors::Features(&f), &labels, &Identities::numbered(n as usize), 0);
            let (genuine, impostor) = all.unwrap().counts();
            assert_eq!(genuine, 2000);
            assert!((1_900_000..=MOST_PAIRS).contains(&impostor), "{impostor}");
        }
    }

    #[test]
    fn a_picture_makes_no_pair_with_itself() {
        let f = Features::new(1, vec![0.0, 0.0, 1.0, 5.0]);
        let ids =
            Identities::new(["/a", "/a", "/b", "/c"].into_iter().map(|p| (crate::identity::key(p, ""), p)));
        let pairs = Pairs::all(Vectors::Features(&f), &[0, 0, 0, 1], &ids, 0).unwrap();
        assert_eq!(pairs.counts(), (2, 3));
    }
}
