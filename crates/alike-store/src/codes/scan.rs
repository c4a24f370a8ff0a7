//! The search itself: codes are scanned, bounds are made narrower, vectors are read.

use super::query::{Coded, Nearest};
use super::{Codes, List, ZERO, safe, up};
use alike::images::Vectors;
use alike::neighbours::Neighbour;
use alike_kernels::{CODE_ROWS, Tier, code_at};
use rayon::prelude::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows that are looked at together.
const BLOCK: usize = 1024;
/// Queries that are looked at together.
const QUERIES: usize = 128;

/// Whether a member counts for a query.
pub(crate) type Eligible<'a> = dyn Fn(usize, usize) -> bool + Sync + 'a;

/// A row that may be among the nearest.
#[derive(Clone, Copy)]
struct Survivor {
    /// No more than its distance.
    least: f32,
    list: u32,
    row: u32,
}

impl Codes {
    /// The `k` nearest members of each query, as [`alike::neighbours::Index::search`] has them. `read` reads the vector of a member; one
    /// that is there no more does not count.
    pub(crate) fn search<E>(
        &self,
        (tier, queries): (Tier, Vectors<'_>),
        k: usize,
        eligible: &Eligible<'_>,
        mut read: impl FnMut(u32, &mut [f32]) -> Result<bool, E>,
        take: &(dyn Fn(usize, &[Neighbour]) + Sync),
    ) -> Result<(), E> {
        let rows: Vec<Vec<f32>> = (0..queries.len()).map(|i| queries.row(i)).collect();
        for first in (0..rows.len()).step_by(QUERIES) {
            let some = &rows[first..(first + QUERIES).min(rows.len())];
            let eligible = |query: usize, member: usize| eligible(first + query, member);
            let survivors =
                if k == 0 { vec![Vec::new(); some.len()] } else { self.scan(tier, some, k, &eligible) };
            let refined: Vec<Vec<(f64, u32, u32)>> = (some.par_iter().zip(survivors).enumerate())
                .map(|(q, (query, found))| self.refine(q, query, found, k, &eligible))
                .collect();
            for (q, found) in refined.into_iter().enumerate() {
                let list = self.measure(q, &some[q], &found, k, &eligible, &mut read)?;
                take(first + q, &list);
            }
        }
        Ok(())
    }

    /// By query: the rows that its nearest are among.
    fn scan(
        &self,
        tier: Tier,
        queries: &[Vec<f32>],
        k: usize,
        eligible: &Eligible<'_>,
    ) -> Vec<Vec<Survivor>> {
        let nearest: Vec<Nearest> = queries.iter().map(|_| Nearest::new(k)).collect();
        let found: Vec<Mutex<Vec<Survivor>>> = queries.iter().map(|_| Mutex::default()).collect();
        let scanning = Scanning { codes: self, tier, queries, nearest: &nearest, found: &found, eligible };
        // What is near the query is looked at first: the sooner the bound is low, the less is left.
        let order: Vec<Vec<u32>> = queries.par_iter().map(|q| self.by_distance(q)).collect();
        let firsts: Vec<usize> = order.iter().map(|o| o.first().map_or(0, |f| *f as usize)).collect();
        (0..queries.len()).into_par_iter().for_each_init(Room::default, |room, q| {
            scanning.list(firsts[q], &mut |query| query == q, room);
        });
        let lists: Vec<usize> = match &order[..] {
            [one] => one.iter().map(|l| *l as usize).collect(),
            _ => (0..self.lists.len()).collect(),
        };
        let next = AtomicUsize::new(0);
        let work = || {
            let mut room = Room::default();
            while let Some(list) = lists.get(next.fetch_add(1, Ordering::Relaxed)) {
                scanning.list(*list, &mut |query| firsts[query] != *list, &mut room);
            }
        };
        rayon::scope(|scope| (0..rayon::current_num_threads()).for_each(|_| scope.spawn(|_| work())));
        let kept = found.into_iter().zip(&nearest).map(|(found, nearest)| {
            let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            let bound = nearest.bound();
            found.retain(|s| s.least <= bound || s.least.is_nan());
            found
        });
        kept.collect()
    }

    /// The lists that have rows, by the distance of their centres.
    fn by_distance(&self, query: &[f32]) -> Vec<u32> {
        let distance = |list: &u32| -> f32 {
            let centre = self.centres.row(*list as usize);
            query.iter().zip(centre).map(|(q, c)| (q - c) * (q - c)).sum()
        };
        let mut lists: Vec<u32> =
            (0..self.lists.len() as u32).filter(|l| self.lists[*l as usize].len() > 0).collect();
        lists.sort_by_cached_key(|list| (distance(list).max(0.0).to_bits(), *list));
        lists
    }

    /// Narrower bounds by the query as it is: no more than its distance, list and row, the nearest first.
    fn refine(
        &self,
        q: usize,
        query: &[f32],
        found: Vec<Survivor>,
        k: usize,
        eligible: &Eligible<'_>,
    ) -> Vec<(f64, u32, u32)> {
        let nearest = Nearest::new(k);
        let mut rows: Vec<(f64, u32, u32)> = Vec::with_capacity(found.len());
        for Survivor { list: number, row, .. } in found {
            let list = &self.lists[number as usize];
            let (centre, row_of) = (self.centres.row(number as usize), row as usize);
            let scale = f64::from(list.scale[row_of]);
            let square: f64 = (query.iter().zip(centre).enumerate())
                .map(|(i, (v, c))| {
                    let code = i32::from(list.codes[code_at(self.width, row_of, i)]) - ZERO;
                    let away = f64::from(*v) - f64::from(*c) - scale * f64::from(code);
                    away * away
                })
                .sum();
            // In doubles; what is rounded is far below this.
            let (distance, error) = (square.sqrt(), f64::from(list.error[row_of]));
            let rounding = 1e-12 * (distance + error + scale * 128.0 * (self.d as f64).sqrt());
            let members = list.members(row_of).filter(|m| eligible(q, *m as usize)).take(k).count();
            nearest.meet(up(safe(distance + error + rounding, self.d)), members);
            rows.push((distance - error - rounding, number, row));
        }
        let bound = f64::from(nearest.bound());
        rows.retain(|(least, ..)| least.partial_cmp(&bound) != Some(std::cmp::Ordering::Greater));
        // What cannot be told comes first.
        rows.sort_by(|a, b| {
            let key = |v: f64| if v.is_nan() { f64::NEG_INFINITY } else { v };
            key(a.0).total_cmp(&key(b.0)).then((a.1, a.2).cmp(&(b.1, b.2)))
        });
        rows
    }

    /// The nearest by their vectors.
    fn measure<E>(
        &self,
        q: usize,
        query: &[f32],
        rows: &[(f64, u32, u32)],
        k: usize,
        eligible: &Eligible<'_>,
        read: &mut impl FnMut(u32, &mut [f32]) -> Result<bool, E>,
    ) -> Result<Vec<Neighbour>, E> {
        let mut vector = vec![0f32; self.d];
        let mut near: Vec<Neighbour> = Vec::new();
        let order =
            |a: &Neighbour, b: &Neighbour| a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index));
        // The square of the k-th distance, once there is one.
        let mut limit = f64::INFINITY;
        for (least, list, row) in rows {
            // A little below, for squares and roots are rounded.
            if *least > 0.0 && least * least * (1.0 - 1e-12) > limit {
                break;
            }
            let mut square = None;
            for member in self.lists[*list as usize].members(*row as usize) {
                if !eligible(q, member as usize) {
                    continue;
                }
                // Members of a row have the same vector; but one may be gone.
                if square.is_none() {
                    if !read(member, &mut vector)? {
                        continue;
                    }
                    let sum: f64 =
                        query.iter().zip(&vector).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
                    square = Some(sum);
                }
                let Some(distance) =
                    square.filter(|s| s.partial_cmp(&limit) != Some(std::cmp::Ordering::Greater))
                else {
                    break;
                };
                near.push(Neighbour { index: member as usize, distance });
                if near.len() >= 2 * k + 64 {
                    near.sort_unstable_by(order);
                    near.truncate(k);
                    limit = near.last().map_or(limit, |n| n.distance);
                    // Members rise: of equals, those that come later come after the last that is kept.
                    if near.last().is_some_and(|last| distance >= limit && last.index <= member as usize) {
                        break;
                    }
                }
            }
            if near.len() >= k && limit == f64::INFINITY || near.len() > k + k / 4 {
                near.sort_unstable_by(order);
                near.truncate(k);
                limit = near.last().map_or(limit, |n| n.distance);
            }
        }
        near.sort_unstable_by(order);
        near.truncate(k);
        near.iter_mut().for_each(|n| n.distance = n.distance.sqrt());
        Ok(near)
    }
}

