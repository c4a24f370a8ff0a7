//! Between what rates of pairs lie: pairs are counted as often as what they are of was drawn.

use super::{Independent, Pair, Pairs, Rates};
use crate::eval::bootstrap::{self, Drawn};
use crate::eval::interval::bootstrap_interval;

/// Pairs of a block, about. A draw sums whole blocks, and looks at single pairs only in the block where a rate crosses.
const BLOCK: usize = 4096;
/// Marks a pair of one class, in the first of its ends; and the last of those that are as far apart, in the second.
const MARK: u32 = 1 << 31;

/// Pairs, nearest first, in eight bytes each: many draws read them all.
struct Compact {
    ends: Vec<[u32; 2]>,
    /// Where blocks end: never between two pairs that are as far apart.
    blocks: Vec<usize>,
}

/// How many pairs of two classes, and of one.
type Counts = [u64; 2];

impl Compact {
    fn new(sorted: impl ExactSizeIterator<Item = ([u32; 2], bool, f64)>) -> Compact {
        let n = sorted.len();
        let mut compact = Compact { ends: Vec::with_capacity(n), blocks: Vec::new() };
        let (mut begin, mut before) = (0, None);
        for (i, ([a, b], genuine, distance)) in sorted.enumerate() {
            assert!((a | b) & MARK == 0, "pairs: fewer images than 2^31");
            if before.is_some_and(|d: f64| d != distance) {
                compact.ends[i - 1][1] |= MARK;
                if i - begin >= BLOCK {
                    compact.blocks.push(i);
                    begin = i;
                }
            }
            compact.ends.push([a | if genuine { MARK } else { 0 }, b]);
            before = Some(distance);
        }
        if let Some(last) = compact.ends.last_mut() {
            last[1] |= MARK;
            compact.blocks.push(n);
        }
        compact
    }

    /// Counts a pair as often as both its ends were drawn.
    #[inline]
    fn count(counts: &mut Counts, [a, b]: [u32; 2], times: &[u32]) {
        let (kind, a, b) = (usize::from(a & MARK != 0), a & !MARK, b & !MARK);
        let (of_a, of_b) = (u64::from(times[a as usize]), u64::from(times[b as usize]));
        counts[kind] += if a == b { of_a } else { of_a * of_b };
    }

    /// The equal error rate, and the share of pairs of one class that is accepted at each rate of false acceptances, where pairs count as
    /// often as `times` says of their ends. Nothing if none of one kind was drawn.
    fn rates(&self, times: &[u32], fars: &[f64]) -> Option<(f64, Vec<f64>)> {
        let mut counts = [0; 2];
        // What was counted before each block.
        let mut before = Vec::with_capacity(self.blocks.len() + 1);
        before.push(counts);
        let mut begin = 0;
        for end in &self.blocks {
            self.ends[begin..*end].iter().for_each(|pair| Compact::count(&mut counts, *pair, times));
            before.push(counts);
            begin = *end;
        }
        let totals = counts;
        if totals.contains(&0) {
            return None;
        }
        let share = |counts: Counts, kind: usize| counts[kind] as f64 / totals[kind] as f64;
        let rates = |c: Counts| Rates { rejected: 1.0 - share(c, 1), accepted: share(c, 0) };
        let eer = self.walk(&before, times, |nearer, counts| {
            rates(nearer).crossing(rates(counts)).map(|(eer, _)| eer)
        })?;
        let tar = |far: &f64| {
            let limit = far * totals[0] as f64 + 1e-9;
            let stopped = self
                .walk(&before, times, |nearer, counts| (counts[0] as f64 > limit).then(|| share(nearer, 1)));
            stopped.unwrap_or(1.0)
        };
        Some((eer, fars.iter().map(tar).collect()))
    }

    /// Goes through the counts at rising thresholds, two that follow each other, until `stop` gives something. Single thresholds are
    /// looked at in the one block at whose end it would.
    fn walk<T>(
        &self,
        before: &[Counts],
        times: &[u32],
        stop: impl Fn(Counts, Counts) -> Option<T>,
    ) -> Option<T> {
        let block = before.windows(2).position(|ends| stop(ends[0], ends[1]).is_some())?;
        let begin = block.checked_sub(1).map_or(0, |b| self.blocks[b]);
        let (mut nearer, mut counts) = (before[block], before[block]);
        self.ends[begin..self.blocks[block]].iter().find_map(|pair| {
            Compact::count(&mut counts, *pair, times);
            let last = pair[1] & MARK != 0;
            let found = if last { stop(nearer, counts) } else { None };
            if last {
                nearer = counts;
            }
            found
        })
    }
}

