//! A query: its edges, and what is counted between them.

use super::super::bound::above;
use super::super::excluded::Excluded;
use super::All;
use alike_kernels::Bins;

/// Bins of values between the nearest and the farthest edge: so many for each, up to a number whose table is near at hand.
const BINS_EACH: usize = 16;
const MOST_BINS: usize = 1 << 15;
/// Members in doubt that a query keeps before it measures them.
const MOST_DOUBTFUL: usize = 4096;

/// Bytes that a query with so many right ones holds, about.
pub(super) fn held(right: usize) -> usize {
    size_of::<Query>() + 16 * right + 8 * bins(right) + 12 * MOST_DOUBTFUL
}

/// Bins for so many edges.
fn bins(edges: usize) -> usize {
    (BINS_EACH * edges).next_power_of_two().clamp(64, MOST_BINS)
}

/// A query: its edges, and what was counted between them.
pub(super) struct Query {
    pub(super) index: usize,
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
pub(super) struct Scratch {
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

impl Query {
    pub(super) fn new(
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
        let count = bins(edges.len());
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
    pub(super) fn meet(
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
    pub(super) fn finish<'s>(&mut self, all: &All<'_>, scratch: &'s mut Scratch) -> &'s [u32] {
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