/// What a thread writes to.
#[derive(Default)]
struct Room {
    numbers: Vec<i8>,
    away: Vec<f32>,
    products: Vec<i32>,
}

struct Scanning<'a> {
    codes: &'a Codes,
    tier: Tier,
    queries: &'a [Vec<f32>],
    nearest: &'a [Nearest],
    found: &'a [Mutex<Vec<Survivor>>],
    eligible: &'a Eligible<'a>,
}

impl Scanning<'_> {
    /// Looks at a list for those queries for which it is wanted and may hold something.
    fn list(&self, number: usize, wanted: &mut dyn FnMut(usize) -> bool, room: &mut Room) {
        let Codes { width, centres, lists, d, .. } = self.codes;
        let (list, width) = (&lists[number], *width);
        if list.len() == 0 {
            return;
        }
        room.away.resize(*d, 0.0);
        room.numbers.clear();
        let mut asking: Vec<(usize, Coded)> = Vec::new();
        for q in (0..self.queries.len()).filter(|q| wanted(*q)) {
            let at = room.numbers.len();
            room.numbers.resize(at + width, 0);
            let coded =
                Coded::new(&self.queries[q], centres.row(number), &mut room.numbers[at..], &mut room.away);
            // Nothing of the list is nearer than this.
            if (coded.least - list.radius).next_down() > self.nearest[q].bound() {
                room.numbers.truncate(at);
            } else {
                asking.push((q, coded));
            }
        }
        if asking.is_empty() {
            return;
        }
        for first in (0..list.len()).step_by(BLOCK) {
            let rows = BLOCK.min(list.len() - first);
            let whole = rows.next_multiple_of(CODE_ROWS);
            room.products.resize(whole * asking.len(), 0);
            let codes = &list.codes[first * width..][..whole * width];
            self.tier.code_dots(codes, width, &room.numbers, &mut room.products);
            for ((q, coded), products) in asking.iter().zip(room.products.chunks_exact(whole)) {
                self.block(*q, coded, (number, list), first, &products[..rows]);
            }
        }
    }

    /// Keeps the rows of a block that may be near.
    fn block(&self, q: usize, coded: &Coded, (number, list): (usize, &List), first: usize, products: &[i32]) {
        let nearest = &self.nearest[q];
        let range = first..first + products.len();
        let (scale, square, error) =
            (&list.scale[range.clone()], &list.square[range.clone()], &list.error[range]);
        let mut bound = nearest.bound();
        let mut kept: Vec<Survivor> = Vec::new();
        const CHUNK: usize = 16;
        for at in (0..products.len()).step_by(CHUNK) {
            let end = (at + CHUNK).min(products.len());
            // Mostly nothing is near, which a pass without branches finds out. What is no number may be near.
            let reach = bound + coded.error;
            let mut far = 0usize;
            for i in at..end {
                let (squared, slack) = coded.squared(scale[i], square[i], products[i]);
                let within = reach + error[i];
                far += usize::from(squared - slack > within * within);
            }
            if far == end - at {
                continue;
            }
            for i in at..end {
                let (squared, slack) = coded.squared(scale[i], square[i], products[i]);
                let within = bound + coded.error + error[i];
                if squared - slack > within * within {
                    continue;
                }
                let row = first + i;
                let members =
                    list.members(row).filter(|m| (self.eligible)(q, *m as usize)).take(MULTIPLE).count();
                if members == 0 {
                    continue;
                }
                let off = f64::from(coded.error) + f64::from(error[i]);
                let (low, high) =
                    (f64::from(squared) - f64::from(slack), f64::from(squared) + f64::from(slack));
                let least = (low.max(0.0).sqrt() - off) as f32;
                let least = if low.is_nan() { f32::NAN } else { least.next_down() };
                kept.push(Survivor { least, list: number as u32, row: row as u32 });
                // What overflowed bounds nothing.
                if !high.is_nan() {
                    nearest.meet(up(safe(high.max(0.0).sqrt() + off, 1)), members);
                    bound = nearest.bound();
                }
            }
        }
        if !kept.is_empty() {
            self.found[q].lock().unwrap_or_else(std::sync::PoisonError::into_inner).append(&mut kept);
        }
    }
}

/// Members of one row that are counted: more can only lower the bound later.
const MULTIPLE: usize = 64;
