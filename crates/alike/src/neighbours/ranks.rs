//! Where the right ones stand in the whole ranking of a gallery, without sorting it.
//!
//! All that retrieval metrics ask of a ranking is the ranks of the members that are of the query's class. A member of
//! another class counts by which right ones it is nearer than, which a product in `f32` tells for almost all. Where it is as
//! near as a right one, within what the product can be off by, both are measured again in `f64`. So ranks are exact, and ties
//! go to the lower index.

use super::Leave;
use super::product::{Bound, Frame, GALLERY_BLOCK, PANEL, Packed, above, square};
use crate::images::Vectors;
use alike_kernels::{AlignedBuffer, Tier};
use rayon::prelude::*;

/// Distances that are in memory at a time, over all queries: 256 MB.
const MOST_VALUES: usize = 64 << 20;
/// Bins of values between the nearest and the farthest right one: so many for each, up to a number whose table is near at hand.
const BINS_EACH: usize = 16;
const MOST_BINS: usize = 1 << 15;
/// Marks a bin in which no value can be as near as a right one, even if products are off by as much as they can be.
const CLEAR: u32 = 1 << 31;
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
    let frame = Frame::fine(queries, gallery);
    let squares = frame.square_norms(gallery);
    let bound = frame.bound(gallery, &squares);
    let classes = labels.iter().chain(asked).max().map_or(0, |l| *l as usize + 1);
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); classes];
    labels.iter().enumerate().for_each(|(i, l)| members[*l as usize].push(i as u32));

    let n = gallery.len();
    let at_once = (MOST_VALUES / n.max(1)).clamp(16, 4096);
    // At least two blocks a thread, so that all have work.
    let per = at_once.div_ceil(2 * rayon::current_num_threads()).clamp(1, QUERY_BLOCK);
    let mut packed = Packed::new(&frame);
    let mut results = Vec::with_capacity(queries.len());
    let mut kept: Vec<Vec<f32>> = Vec::new();
    for first in (0..queries.len()).step_by(at_once) {
        let count = at_once.min(queries.len() - first);
        let mut blocks: Vec<Block> = (0..count)
            .step_by(per)
            .map(|i| {
                Block::new(&frame, queries, first + i, per.min(count - i), n, kept.pop().unwrap_or_default())
            })
            .collect();
        for start in (0..n).step_by(GALLERY_BLOCK) {
            packed.fill(&frame, gallery, start, GALLERY_BLOCK.min(n - start), &squares);
            blocks.par_iter_mut().for_each(|block| block.meet(tier, &packed));
        }
        let parts: Vec<(Vec<T>, Vec<f32>)> = blocks
            .into_par_iter()
            .map(|block| {
                let mut scratch = Scratch::default();
                let read = |i| {
                    let q = block.first + i;
                    let right = &members[asked[q] as usize];
                    let ranked = Ranked { tier, queries, gallery, labels, leave, frame: &frame, bound };
                    block.ranks(i, asked[q], ranked, right, &mut scratch);
                    read(q, &scratch.ranks)
                };
                ((0..block.m).map(read).collect(), block.values)
            })
            .collect();
        for (part, values) in parts {
            results.extend(part);
            kept.push(values);
        }
    }
    results
}

/// Some queries, and what the product gave for each with every member of the gallery.
struct Block {
    first: usize,
    m: usize,
    rows: AlignedBuffer,
    squares: Vec<f64>,
    /// The length of the longest query.
    longest: f64,
    n: usize,
    /// A row of whole panels for each.
    stride: usize,
    values: Vec<f32>,
}

/// What is ranked.
#[derive(Clone, Copy)]
struct Ranked<'a> {
    tier: Tier,
    queries: Vectors<'a>,
    gallery: Vectors<'a>,
    labels: &'a [u32],
    leave: Leave<'a>,
    frame: &'a Frame,
    bound: Bound,
}

