//! Where the right ones stand in the whole ranking of a gallery, without sorting it.
//!
//! All that retrieval metrics ask of a ranking is the ranks of the members that are of the query's class. A query first meets
//! these: what a product in `f32` gives for each are its *edges*, sorted. Then it meets the whole gallery, a block at a time, and a
//! member of another class counts by which edges it lies between, which for almost all a histogram tells. Where it is as near as an
//! edge, within what the product can be off by, both are measured again in `f64`. So ranks are exact, and ties go to the lower index.

use super::Leave;
use super::product::{Bound, Frame, Packed, above, square};
use crate::images::Vectors;
use alike_kernels::{AlignedBuffer, Bins, Tier};
use rayon::prelude::*;
use std::collections::HashMap;

/// Bytes that queries hold at a time, about.
const MOST_HELD: usize = 128 << 20;
/// Bytes of the gallery that are packed at a time, about.
const MOST_PACKED: usize = 128 << 20;
/// Queries of a task, at most, and members that they meet at once: their products lie in the second cache.
const QUERY_BLOCK: usize = 32;
const MEMBERS: usize = 8192;
/// Bins of values between the nearest and the farthest edge: so many for each, up to a number whose table is near at hand.
const BINS_EACH: usize = 16;
const MOST_BINS: usize = 1 << 15;
/// Members in doubt that a query keeps before it measures them.
const MOST_DOUBTFUL: usize = 4096;
/// How far ahead rows are asked for that will be measured.
const AHEAD: usize = 8;

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
    let mut members: HashMap<u32, Vec<u32>> = HashMap::new();
    labels.iter().enumerate().for_each(|(i, l)| members.entry(*l).or_default().push(i as u32));
    let all = All { tier, queries, gallery, labels, frame: &frame, squares: &squares, bound };
    let excluded = Excluded::new(leave);
    // Queries of a class meet its members together.
    let mut order: Vec<usize> = (0..queries.len()).collect();
    order.sort_by_key(|q| asked[*q]);

    let mut results: Vec<Option<T>> = (0..queries.len()).map(|_| None).collect();
    let chunks = gallery.len().div_ceil(MEMBERS);
    let span = (MOST_PACKED / (MEMBERS * frame.depth() * size_of::<f32>())).clamp(1, chunks.max(1));
    let mut packed: Vec<Packed> =
        (0..span).map(|_| Packed::new(&frame, MEMBERS.min(gallery.len()))).collect();
    let mut filled = None;
    let mut rest = &order[..];
    while !rest.is_empty() {
        let count = at_once(rest, |q| members.get(&asked[q]).map_or(0, Vec::len));
        let (now, later) = rest.split_at(count);
        rest = later;
        // At least two blocks a thread, so that all have work.
        let per = count.div_ceil(2 * rayon::current_num_threads()).clamp(1, QUERY_BLOCK);
        let mut blocks: Vec<Block> =
            now.par_chunks(per).map(|own| Block::new(&all, own, asked, &members, &excluded)).collect();
        for first in (0..chunks).step_by(span) {
            let starts = (first..chunks.min(first + span)).map(|chunk| chunk * MEMBERS);
            let packed = &mut packed[..starts.len()];
            if filled != Some(first) {
                for (packed, start) in packed.iter_mut().zip(starts.clone()) {
                    let count = MEMBERS.min(gallery.len() - start);
                    packed.fill(&frame, gallery, (count, |i| start + i), &squares);
                }
                filled = Some(first);
            }
            // A block stays with its queries, whose tables are larger than what it reads of the gallery.
            let room = || (AlignedBuffer::new(per * MEMBERS), Scratch::default());
            blocks.par_iter_mut().for_each_init(room, |(room, scratch), block| {
                for (packed, start) in packed.iter().zip(starts.clone()) {
                    block.meet(&all, &excluded, (start, packed), room, scratch);
                }
            });
        }
        let finished: Vec<Vec<(usize, T)>> = blocks
            .into_par_iter()
            .map_init(Scratch::default, |scratch, block| {
                let finish = |mut query: Query| {
                    let q = query.index;
                    (q, read(q, query.finish(&all, scratch)))
                };
                block.queries.into_iter().map(finish).collect()
            })
            .collect();
        for (q, result) in finished.into_iter().flatten() {
            results[q] = Some(result);
        }
    }
    // Every query was in one block.
    results.into_iter().flatten().collect()
}

