//! The ranks of a query's matches in the whole gallery, without sorting it.
//!
//! A match is a member of the gallery that is of the query's class; retrieval measures need the ranks of matches alone. First, products in
//! `f32` measure a query's matches; their values, sorted, are the query's *edges*. Then the query meets the whole gallery, block by block,
//! and counts how many members lie between two edges. A histogram counts almost all of them. A member that may be as near as an edge,
//! within the error of products, is measured again in `f64`, and so is that edge. So ranks are exact, and ties go to the lower index.

mod query;

use super::Exclude;
use super::bound::Bound;
use super::excluded::Excluded;
use super::frame::{Frame, square};
use super::product::{MOST_PACKED, Packed};
use crate::images::Vectors;
use crate::meter::stage;
use alike_kernels::{AlignedBuffer, Tier};
use query::{Query, Scratch};
use rayon::prelude::*;
use std::collections::HashMap;

/// Bytes that queries hold at a time, about.
const MOST_HELD: usize = 128 << 20;
/// Queries of a task, at most, and members that they meet at once: their products fit into the second-level cache.
const QUERY_BLOCK: usize = 32;
const MEMBERS: usize = 8192;
/// Rows that are fetched ahead of their measurement.
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
    exclude: Exclude<'_>,
    read: impl Fn(usize, &[u32]) -> T + Sync,
) -> Vec<T> {
    assert!(queries.d() == gallery.d() && queries.len() == asked.len() && gallery.len() == labels.len());
    let frame = Frame::fine(queries, gallery);
    let squares = frame.square_norms(gallery);
    let bound = frame.bound(gallery, &squares);
    let mut members: HashMap<u32, Vec<u32>> = HashMap::new();
    labels.iter().enumerate().for_each(|(i, l)| members.entry(*l).or_default().push(i as u32));
    let all = All { tier, queries, gallery, labels, frame: &frame, squares: &squares, bound };
    let excluded = Excluded::new(exclude);
    // Queries of a class meet its members together.
    let mut order: Vec<usize> = (0..queries.len()).collect();
    order.sort_by_key(|q| asked[*q]);

    let stage = stage("ranking", queries.len() * gallery.len());
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
                    stage.compared(block.queries.len(), packed.count);
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
    let mut bytes = 0;
    let fits = |q: &&usize| {
        bytes += query::held(right(**q));
        bytes <= MOST_HELD
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

/// Some queries, sorted by class.
struct Block {
    /// As they are multiplied, [`Frame::depth`] floats each.
    rows: AlignedBuffer,
    /// The length of the longest.
    longest: f64,
    queries: Vec<Query>,
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

#[cfg(test)]
mod tests;