#[derive(Default)]
struct Scratch {
    /// The right ones by what the product gave: squared distance less the query's square, and index.
    right: Vec<(f32, u32)>,
    edges: Vec<f32>,
    /// By bin of values: the first edge that is not in a lower bin, and whether it is [`CLEAR`].
    starts: Vec<u32>,
    /// By member, a bit each: whether it may be as near as the farthest right one.
    near: Vec<u64>,
    counts: Vec<u32>,
    ranks: Vec<u32>,
    /// Members that may or may not be nearer than some right ones: which right ones, and the member's index.
    doubtful: Vec<(usize, usize, u32)>,
    /// By right one: how many more windows of doubt begin here than end.
    windows: Vec<i32>,
    /// By right one: where its run of doubtful ones begins and ends.
    runs: Vec<(u32, u32)>,
    /// By right one, sorted within its run: the squared distance and the index.
    measured: Vec<(f64, u32)>,
    query: Vec<f32>,
    row: Vec<f32>,
}

impl Scratch {
    /// The squared distance of the query and a member, as they are.
    fn measure(&mut self, tier: Tier, gallery: Vectors<'_>, g: u32) -> f64 {
        let row = match gallery {
            Vectors::Features(features) => features.row(g as usize),
            Vectors::Pixels(_) => {
                self.row.resize(gallery.d(), 0.0);
                gallery.read(g as usize, &mut self.row);
                &self.row
            }
        };
        let far = tier.square_distance(&self.query, row);
        // What is no number is farther than all that is.
        if far.is_nan() { f64::INFINITY } else { far }
    }
}

impl Block {
    /// `values` is memory that an earlier block needs no more.
    fn new(
        frame: &Frame,
        queries: Vectors<'_>,
        first: usize,
        m: usize,
        n: usize,
        mut values: Vec<f32>,
    ) -> Block {
        let stride = n.next_multiple_of(PANEL);
        values.resize(m * stride, 0.0);
        let d = queries.d();
        let mut rows = AlignedBuffer::new(m * d);
        let squares: Vec<f64> = (0..m)
            .map(|i| {
                let row = &mut rows[i * d..][..d];
                frame.read(queries, first + i, row);
                square(row)
            })
            .collect();
        let longest = squares.iter().copied().fold(0.0, f64::max).sqrt();
        Block { first, m, rows, squares, longest, n, stride, values }
    }

    fn meet(&mut self, tier: Tier, packed: &Packed) {
        let to = (&mut self.values[..], self.stride, packed.start);
        packed.products(tier, &self.rows, (self.m, self.longest), to);
    }