/// How many of the queries may be held at once, where each has so many right ones.
fn at_once(queries: &[usize], right: impl Fn(usize) -> usize) -> usize {
    let mut held = 0;
    let fits = |q: &&usize| {
        let right = right(**q);
        let bins = (BINS_EACH * right).clamp(64, MOST_BINS);
        held += size_of::<Query>() + 16 * right + 8 * bins + 12 * MOST_DOUBTFUL;
        held <= MOST_HELD
    };
    queries.iter().take_while(fits).count().max(QUERY_BLOCK).min(queries.len())
}

/// What is ranked.
struct All<'a> {
    tier: Tier,
    queries: Vectors<'a>,
    gallery: Vectors<'a>,
    labels: &'a [u32],
    frame: &'a Frame,
    squares: &'a [f64],
    bound: Bound,
}

impl All<'_> {
    /// The squared distances of a query and members, as they are, in the members' order.
    fn measure(&self, query: &[f32], members: impl Iterator<Item = u32> + Clone, mut take: impl FnMut(f64)) {
        let mut row = Vec::new();
        let mut ahead = members.clone().skip(AHEAD);
        for member in members {
            if let (Some(next), Vectors::Features(features)) = (ahead.next(), self.gallery) {
                self.tier.prefetch(features.row(next as usize));
            }
            let row = match self.gallery {
                Vectors::Features(features) => features.row(member as usize),
                Vectors::Pixels(_) => {
                    row.resize(self.gallery.d(), 0.0);
                    self.gallery.read(member as usize, &mut row);
                    &row
                }
            };
            let far = self.tier.square_distance(query, row);
            // What is no number is farther than all that is.
            take(if far.is_nan() { f64::INFINITY } else { far });
        }
    }
}

