//! Where the right ones stand in the whole ranking of a gallery, without sorting it.
//!
//! All that retrieval metrics ask of a ranking is the ranks of the members that are of the query's class. A member of
//! another class counts by which right ones it is nearer than, which a product in `f32` tells for almost all; those within its error
//! are measured again in `f64`, as the right ones are. So ranks are exact, and ties go to the lower index. Vectors of more
//! than 256 numbers, raw pixels, are ranked by the product alone: its bound on the error grows with their length until it
//! tells nothing, while the error itself stays in the sixth digit. Equal vectors tie there too.

use super::Leave;
use super::product::{GALLERY_BLOCK, Packed, slack, square_norms, squared_distance};
use crate::images::Vectors;
use alike_kernels::{AlignedBuffer, Tier};
use rayon::prelude::*;

/// Distances that are in memory at a time, over all queries: 256 MB.
const MOST_VALUES: usize = 64 << 20;
/// Bins of values between the nearest and the farthest right one.
const BINS: usize = 4096;
/// Up to this length vectors are ranked exactly.
const EXACT: usize = 256;
/// Queries of a task, at most.
const QUERY_BLOCK: usize = 64;

/// For every query, the ranks (from 1, rising) of the gallery's members with its label, turned into a `T` at once; none where
/// there is no such member. The result is in the queries' order.
///
/// # Panics
///
/// If vectors or labels do not fit together.
pub fn ranks_of_matches<T: Send>(
    tier: Tier,
    (queries, asked): (Vectors<'_>, &[u32]),
    (gallery, labels): (Vectors<'_>, &[u32]),
    leave: Leave<'_>,
    read: impl Fn(usize, &[u32]) -> T + Sync,
) -> Vec<T> {
    assert!(queries.d() == gallery.d() && queries.len() == asked.len() && gallery.len() == labels.len());
    let squares = square_norms(gallery);
    let farthest = squares.iter().copied().fold(0.0, f64::max);
    let classes = labels.iter().chain(asked).max().map_or(0, |l| *l as usize + 1);
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); classes];
    labels.iter().enumerate().for_each(|(i, l)| members[*l as usize].push(i as u32));

    let n = gallery.len();
    let at_once = (MOST_VALUES / n.max(1)).clamp(16, 4096);
    // At least two blocks a thread, so that all have work.
    let per = at_once.div_ceil(2 * rayon::current_num_threads()).clamp(1, QUERY_BLOCK);
    let mut packed = Packed::new(gallery.d());
    let mut results = Vec::with_capacity(queries.len());
    for first in (0..queries.len()).step_by(at_once) {
        let count = at_once.min(queries.len() - first);
        let mut blocks: Vec<Block> =
            (0..count).step_by(per).map(|i| Block::new(queries, first + i, per.min(count - i), n)).collect();
        for start in (0..n).step_by(GALLERY_BLOCK) {
            packed.fill(gallery, start, GALLERY_BLOCK.min(n - start), &squares);
            blocks.par_iter_mut().for_each(|block| block.meet(tier, &packed));
        }
        let parts: Vec<Vec<T>> = blocks
            .into_par_iter()
            .map(|block| {
                let mut scratch = Scratch::default();
                (0..block.m)
                    .map(|i| {
                        let q = block.first + i;
                        let right = &members[asked[q] as usize];
                        let left_out = |g: u32| leave.out(q, g as usize);
                        let near = slack(queries.d(), block.squares[i], farthest);
                        block.ranks(i, (gallery, labels, asked[q]), right, &left_out, near, &mut scratch);
                        read(q, &scratch.ranks)
                    })
                    .collect()
            })
            .collect();
        results.extend(parts.into_iter().flatten());
    }
    results
}

/// Some queries, and what the product gave for each with every member of the gallery.
struct Block {
    first: usize,
    m: usize,
    rows: AlignedBuffer,
    squares: Vec<f64>,
    n: usize,
    values: Vec<f32>,
}

#[derive(Default)]
struct Scratch {
    /// The right ones: squared distance less the query's square, and index.
    right: Vec<(f64, u32)>,
    edges: Vec<f32>,
    /// By bin of values: the first edge that is not in a lower bin.
    starts: Vec<u32>,
    counts: Vec<u32>,
    ranks: Vec<u32>,
    row: Vec<f32>,
}

impl Block {
    fn new(queries: Vectors<'_>, first: usize, m: usize, n: usize) -> Block {
        let d = queries.d();
        let mut rows = AlignedBuffer::new(m * d);
        let squares = (0..m)
            .map(|i| {
                let row = &mut rows[i * d..][..d];
                queries.read(first + i, row);
                row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum()
            })
            .collect();
        Block { first, m, rows, squares, n, values: vec![0.0; m * n] }
    }

    fn meet(&mut self, tier: Tier, packed: &Packed) {
        let products = packed.products(tier, &self.rows, self.m);
        for (row, values) in products.chunks_exact(packed.width()).zip(self.values.chunks_exact_mut(self.n)) {
            values[packed.start..][..packed.count].copy_from_slice(&row[..packed.count]);
        }
    }