    fn ranks(&self, i: usize, label: u32, all: Ranked<'_>, members: &[u32], s: &mut Scratch) {
        let Ranked { tier, queries, gallery, labels, leave, frame, bound } = all;
        let left_out = |g: u32| leave.out(self.first + i, g as usize);
        let all_count = leave == Leave::None;
        let square = self.squares[i];
        let values = &self.values[i * self.stride..][..self.n];
        s.query.resize(queries.d(), 0.0);
        queries.read(self.first + i, &mut s.query);
        // Where the product overflowed, or a vector is no number, only measuring tells.
        let value = |s: &mut Scratch, g: u32| -> f32 {
            let v = values[g as usize];
            if v.is_finite() {
                return v;
            }
            let v = (frame.scale() * s.measure(tier, gallery, g) - square) as f32;
            if v.is_nan() { f32::INFINITY } else { v }
        };
        s.right.clear();
        for g in members.iter().copied().filter(|g| !left_out(*g)) {
            let v = value(s, g);
            s.right.push((v, g));
        }
        s.right.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        s.edges.clear();
        s.edges.extend(s.right.iter().map(|(v, _)| v));
        s.counts.clear();
        s.counts.resize(s.right.len() + 1, 0);
        s.ranks.clear();
        s.doubtful.clear();
        let Some(last) = s.edges.last().copied() else { return };
        let (length, read) = (square.sqrt(), frame.reading(queries, self.first + i));
        // Whatever is compared is about as near as the farthest right one, and so not much longer than that.
        let slack =
            bound.slack_within(length, read, f64::from(above(last, bound.slack(length, read))) + square);
        let beyond = above(last, slack);
        let bins = s.tabulate(slack);
        let mut near = std::mem::take(&mut s.near);
        near.resize(self.n.div_ceil(64), 0);
        tier.not_above(values, beyond, &mut near);
        let candidates =
            near.iter().enumerate().flat_map(|(word, bits)| ones(*bits).map(move |bit| word * 64 + bit));
        for g in candidates {
            let mut v = values[g];
            let start = s.starts[bins.of(v)];
            // Members of the query's class that count are edges, and no edge lies in a clear bin: this member is of another class.
            if start & CLEAR != 0 && (all_count || !left_out(g as u32)) {
                s.counts[(start & !CLEAR) as usize] += 1;
                continue;
            }
            if labels[g] == label || left_out(g as u32) {
                continue;
            }
            // An infinite value is one that overflowed.
            let mut at = (start & !CLEAR) as usize;
            if !v.is_finite() {
                v = value(s, g as u32);
                at = (s.starts[bins.of(v)] & !CLEAR) as usize;
            }
            while s.edges.get(at).is_some_and(|e| *e < v) {
                at += 1;
            }
            // What is no number is not far.
            let close = |e: Option<&f32>| e.is_some_and(|e| (e - v).abs() <= slack || (e - v).is_nan());
            if close(s.edges.get(at)) || at > 0 && close(s.edges.get(at - 1)) {
                let far = f64::from(above(v, 2.0 * slack)) + square;
                let slack = f64::from(bound.slack_within(length, read, far));
                // Where the difference is no number, nothing is known.
                let (low, high) = match (f64::from(v) - slack, f64::from(v) + slack) {
                    (low, high) if low.is_nan() || high.is_nan() => (f64::NEG_INFINITY, f64::INFINITY),
                    sure => sure,
                };
                let from = s.edges[..at].partition_point(|e| f64::from(*e) < low);
                let to = at + s.edges[at..].partition_point(|e| f64::from(*e) <= high);
                if from < to {
                    s.doubtful.push((from, to, g as u32));
                    continue;
                }
            }
            s.counts[at] += 1;
        }
        s.near = near;
        s.settle(tier, gallery);
        let mut nearer = 0;
        for (j, count) in s.counts[..s.right.len()].iter().enumerate() {
            nearer += count;
            s.ranks.push(nearer + j as u32 + 1);
        }
    }
}

/// The places of the bits that are set, from the lowest on.
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros() as usize;
        (bits != 0).then(|| {
            bits &= bits - 1;
            place
        })
    })
}

/// Bins of values, evenly from the first edge to the last that is finite.
#[derive(Clone, Copy)]
struct Bins {
    first: f32,
    scale: f32,
    last: f32,
}

impl Bins {
    /// The bin of a value: never a lower one for a larger value, and the first for what is no number.
    #[inline]
    fn of(self, v: f32) -> usize {
        // What is no number loses against zero. Small numbers are converted faster.
        ((v - self.first) * self.scale).max(0.0).min(self.last) as i32 as usize
    }
}

impl Scratch {
    /// By bin of values: where the search of the edges begins, because a search of all edges for every value would take most of the time;
    /// and whether the bin is [`CLEAR`], so that nothing in it is within `slack` of an edge.
    fn tabulate(&mut self, slack: f32) -> Bins {
        let first = self.edges[0];
        let last = self.edges.iter().rev().copied().find(|e| e.is_finite()).unwrap_or(first);
        let count = (BINS_EACH * self.edges.len()).next_power_of_two().clamp(64, MOST_BINS);
        let scale = count as f32 / (last - first).max(f32::MIN_POSITIVE);
        let bins = Bins { first, scale, last: (count - 1) as f32 };
        let clear = if slack.is_finite() { CLEAR } else { 0 };
        self.starts.clear();
        for (i, e) in self.edges.iter().enumerate() {
            let reached = self.starts.len().max(bins.of(*e) + 1);
            self.starts.resize(reached, i as u32 | clear);
        }
        self.starts.resize(count, self.edges.len() as u32 | clear);
        let mut next = 0;
        for e in &self.edges {
            let around = |by: f64| (f64::from(*e) + by * 1.0001 * f64::from(slack)) as f32;
            let (low, high) = (bins.of(around(-1.0).next_down()), bins.of(around(1.0).next_up()));
            // Edges rise, and so do both ends.
            let unclear = self.starts.get_mut(low.max(next)..high + 1).unwrap_or_default();
            unclear.iter_mut().for_each(|start| *start &= !CLEAR);
            next = next.max(high + 1);
        }
        // What overflowed, or is no number, falls into the first bin or the last.
        self.starts[0] &= !CLEAR;
        self.starts[count - 1] &= !CLEAR;
        bins
    }

