//! Exact search by matrix products, in bounded memory.
//!
//! `|q - g|^2 = |q|^2 - 2 q·g + |g|^2`, so a block of queries against a block of the gallery is one product in `f32`.
//! Its rounding error is bounded, and every candidate within that bound of the k-th is kept and measured again in
//! `f64`: the neighbours found are the true ones, and the same on every machine. Ties go to the lower index. All vectors
//! are shifted to the gallery's middle before they are multiplied: far from the origin the bound would tell nothing.

use super::bound::{Bound, above};
use super::frame::{Frame, square};
use super::product::{GALLERY_BLOCK, MOST_PACKED, PANEL, Packed};
use super::{Exclude, Index, Neighbour};
use crate::images::Vectors;
use crate::meter::stage;
use alike_kernels::{AlignedBuffer, Tier};
use rayon::prelude::*;
use std::convert::Infallible;

/// Queries that one task multiplies.
const QUERY_BLOCK: usize = 64;
/// Candidates held at a time, over all queries: what bounds the memory, however deep the ranking goes.
const MOST_CANDIDATES: usize = 4 << 20;

/// An index that finds the true neighbours: the gallery packed once, as products read it.
pub struct Exact<'a> {
    tier: Tier,
    gallery: Vectors<'a>,
    frame: Frame,
    squares: Vec<f64>,
    bound: Bound,
    /// The gallery, block by block; none where that would take more than [`MOST_PACKED`] bytes: it is packed again for every few thousand queries then.
    packed: Vec<Packed>,
}

impl<'a> Exact<'a> {
    /// Packs a gallery, for the fastest instructions of this machine or those that `ALIKE_SIMD` names.
    pub fn new(gallery: Vectors<'a>) -> Exact<'a> {
        Exact::with_tier(Tier::found(), gallery)
    }

    /// Packs a gallery for the given instructions.
    pub fn with_tier(tier: Tier, gallery: Vectors<'a>) -> Exact<'a> {
        let frame = Frame::rough(gallery);
        let squares = frame.square_norms(gallery);
        let bound = frame.bound(gallery, &squares);
        let mut index = Exact { tier, gallery, frame, squares, bound, packed: Vec::new() };
        if gallery.len().saturating_mul(gallery.d()).saturating_mul(size_of::<f32>()) <= MOST_PACKED {
            let packed = |start| {
                let mut block = index.room();
                index.pack(start, &mut block);
                block
            };
            index.packed = (0..gallery.len()).step_by(GALLERY_BLOCK).map(packed).collect();
        }
        index
    }

    fn room(&self) -> Packed {
        Packed::new(&self.frame, GALLERY_BLOCK.min(self.gallery.len()))
    }

    fn pack(&self, start: usize, into: &mut Packed) {
        let count = GALLERY_BLOCK.min(self.gallery.len() - start);
        into.fill(&self.frame, self.gallery, (count, |i| start + i), &self.squares);
    }
}

impl std::fmt::Debug for Exact<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exact index of {} vectors of {}", self.gallery.len(), self.gallery.d())
    }
}

impl Index for Exact<'_> {
    type Error = Infallible;

    fn len(&self) -> usize {
        self.gallery.len()
    }

    fn search(
        &self,
        queries: Vectors<'_>,
        k: usize,
        exclude: Exclude<'_>,
        take: &(dyn Fn(usize, &[Neighbour]) + Sync),
    ) -> Result<(), Infallible> {
        assert_eq!(queries.d(), self.gallery.d(), "nearest: vectors of different lengths");
        // At least two blocks a thread, so that all have work; at most what memory is meant for.
        let at_once = (MOST_CANDIDATES / k.max(1)).clamp(QUERY_BLOCK * 4, 4096);
        let stage = stage("searching", queries.len() * self.gallery.len());
        let mut spare = self.packed.is_empty().then(|| self.room());
        for first in (0..queries.len()).step_by(at_once) {
            let count = at_once.min(queries.len() - first);
            let mut blocks: Vec<QueryBlock> = (0..count)
                .step_by(QUERY_BLOCK)
                .map(|i| {
                    let count = QUERY_BLOCK.min(count - i);
                    QueryBlock::new(&self.frame, queries, first + i, count, k, self.bound)
                })
                .collect();
            for (number, start) in (0..self.gallery.len()).step_by(GALLERY_BLOCK).enumerate() {
                let packed = match &mut spare {
                    None => &self.packed[number],
                    Some(block) => {
                        self.pack(start, block);
                        &*block
                    }
                };
                let room = || AlignedBuffer::new(QUERY_BLOCK * GALLERY_BLOCK);
                blocks.par_iter_mut().for_each_init(room, |room, block| {
                    block.meet(self.tier, (start, packed), exclude, room);
                    stage.compared(block.candidates.len(), packed.count);
                });
            }
            blocks.into_par_iter().for_each(|block| block.finish(queries, self.gallery, take));
        }
        Ok(())
    }
}