impl Pairs {
    /// Between what the equal error rate lies, and the share that is accepted of pairs of one class at each rate of false acceptances, 95 %
    /// ([`bootstrap_interval`](crate::eval::bootstrap_interval)). Pairs that share a class, or an image, are not independent: whole classes are
    /// drawn, or images.
    pub fn intervals(&self, seed: u64, of: Independent, fars: &[f64]) -> ([f64; 2], Vec<[f64; 2]>) {
        let ends = |p: &Pair| if of == Independent::Classes { p.of } else { p.images };
        let most = self.sorted.iter().flat_map(ends).max().map_or(0, |m| m as usize + 1);
        let mut there = vec![false; most];
        self.sorted.iter().flat_map(ends).for_each(|c| there[c as usize] = true);
        let mut members: Vec<usize> = (0..most).filter(|c| there[*c]).collect();
        if of == Independent::Images {
            // Images are drawn in the order of their pairs' keys, so that that of a list does not matter.
            let mut keys = vec![0u64; most];
            for p in &self.sorted {
                p.images.iter().for_each(|i| keys[*i as usize] = keys[*i as usize].wrapping_add(p.key));
            }
            members.sort_by_key(|i| keys[*i]);
        }
        let drawn = if of == Independent::Classes { Drawn::Classes } else { Drawn::Images };
        let compact = Compact::new(self.sorted.iter().map(|p| (ends(p), p.genuine, p.distance)));
        let rates = bootstrap::draws(members.len(), drawn, seed, |counts| {
            let mut times = vec![0u32; most];
            members.iter().zip(counts).for_each(|(member, count)| times[*member] = *count);
            compact.rates(&times, fars)
        });
        let rates: Vec<(f64, Vec<f64>)> = rates.into_iter().flatten().collect();
        // Where each pair stands for itself, the fewer of the two kinds; of images, two make a pair.
        let units = match of {
            _ if members.len() == self.sorted.len() => self.genuine.min(self.impostor) as f64,
            Independent::Classes => members.len() as f64,
            Independent::Images => members.len() as f64 / 2.0,
        };
        let interval = |value: f64, draws: Vec<f64>| bootstrap_interval(value, &draws, units);
        let eer = interval(self.equal_error_rate().eer, rates.iter().map(|r| r.0).collect());
        let tar =
            |(i, far): (usize, &f64)| interval(self.at_far(*far).tar, rates.iter().map(|r| r.1[i]).collect());
        (eer, fars.iter().enumerate().map(tar).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// A pair that counts twice is as good as two pairs: the rates of [`Pairs`], which count each once.
        #[test]
        fn rates_of_pairs_drawn_are_those_of_pairs_repeated(
            all in prop::collection::vec((0u32..9, 0u32..9, any::<bool>(), 0u32..400), 2..300),
            times in prop::collection::vec(0u32..4, 9),
            repeated in 1usize..40,
        ) {
            // Many of them, so that there are several blocks.
            let pairs: Vec<Pair> = (0..repeated)
                .flat_map(|r| all.iter().map(move |(a, b, genuine, far)| (r as u32, *a, *b, *genuine, *far)))
                .map(|(r, a, b, genuine, far)| Pair {
                    distance: f64::from(far * 3 + r * r % 7), genuine, of: [a, b], images: [a, b], key: 0,
                })
                .collect();
            let Some(sorted) = Pairs::new(pairs.clone()) else { return Ok(()) };
            let often = |p: &Pair| {
                let [a, b] = p.of.map(|c| times[c as usize]);
                if p.of[0] == p.of[1] { a } else { a * b }
            };
            let drawn = Pairs::new(pairs.iter().flat_map(|p| std::iter::repeat_n(*p, often(p) as usize)).collect());
            let compact = Compact::new(sorted.sorted.iter().map(|p| (p.of, p.genuine, p.distance)));
            let fars = [0.0, 0.001, 0.1, 0.5, 1.0];
            let found = compact.rates(&times, &fars);
            prop_assert_eq!(found.is_some(), drawn.is_some());
            if let (Some((eer, tars)), Some(drawn)) = (found, drawn) {
                prop_assert!((eer - drawn.equal_error_rate().eer).abs() < 1e-12);
                for (far, tar) in fars.iter().zip(tars) {
                    prop_assert!((tar - drawn.at_far(*far).tar).abs() < 1e-12, "{} {}", far, tar);
                }
            }
        }
    }
}