/// By query, the members that do not count for it.
enum Excluded<'a> {
    Nobody,
    Itself,
    Groups { queries: &'a [u32], members: HashMap<u32, Vec<u32>> },
    Either(Box<[Excluded<'a>; 2]>),
}

impl<'a> Excluded<'a> {
    fn new(leave: Leave<'a>) -> Excluded<'a> {
        match leave {
            Leave::None => Excluded::Nobody,
            Leave::Itself => Excluded::Itself,
            Leave::Group { queries, gallery } => {
                let mut members: HashMap<u32, Vec<u32>> = HashMap::new();
                for (i, group) in gallery.iter().enumerate() {
                    members.entry(*group).or_default().push(i as u32);
                }
                Excluded::Groups { queries, members }
            }
            Leave::Either(one, other) => {
                Excluded::Either(Box::new([Excluded::new(*one), Excluded::new(*other)]))
            }
        }
    }

    /// Appends those of a range of the gallery, in no order, some perhaps twice.
    fn within(&self, query: usize, range: std::ops::Range<u32>, into: &mut Vec<u32>) {
        match self {
            Excluded::Nobody => {}
            Excluded::Itself => into.extend(Some(query as u32).filter(|q| range.contains(q))),
            Excluded::Groups { queries, members } => {
                if let Some(members) = members.get(&queries[query]) {
                    let from = members.partition_point(|m| *m < range.start);
                    into.extend(members[from..].iter().take_while(|m| **m < range.end));
                }
            }
            Excluded::Either(both) => both.iter().for_each(|one| one.within(query, range.clone(), into)),
        }
    }

    /// The same, rising, each once.
    fn sorted(&self, query: usize, range: std::ops::Range<u32>, into: &mut Vec<u32>) {
        into.clear();
        self.within(query, range, into);
        into.sort_unstable();
        into.dedup();
    }
}

/// Some queries, sorted by class.
struct Block {
    /// As they are multiplied, [`Frame::depth`] floats each.
    rows: AlignedBuffer,
    /// The length of the longest.
    longest: f64,
    queries: Vec<Query>,
}

/// A query: its edges, and what was counted between them.
struct Query {
    index: usize,
    label: u32,
    square: f64,
    /// What its products can be off by, where they are about as near as the farthest edge or nearer.
    slack: f32,
    /// Nothing above this can be as near as the farthest edge.
    beyond: f32,
    /// The right ones by what the product gave, rising: squared distance less the query's square, and index.
    edges: Vec<f32>,
    right: Vec<u32>,
    bins: Bins,
    /// By bin: how many members of other classes are in it, if it is [`Bins::CLEAR`]: no value in it can be as near as an edge, even if
    /// products are off by as much as they can be.
    numbers: Vec<u32>,
    /// By bin: the first edge that is not in a lower bin.
    starts: Vec<u32>,
    /// By edge: members that come before it, and not before the edge before it, as far as bins do not tell.
    counts: Vec<u32>,
    /// Members that may or may not be nearer than some edges: these edges, and the member's index.
    doubtful: Vec<(u32, u32, u32)>,
}

#[derive(Default)]
struct Scratch {
    excluded: Vec<u32>,
    open: Vec<u32>,
    query: Vec<f32>,
    /// By edge: how many more windows of doubt begin here than end.
    windows: Vec<i32>,
    /// By edge: where its run of doubtful ones begins and ends.
    runs: Vec<(u32, u32)>,
    /// By edge, sorted within its run: the squared distance and the index.
    measured: Vec<(f64, u32)>,
    ranks: Vec<u32>,
}

impl Block {
    /// Meets the right ones.
    fn new(
        all: &All<'_>,
        queries: &[usize],
        asked: &[u32],
        members: &HashMap<u32, Vec<u32>>,
        excluded: &Excluded<'_>,
    ) -> Block {
        let (d, depth) = (all.queries.d(), all.frame.depth());
        let mut rows = AlignedBuffer::new(queries.len() * depth);
        let squares: Vec<f64> = (queries.iter().enumerate())
            .map(|(i, q)| {
                let row = &mut rows[i * depth..][..d];
                all.frame.read(all.queries, *q, row);
                square(row)
            })
            .collect();
        let longest = squares.iter().copied().fold(0.0, f64::max).sqrt();
        let mut each: Vec<Query> = Vec::with_capacity(queries.len());
        let (mut scratch, mut from) = (Scratch::default(), 0);
        for class in queries.chunk_by(|a, b| asked[*a] == asked[*b]) {
            let label = asked[class[0]];
            let right = members.get(&label).map_or(&[][..], |m| m);
            let mut values = vec![Vec::with_capacity(right.len()); class.len()];
            for some in right.chunks(MEMBERS) {
                let mut packed = Packed::new(all.frame, some.len());
                packed.fill(all.frame, all.gallery, (some.len(), |i| some[i] as usize), all.squares);
                let mut products = AlignedBuffer::new(class.len() * packed.width());
                let rows = &rows[from * depth..][..class.len() * depth];
                packed.products(all.tier, rows, (class.len(), longest), &mut products);
                for (values, products) in values.iter_mut().zip(products.chunks_exact(packed.width())) {
                    values.extend(products[..some.len()].iter().copied().zip(some.iter().copied()));
                }
            }
            for (i, (q, values)) in class.iter().zip(values).enumerate() {
                each.push(Query::new(all, (*q, label, squares[from + i]), values, excluded, &mut scratch));
            }
            from += class.len();
        }
        Block { rows, longest, queries: each }
    }

    /// Meets the members of the gallery from `start` on that are packed.
    fn meet(
        &mut self,
        all: &All<'_>,
        excluded: &Excluded<'_>,
        (start, packed): (usize, &Packed),
        room: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let width = packed.width();
        let m = self.queries.len();
        let products = &mut room[..m * width];
        packed.products(all.tier, &self.rows, (m, self.longest), products);
        for (query, values) in self.queries.iter_mut().zip(products.chunks_exact(width)) {
            query.meet(all, excluded, (start, &values[..packed.count]), scratch);
        }
    }
}

impl Query {
    fn new(
        all: &All<'_>,
        (index, label, square): (usize, u32, f64),
        mut values: Vec<(f32, u32)>,
        excluded: &Excluded<'_>,
        scratch: &mut Scratch,
    ) -> Query {
        excluded.sorted(index, 0..u32::MAX, &mut scratch.excluded);
        values.retain(|(_, g)| scratch.excluded.binary_search(g).is_err());
        for (value, g) in values.iter_mut().filter(|(value, _)| !value.is_finite()) {
            *value = measured_value(all, (index, square), *g, scratch);
        }
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let edges: Vec<f32> = values.iter().map(|(v, _)| *v).collect();
        let right = values.iter().map(|(_, g)| *g).collect();
        let mut query = Query {
            index,
            label,
            square,
            slack: 0.0,
            beyond: 0.0,
            counts: vec![0; edges.len() + 1],
            right,
            bins: Bins::new(0.0, 1.0, 1),
            numbers: Vec::new(),
            starts: Vec::new(),
            doubtful: Vec::new(),
            edges,
        };
        if let Some(last) = query.edges.last().copied() {
            let (length, read) = (square.sqrt(), all.frame.reading(all.queries, index));
            // Whatever is compared is about as near as the farthest edge, and so not much longer than that.
            let far = f64::from(above(last, all.bound.slack(length, read))) + square;
            query.slack = all.bound.slack_within(length, read, far);
            query.beyond = above(last, query.slack);
            query.tabulate();
        }
        query
    }

    /// Makes the bins.
    fn tabulate(&mut self) {
        let Query { edges, slack, .. } = self;
        let finite = |e: &f32| e.is_finite();
        let first = edges.iter().copied().find(finite).unwrap_or(0.0);
        let last = edges.iter().rev().copied().find(finite).unwrap_or(first);
        let count = (BINS_EACH * edges.len()).next_power_of_two().clamp(64, MOST_BINS);
        let bins = Bins::new(first, last, count);
        let mut starts = Vec::with_capacity(count);
        for (i, e) in edges.iter().enumerate() {
            let reached = starts.len().max(bins.of(*e) + 1);
            starts.resize(reached, i as u32);
        }
        starts.resize(count, edges.len() as u32);
        let mut numbers = vec![if slack.is_finite() { Bins::CLEAR } else { 0 }; count];
        let mut next = 0;
        for e in edges.iter() {
            let around = |by: f64| (f64::from(*e) + by * 1.0001 * f64::from(*slack)) as f32;
            let (low, high) = (bins.of(around(-1.0).next_down()), bins.of(around(1.0).next_up()));
            // Edges rise, and so do both ends.
            numbers.get_mut(low.max(next)..high + 1).unwrap_or_default().fill(0);
            next = next.max(high + 1);
        }
        // What overflowed, or is no number, falls into the first bin or the last.
        numbers[0] = 0;
        numbers[count - 1] = 0;
        (self.bins, self.starts, self.numbers) = (bins, starts, numbers);
    }

    /// Counts members of the gallery from `start` on by what products gave for them.
    fn meet(
        &mut self,
        all: &All<'_>,
        excluded: &Excluded<'_>,
        (start, values): (usize, &[f32]),
        scratch: &mut Scratch,
    ) {
        if self.edges.is_empty() {
            return;
        }
        excluded.sorted(self.index, start as u32..(start + values.len()) as u32, &mut scratch.excluded);
        let (left_out, mut open) = (std::mem::take(&mut scratch.excluded), std::mem::take(&mut scratch.open));
        let mut from = 0;
        for to in left_out.iter().map(|g| *g as usize - start).chain(Some(values.len())) {
            open.clear();
            all.tier.count_bins(&values[from..to], self.beyond, self.bins, &mut self.numbers, &mut open);
            for i in open.iter().map(|i| from + *i as usize) {
                self.place(all, values[i], (start + i) as u32, scratch);
            }
            from = to + 1;
        }
        (scratch.excluded, scratch.open) = (left_out, open);
        if self.doubtful.len() >= MOST_DOUBTFUL {
            self.settle(all, scratch);
        }
    }

    /// Counts a member in whose bin there are edges, or may be.
    fn place(&mut self, all: &All<'_>, mut v: f32, g: u32, scratch: &mut Scratch) {
        // An infinite value is one that overflowed.
        if !v.is_finite() {
            v = measured_value(all, (self.index, self.square), g, scratch);
        }
        let mut at = self.starts[self.bins.of(v)] as usize;
        while self.edges.get(at).is_some_and(|e| *e < v) {
            at += 1;
        }
        // What is no number is not far.
        let close = |e: Option<&f32>| e.is_some_and(|e| (e - v).abs() <= self.slack || (e - v).is_nan());
        if close(self.edges.get(at)) || at > 0 && close(self.edges.get(at - 1)) {
            // A right one is as near as its own edge.
            if all.labels[g as usize] == self.label {
                return;
            }
            let (length, read) = (self.square.sqrt(), all.frame.reading(all.queries, self.index));
            let far = f64::from(above(v, 2.0 * self.slack)) + self.square;
            let slack = f64::from(all.bound.slack_within(length, read, far));
            // Where the difference is no number, nothing is known.
            let (low, high) = match (f64::from(v) - slack, f64::from(v) + slack) {
                (low, high) if low.is_nan() || high.is_nan() => (f64::NEG_INFINITY, f64::INFINITY),
                sure => sure,
            };
            let from = self.edges[..at].partition_point(|e| f64::from(*e) < low);
            let to = at + self.edges[at..].partition_point(|e| f64::from(*e) <= high);
            if from < to {
                self.doubtful.push((from as u32, to as u32, g));
                return;
            }
        }
        self.counts[at] += 1;
    }

    /// Counts what is in doubt, by measuring it and the right ones that it may be as near as.
    fn settle(&mut self, all: &All<'_>, s: &mut Scratch) {
        if self.doubtful.is_empty() {
            return;
        }
        let n = self.edges.len();
        s.windows.clear();
        s.windows.resize(n + 1, 0);
        for (from, to, _) in &self.doubtful {
            s.windows[*from as usize] += 1;
            s.windows[*to as usize] -= 1;
        }
        s.read_query(all, self.index);
        s.runs.clear();
        s.runs.resize(n, (0, 0));
        s.measured.clear();
        s.measured.resize(n, (0.0, 0));
        let (mut open, mut begin) = (0, 0);
        for j in 0..=n {
            let before = open;
            open += s.windows[j];
            if before == 0 && open > 0 {
                begin = j;
            }
            if before > 0 && open == 0 {
                // What lies before a run is nearer than all of it, and what lies after is farther.
                let right = &self.right[begin..j];
                let mut to = s.measured[begin..j].iter_mut().zip(right);
                all.measure(&s.query, right.iter().copied(), |far| {
                    to.next().into_iter().for_each(|(to, g)| *to = (far, *g));
                });
                s.measured[begin..j].sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                s.runs[begin..j].fill((begin as u32, j as u32));
            }
        }
        let mut each = self.doubtful.iter();
        all.measure(&s.query, self.doubtful.iter().map(|(_, _, g)| *g), |far| {
            let Some((from, _, g)) = each.next() else { return };
            let (begin, end) = s.runs[*from as usize];
            let (begin, end) = (begin as usize, end as usize);
            let nearer =
                s.measured[begin..end].partition_point(|r| r.0.total_cmp(&far).then(r.1.cmp(g)).is_lt());
            self.counts[begin + nearer] += 1;
        });
        self.doubtful.clear();
    }

    /// The ranks of the right ones.
    fn finish<'s>(&mut self, all: &All<'_>, scratch: &'s mut Scratch) -> &'s [u32] {
        self.settle(all, scratch);
        for (number, start) in self.numbers.iter().zip(&self.starts) {
            if number & Bins::CLEAR != 0 {
                self.counts[*start as usize] += number & !Bins::CLEAR;
            }
        }
        scratch.ranks.clear();
        let mut nearer = 0;
        for (j, count) in self.counts[..self.edges.len()].iter().enumerate() {
            nearer += count;
            scratch.ranks.push(nearer + j as u32 + 1);
        }
        &scratch.ranks
    }
}

impl Scratch {
    fn read_query(&mut self, all: &All<'_>, index: usize) {
        self.query.resize(all.queries.d(), 0.0);
        all.queries.read(index, &mut self.query);
    }
}

/// What a product would give if it did not overflow.
fn measured_value(all: &All<'_>, (query, square): (usize, f64), g: u32, scratch: &mut Scratch) -> f32 {
    scratch.read_query(all, query);
    let mut value = f32::INFINITY;
    all.measure(&scratch.query, std::iter::once(g), |far| value = (all.frame.scale() * far - square) as f32);
    if value.is_nan() { f32::INFINITY } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{Features, Images, Shape};
    use crate::neighbours::{Exact, nearest};
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
                    let expected = nearest(&Exact::new(tier, g), q, m, leave, |i, list| -> Vec<u32> {
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
                let near = nearest(&Exact::new(tier, v), v, 9, Leave::Itself, |_, l| l.iter().map(|n| n.index).collect::<Vec<_>>());
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