struct QueryBlock {
    first: usize,
    rows: AlignedBuffer,
    k: usize,
    candidates: Vec<Candidates>,
}

struct Candidates {
    /// What the product gave, without the query's own norm, and the member's index.
    near: Vec<(f32, u32)>,
    /// Nothing above this can be among the k nearest.
    limit: f32,
    /// The query's squared length, and what its products can be off by.
    square: f64,
    bound: Bound,
    /// Compact when this many are held.
    full: usize,
}

impl QueryBlock {
    fn new(
        frame: &Frame,
        queries: Vectors<'_>,
        first: usize,
        count: usize,
        k: usize,
        bound: Bound,
    ) -> QueryBlock {
        let d = queries.d();
        let mut rows = AlignedBuffer::new(count * d);
        let candidates = (0..count)
            .map(|i| {
                let row = &mut rows[i * d..][..d];
                frame.read(queries, first + i, row);
                let square = square(row);
                Candidates { near: Vec::new(), limit: f32::INFINITY, square, bound, full: (2 * k).max(32) }
            })
            .collect();
        QueryBlock { first, rows, k, candidates }
    }

    fn meet(
        &mut self,
        tier: Tier,
        (start, packed): (usize, &Packed),
        exclude: Exclude<'_>,
        room: &mut [f32],
    ) {
        let m = self.candidates.len();
        let width = packed.width();
        let products = &mut room[..m * width];
        packed.products(tier, &self.rows, (m, f64::INFINITY), products);
        for (i, found) in self.candidates.iter_mut().enumerate() {
            let query = self.first + i;
            for (chunk, values) in products[i * width..][..width].chunks_exact(PANEL).enumerate() {
                // Almost always nothing is near enough, which one pass without branches finds out.
                let mut any = false;
                for v in values {
                    any |= within(*v, found.limit);
                }
                if !any {
                    continue;
                }
                for (j, v) in values.iter().enumerate() {
                    let index = start + chunk * PANEL + j;
                    if within(*v, found.limit)
                        && chunk * PANEL + j < packed.count
                        && !exclude.covers(query, index)
                    {
                        found.near.push((*v, index as u32));
                    }
                }
                if found.near.len() >= found.full {
                    found.compact(self.k);
                }
            }
        }
    }

    fn finish(self, queries: Vectors<'_>, gallery: Vectors<'_>, take: &(dyn Fn(usize, &[Neighbour]) + Sync)) {
        let d = queries.d();
        let (mut q, mut g) = (vec![0.0; d], vec![0.0; d]);
        let mut list = Vec::new();
        let (first, k) = (self.first, self.k);
        for (i, mut found) in self.candidates.into_iter().enumerate() {
            found.compact(k);
            queries.read(first + i, &mut q);
            list.clear();
            list.extend(found.near.iter().map(|(_, index)| {
                let index = *index as usize;
                gallery.read(index, &mut g);
                let square: f64 =
                    q.iter().zip(&g).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
                Neighbour { index, distance: square }
            }));
            list.sort_unstable_by(|a: &Neighbour, b| {
                a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index))
            });
            list.truncate(k);
            // Squares are compared, as ranks are: roots of two may round to one.
            list.iter_mut().for_each(|n| n.distance = n.distance.sqrt());
            take(first + i, &list);
        }
    }
}

/// Whether a candidate may be among the nearest. A NaN may: what cannot be compared here is sorted last in the end.
#[inline]
fn within(v: f32, limit: f32) -> bool {
    v <= limit || v.is_nan()
}