    fn ranks(
        &self,
        i: usize,
        (gallery, labels, label): (Vectors<'_>, &[u32], u32),
        members: &[u32],
        left_out: &dyn Fn(u32) -> bool,
        slack: f32,
        s: &mut Scratch,
    ) {
        let d = gallery.d();
        let query = &self.rows[i * d..][..d];
        let square = self.squares[i];
        s.row.resize(d, 0.0);
        let values = &self.values[i * self.n..][..self.n];
        let measured = d <= EXACT;
        let mut exact = |g: u32| -> f64 {
            if !measured {
                return f64::from(values[g as usize]) + square;
            }
            let row = match gallery {
                Vectors::Features(features) => features.row(g as usize),
                Vectors::Pixels(_) => {
                    gallery.read(g as usize, &mut s.row);
                    &s.row
                }
            };
            let far = squared_distance(query, row);
            // What is no number is farther than all that is.
            if far.is_nan() { f64::INFINITY } else { far }
        };
        s.right.clear();
        s.right.extend(members.iter().filter(|g| !left_out(**g)).map(|&g| (exact(g), g)));
        s.right.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        s.edges.clear();
        s.edges.extend(s.right.iter().map(|(far, _)| (far - square) as f32));
        s.counts.clear();
        s.counts.resize(s.right.len() + 1, 0);
        s.ranks.clear();
        let Some(last) = s.edges.last().copied() else { return };
        // `slack` allows for errors of two products, each with twice the unit roundoff; here only one side is a product.
        let slack = if measured { slack / 4.0 } else { 0.0 };
        // A search of all edges for each value would take most of the time: a table tells where to begin.
        let first = s.edges[0];
        let scale = BINS as f32 / (last - first).max(f32::MIN_POSITIVE);
        let bin = |v: f32| (((v - first) * scale) as usize).min(BINS - 1);
        s.starts.clear();
        s.starts.resize(BINS, s.edges.len() as u32);
        for (i, e) in s.edges.iter().enumerate().rev() {
            s.starts[bin(*e)] = i as u32;
        }
        let mut next = s.edges.len() as u32;
        for start in s.starts.iter_mut().rev() {
            next = next.min(*start);
            *start = next;
        }
        for (g, v) in values.iter().enumerate() {
            if *v > last + slack || labels[g] == label || left_out(g as u32) {
                continue;
            }
            let mut at = s.starts[bin(*v)] as usize;
            while s.edges.get(at).is_some_and(|e| e < v) {
                at += 1;
            }
            let close = |e: Option<&f32>| e.is_some_and(|e| (e - v).abs() <= slack);
            let unsure = v.is_nan() || close(s.edges.get(at)) || at > 0 && close(s.edges.get(at - 1));
            let at = if unsure {
                let far = exact(g as u32);
                s.right.partition_point(|r| r.0.total_cmp(&far).then(r.1.cmp(&(g as u32))).is_lt())
            } else {
                at
            };
            s.counts[at] += 1;
        }
        let mut nearer = 0;
        for (j, count) in s.counts[..s.right.len()].iter().enumerate() {
            nearer += count;
            s.ranks.push(nearer + j as u32 + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::Features;
    use crate::neighbours::nearest;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn ranks_are_those_of_a_whole_sort_on_every_tier(
            n in 0usize..90, m in 1usize..1500, d in 1usize..12, coarse in 1u32..60, classes in 1u32..30, one_out: bool,
        ) {
            // Coarse values make many exact ties, which must all be broken by index.
            let value = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 20) % coarse;
            let gallery = Features::new(d, (0..m * d).map(|i| value(i + 7) as f32 + 100.0).collect());
            let queries = if one_out { gallery.clone() } else {
                Features::new(d, (0..n * d).map(|i| value(i * 3) as f32 + 100.0).collect())
            };
            let label = |i: usize| (i as u32).wrapping_mul(2_246_822_519) >> 7;
            let labels: Vec<u32> = (0..m).map(|i| label(i) % classes).collect();
            let asked: Vec<u32> = if one_out { labels.clone() } else {
                (0..n).map(|i| label(i + 99) % (classes + 1)).collect()
            };
            let (q, g) = (Vectors::Features(&queries), Vectors::Features(&gallery));
            let group = |n: usize| (0..n).map(|i| label(i * 5) % 9).collect::<Vec<u32>>();
            let (of_queries, of_gallery) = (group(q.len()), group(g.len()));
            for leave in [Leave::itself(one_out), Leave::Group { queries: &of_queries, gallery: &of_gallery }] {
                for tier in Tier::available() {
                    let expected = nearest(tier, q, g, m, leave, |i, list| -> Vec<u32> {
                        let right = list.iter().enumerate().filter(|(_, x)| labels[x.index] == asked[i]);
                        right.map(|(rank, _)| rank as u32 + 1).collect()
                    });
                    let found = ranks_of_matches(tier, (q, &asked), (g, &labels), leave, |_, ranks| ranks.to_vec());
                    prop_assert_eq!(&found, &expected, "{:?} {:?}", tier, leave);
                }
            }
        }
    }

    /// Whole numbers that `f32` holds exactly, so that the product alone is exact too.
    #[test]
    fn long_vectors_are_ranked_by_the_product() {
        let (n, d) = (400, EXACT + 40);
        let value = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 20) % 6;
        let all = Features::new(d, (0..n * d).map(|i| value(i / 3) as f32).collect());
        let labels: Vec<u32> = (0..n as u32).map(|i| i * i % 7).collect();
        let v = Vectors::Features(&all);
        for tier in Tier::available() {
            let expected = nearest(tier, v, v, n, Leave::Itself, |i, list| -> Vec<u32> {
                let right = list.iter().enumerate().filter(|(_, x)| labels[x.index] == labels[i]);
                right.map(|(rank, _)| rank as u32 + 1).collect()
            });
            let found =
                ranks_of_matches(tier, (v, &labels), (v, &labels), Leave::Itself, |_, ranks| ranks.to_vec());
            assert_eq!(found, expected, "{tier:?}");
        }
    }
}