    /// Counts what is in doubt, by measuring it and the right ones that it may be as near as.
    fn settle(&mut self, tier: Tier, gallery: Vectors<'_>) {
        if self.doubtful.is_empty() {
            return;
        }
        let n = self.edges.len();
        self.windows.clear();
        self.windows.resize(n + 1, 0);
        for (from, to, _) in &self.doubtful {
            self.windows[*from] += 1;
            self.windows[*to] -= 1;
        }
        self.runs.clear();
        self.runs.resize(n, (0, 0));
        self.measured.clear();
        self.measured.resize(n, (0.0, 0));
        let (mut open, mut begin) = (0, 0);
        for j in 0..=n {
            let before = open;
            open += self.windows[j];
            if before == 0 && open > 0 {
                begin = j;
            }
            if before > 0 && open == 0 {
                // What lies before a run is nearer than all of it, and what lies after is farther.
                for k in begin..j {
                    let g = self.right[k].1;
                    self.measured[k] = (self.measure(tier, gallery, g), g);
                }
                self.measured[begin..j].sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                self.runs[begin..j].fill((begin as u32, j as u32));
            }
        }
        for (from, _, g) in std::mem::take(&mut self.doubtful) {
            let far = self.measure(tier, gallery, g);
            let (begin, end) = (self.runs[from].0 as usize, self.runs[from].1 as usize);
            let nearer =
                self.measured[begin..end].partition_point(|r| r.0.total_cmp(&far).then(r.1.cmp(&g)).is_lt());
            self.counts[begin + nearer] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{Features, Images, Shape};
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

    /// The ranks by distances one by one, in doubles.
    fn plain(
        q: Vectors<'_>,
        g: Vectors<'_>,
        asked: &[u32],
        labels: &[u32],
        leave: Leave<'_>,
    ) -> Vec<Vec<u32>> {
        let rows: Vec<Vec<f32>> = (0..g.len()).map(|i| g.row(i)).collect();
        (0..q.len())
            .map(|i| {
                let query = q.row(i);
                // Equal numbers in another order have another sum, so the order must be the same.
                let far = |j: usize| Tier::available()[0].square_distance(&query, &rows[j]);
                let mut all: Vec<(f64, usize)> =
                    (0..g.len()).filter(|j| !leave.out(i, *j)).map(|j| (far(j), j)).collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                let right = all.iter().enumerate().filter(|(_, (_, j))| labels[*j] == asked[i]);
                right.map(|(rank, _)| rank as u32 + 1).collect()
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn ranks_are_exact_however_far_from_the_origin(
            seed: u32,
            d in prop::sample::select(vec![8usize, 64, 300, 784]),
            offset in prop::sample::select(vec![0f32, 1.0, 100.0, 1e4, 1e6]),
            spread in prop::sample::select(vec![1e-3f32, 0.1, 1.0, 100.0]),
            copies: bool,
        ) {
            let features = super::super::product::cloud(seed, 150, d, offset, spread, copies);
            let labels: Vec<u32> = (0..150u32).map(|i| (i * i + seed % 7) % 5).collect();
            let v = Vectors::Features(&features);
            let expected = plain(v, v, &labels, &labels, Leave::Itself);
            for tier in Tier::available() {
                let found =
                    ranks_of_matches(tier, (v, &labels), (v, &labels), Leave::Itself, |_, ranks| ranks.to_vec());
                prop_assert!(found == expected, "{:?}: {} numbers, {} around {}", tier, d, spread, offset);
                let near = nearest(tier, v, v, 9, Leave::Itself, |_, l| l.iter().map(|n| n.index).collect::<Vec<_>>());
                let first: Vec<bool> = near.iter().zip(&labels).map(|(l, own)| labels[l[0]] == *own).collect();
                let by_rank: Vec<bool> = expected.iter().map(|ranks| ranks.first() == Some(&1)).collect();
                prop_assert_eq!(first, by_rank);
            }
        }

        #[test]
        fn ranks_of_pixels_are_exact(
            seed: u32, side in prop::sample::select(vec![4usize, 16, 28, 40]), levels in 2u32..=256, dark in 0u32..200,
        ) {
            let n = 140;
            let shape = Shape { h: side, w: side, c: 1 };
            let bytes = (0..n * side * side)
                .map(|i| super::super::product::noise(seed, i) % levels * 255 / (levels - 1))
                .map(|v| v.saturating_sub(dark) as u8)
                .collect();
            let images = Images::new(shape, bytes);
            let labels: Vec<u32> = (0..n as u32).map(|i| i % 3).collect();
            // The same numbers as features have no whole products to be told by.
            let floats = Features::new(side * side, (0..n).flat_map(|i| Vectors::Pixels(&images).row(i)).collect());
            let tier = Tier::available()[0];
            let of = |q: Vectors<'_>, g: Vectors<'_>| {
                ranks_of_matches(tier, (q, &labels), (g, &labels), Leave::Itself, |_, ranks| ranks.to_vec())
            };
            let (p, f) = (Vectors::Pixels(&images), Vectors::Features(&floats));
            let found = of(p, p);
            prop_assert!(found == of(f, f));
            prop_assert!(found == of(p, f));
            prop_assert!(found == plain(p, p, &labels, &labels, Leave::Itself));
        }
    }

    #[test]
    fn what_is_no_number_is_farther_than_all_that_is() {
        let (n, d) = (60, 12);
        let mut data = super::super::product::cloud(3, n, d, 5.0, 1.0, false).into_data();
        data[7 * d + 3] = f32::NAN;
        data[20 * d] = f32::INFINITY;
        data[33 * d + 1] = 3e30;
        let features = Features::new(d, data);
        let labels: Vec<u32> = (0..n as u32).map(|i| i % 4).collect();
        let v = Vectors::Features(&features);
        let expected = plain(v, v, &labels, &labels, Leave::Itself);
        for tier in Tier::available() {
            let found =
                ranks_of_matches(tier, (v, &labels), (v, &labels), Leave::Itself, |_, ranks| ranks.to_vec());
            for i in (0..n).filter(|i| ![7, 20].contains(i)) {
                // An infinite distance and one that is no number are equally far.
                let finite = expected[i].iter().zip(&found[i]).filter(|(a, _)| **a < n as u32 - 2);
                assert!(
                    finite.clone().all(|(a, b)| a == b),
                    "{tier:?}, {i}: {:?} {:?}",
                    found[i],
                    expected[i]
                );
                assert_eq!(found[i].len(), expected[i].len());
            }
        }
    }

    /// Offset 100, spread 0.1, 300 numbers: what products around the origin ranked by noise.
    #[test]
    fn a_common_offset_does_not_change_map_at_r() {
        let (n, d) = (400usize, 300);
        let map = |offset: f32| {
            let noise = super::super::product::cloud(1, n, d, 0.0, 0.1, false);
            let centres = super::super::product::cloud(2, 10, d, 0.0, 0.03, false);
            let data =
                (0..n * d).map(|i| offset + noise.data()[i] + centres.row(i / d % 10)[i % d]).collect();
            let features = Features::new(d, data);
            let labels: Vec<u32> = (0..n as u32).map(|i| i % 10).collect();
            let v = Vectors::Features(&features);
            let each = ranks_of_matches(
                Tier::available()[0],
                (v, &labels),
                (v, &labels),
                Leave::Itself,
                |_, ranks| {
                    let within = ranks.iter().enumerate().filter(|(_, r)| **r as usize <= ranks.len());
                    within.map(|(i, r)| (i + 1) as f64 / f64::from(*r)).sum::<f64>() / ranks.len() as f64
                },
            );
            each.iter().sum::<f64>() / n as f64
        };
        let (near, far) = (map(0.0), map(100.0));
        assert!(near > 0.2 && (near - far).abs() < 0.01, "{near} {far}");
    }
}