impl Candidates {
    /// Drops what cannot be among the `k` nearest.
    fn compact(&mut self, k: usize) {
        if k == 0 {
            self.near.clear();
        } else if self.near.len() > k {
            let kth = self.near.select_nth_unstable_by(k - 1, |a, b| a.0.total_cmp(&b.0)).1.0;
            let query = self.square.sqrt();
            // What is near the query is not much longer than it is, however long others are.
            let far = f64::from(above(kth, self.bound.slack(query, 0.0))) + self.square;
            self.limit = above(kth, self.bound.slack_within(query, 0.0, far));
            let limit = self.limit;
            self.near.retain(|c| within(c.0, limit));
        }
        // Many ties may all have to stay: then wait for as many more before looking again.
        self.full = (2 * self.near.len()).max(2 * k).max(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{Features, Images, Shape, with_pixels};
    use crate::neighbours::{Exact, nearest};
    use proptest::prelude::*;

    fn plain(
        queries: Vectors<'_>,
        gallery: Vectors<'_>,
        k: usize,
        exclude: Exclude<'_>,
    ) -> Vec<Vec<Neighbour>> {
        let row = |v: Vectors<'_>, i| {
            let mut row = vec![0.0; v.d()];
            v.read(i, &mut row);
            row
        };
        (0..queries.len())
            .map(|q| {
                let query = row(queries, q);
                let mut all: Vec<Neighbour> = (0..gallery.len())
                    .filter(|g| !exclude.covers(q, *g))
                    .map(|index| {
                        let square: f64 = query
                            .iter()
                            .zip(row(gallery, index))
                            .map(|(a, b)| (f64::from(*a) - f64::from(b)).powi(2))
                            .sum();
                        Neighbour { index, distance: square.sqrt() }
                    })
                    .collect();
                all.sort_by(|a, b| a.distance.total_cmp(&b.distance));
                all.truncate(k);
                all
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn neighbours_equal_those_of_a_plain_sort_on_every_tier(
            n in 0usize..150, m in 1usize..2300, d in 1usize..20, k in 0usize..40, coarse in 1u32..40, one_out: bool,
            groups in 1u32..50,
        ) {
            // Coarse values make many exact ties, which must all be broken by index.
            let value = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 20) % coarse;
            let gallery = Features::new(d, (0..m * d).map(|i| value(i + 7) as f32 + 100.0).collect());
            let queries = Features::new(d, (0..n * d).map(|i| value(i * 3) as f32 + 100.0).collect());
            let g = Vectors::Features(&gallery);
            let q = if one_out { g } else { Vectors::Features(&queries) };
            let q_subset = gallery.select(&(0..m.min(200)).collect::<Vec<_>>());
            let (q, g) = if one_out { (Vectors::Features(&q_subset), Vectors::Features(&q_subset)) } else { (q, g) };
            let group = |n: usize| (0..n).map(|i| value(i * 5) % groups).collect::<Vec<u32>>();
            let (of_queries, of_gallery) = (group(q.len()), group(g.len()));
            let out: Vec<bool> = of_gallery.iter().map(|g| g % 3 == 0).collect();
            let group = Exclude::Group { queries: &of_queries, gallery: &of_gallery };
            let of_both = Exclude::Either(&group, &Exclude::Members(&out));
            for exclude in [Exclude::itself(one_out), group, Exclude::Members(&out), of_both] {
                let expected = plain(q, g, k, exclude);
                for tier in Tier::available() {
                    let found = nearest(&Exact::with_tier(tier, g), q, k, exclude, |_, list| list.to_vec());
                    prop_assert_eq!(&found, &expected, "{:?} {:?}", tier, exclude);
                }
            }
        }
    }

    #[test]
    fn pixels_are_searched_as_they_are_stored() {
        let shape = Shape { h: 3, w: 5, c: 1 };
        let images = Images::new(shape, (0..15 * 90).map(|i| ((i * 97) % 251) as u8).collect());
        for tier in Tier::available() {
            let found = with_pixels([&images], |[v]| {
                [
                    nearest(&Exact::with_tier(tier, v), v, 7, Exclude::Itself, |_, l| l.to_vec()),
                    plain(v, v, 7, Exclude::Itself),
                ]
            });
            let [found, plain] = found.unwrap();
            assert_eq!(found, plain);
        }
    }

    #[test]
    fn pairs_are_counted_as_they_are_compared() {
        let features = super::super::product::cloud(3, 3000, 5, 0.0, 1.0, false);
        let v = Vectors::Features(&features);
        let before = crate::meter::pairs_compared();
        nearest(&Exact::new(v), v, 3, Exclude::Itself, |_, _| ());
        // Other tests may search at the same time.
        assert!(crate::meter::pairs_compared() - before >= 3000 * 3000);
    }

    /// Of 1e10 beside 1e30, products in `f32` overflow or tell nothing of the small ones.
    #[test]
    fn rows_of_very_different_lengths_have_their_true_neighbours() {
        let (n, d) = (200, 12);
        let scales = [1e30f32, 1.0, 1e10, 1e-10];
        let mut data = super::super::product::cloud(11, n, d, 0.0, 1.0, false).into_data();
        data.chunks_exact_mut(d).enumerate().for_each(|(i, row)| {
            row.iter_mut().for_each(|v| *v *= scales[i % scales.len()]);
        });
        let features = Features::new(d, data);
        let v = Vectors::Features(&features);
        let expected = plain(v, v, 9, Exclude::Itself);
        for tier in Tier::available() {
            assert_eq!(
                nearest(&Exact::with_tier(tier, v), v, 9, Exclude::Itself, |_, l| l.to_vec()),
                expected,
                "{tier:?}"
            );
        }
    }
}
