//! Clusters by density: HDBSCAN*, from distances to the tree of clusters and to those that last (Campello, Moulavi and Sander,
//! "Density-based clustering based on hierarchical density estimates", PAKDD 2013; as scikit-learn's `HDBSCAN` by excess of mass).

use crate::images::Features;
use rayon::prelude::*;

/// Two nodes of the hierarchy that become one; the first `n` nodes are the vectors.
struct Join {
    parts: [usize; 2],
    distance: f32,
    size: usize,
}

/// A vector or a cluster that leaves its parent, a cluster, as the density rises.
struct Leaf {
    node: usize,
    parent: usize,
    /// One over the distance at which it leaves.
    density: f32,
    size: usize,
}

/// By vector: its cluster, if it is in one. Clusters have `least` members or more; a vector's density is told by its `samples` nearest,
/// itself among them.
pub(super) fn density_clusters(features: &Features, least: usize, samples: usize) -> Vec<Option<u32>> {
    let n = features.len();
    let blocks = Blocks::new(features);
    let core = core_distances(features, &blocks, samples);
    let joins = hierarchy(spanning_tree(features, &blocks, &core), n);
    winners(&condense(&joins, n, least), n)
}

/// Vectors of a block: measured side by side, each sum in the order of its numbers.
const BLOCK: usize = 16;
/// Blocks that are worth a thread's while.
const LEAST: usize = 16;

/// All vectors, block by block: the first numbers of its vectors, then the second ones...
struct Blocks {
    d: usize,
    numbers: Vec<f32>,
}

impl Blocks {
    fn new(features: &Features) -> Blocks {
        let (n, d) = (features.len(), features.d());
        let mut numbers = vec![0.0; n.next_multiple_of(BLOCK) * d];
        for (i, row) in features.rows().enumerate() {
            let block = &mut numbers[i / BLOCK * BLOCK * d..][..BLOCK * d];
            row.iter().enumerate().for_each(|(k, v)| block[k * BLOCK + i % BLOCK] = *v);
        }
        Blocks { d, numbers }
    }

    /// How far the vectors of a block are; of the last one, some may be no vectors.
    fn distances(&self, from: &[f32], block: usize) -> [f32; BLOCK] {
        let mut sums = [0.0; BLOCK];
        let (columns, _) = self.numbers[block * BLOCK * self.d..][..BLOCK * self.d].as_chunks::<BLOCK>();
        for (x, column) in from.iter().zip(columns) {
            sums.iter_mut().zip(column).for_each(|(sum, y)| *sum += (x - y) * (x - y));
        }
        sums.map(f32::sqrt)
    }
}

/// By vector: how far its `samples`-th nearest is.
fn core_distances(features: &Features, blocks: &Blocks, samples: usize) -> Vec<f32> {
    let n = features.len();
    (0..n)
        .into_par_iter()
        .map_init(Vec::new, |far, i| {
            far.clear();
            far.extend((0..n.div_ceil(BLOCK)).flat_map(|b| blocks.distances(features.row(i), b)));
            *far[..n].select_nth_unstable_by(samples.clamp(1, n) - 1, f32::total_cmp).1
        })
        .collect()
}

/// The shortest edges that connect all vectors (Prim), where two are as far apart as the sparser one of them is from its nearest, or
/// farther; the shortest first.
fn spanning_tree(features: &Features, blocks: &Blocks, core: &[f32]) -> Vec<([usize; 2], f32)> {
    let n = features.len();
    let mut joined = vec![false; n];
    let mut nearest = vec![f32::INFINITY; n];
    let mut last = 0;
    let mut edges = Vec::with_capacity(n);
    for _ in 1..n {
        joined[last] = true;
        let (joined, row) = (&joined, features.row(last));
        let found =
            nearest.par_chunks_mut(BLOCK).enumerate().with_min_len(LEAST).filter_map(|(b, nearest)| {
                let all = b * BLOCK..b * BLOCK + nearest.len();
                if !joined[all.clone()].contains(&false) {
                    return None;
                }
                let far = blocks.distances(row, b);
                nearest.iter_mut().zip(far).zip(&core[all.clone()]).for_each(|((near, far), core_of_it)| {
                    *near = near.min(core[last].max(*core_of_it).max(far));
                });
                let open = all.zip(&*nearest).filter(|(i, _)| !joined[*i]);
                open.map(|(i, near)| (i, *near)).min_by(|a, b| a.1.total_cmp(&b.1))
            });
        // The first of those that are equally near, at any number of threads.
        let Some((next, far)) = found.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0))) else { break };
        edges.push(([last, next], far));
        last = next;
    }
    edges.sort_by(|a, b| a.1.total_cmp(&b.1));
    edges
}

fn hierarchy(edges: Vec<([usize; 2], f32)>, n: usize) -> Vec<Join> {
    let mut above: Vec<usize> = (0..2 * n).collect();
    let mut joins: Vec<Join> = Vec::with_capacity(n);
    for (ends, distance) in edges {
        let parts = ends.map(|end| {
            let mut at = end;
            while above[at] != at {
                above[at] = above[above[at]];
                at = above[at];
            }
            at
        });
        parts.iter().for_each(|part| above[*part] = n + joins.len());
        let size = parts.iter().map(|part| size(&joins, n, *part)).sum();
        joins.push(Join { parts, distance, size });
    }
    joins
}

fn size(joins: &[Join], n: usize, node: usize) -> usize {
    if node < n { 1 } else { joins[node - n].size }
}

/// A node and all below it, from the top down.
fn below(joins: &[Join], n: usize, top: usize) -> Vec<usize> {
    let mut all = vec![top];
    let mut at = 0;
    while at < all.len() {
        if all[at] >= n {
            all.extend(joins[all[at] - n].parts);
        }
        at += 1;
    }
    all
}

/// The hierarchy of clusters alone: what splits off and is smaller than `least` leaves its cluster vector by vector. The cluster of all
/// is number `n`, and a part has a higher number than what it is a part of.
fn condense(joins: &[Join], n: usize, least: usize) -> Vec<Leaf> {
    let top = n + joins.len() - 1;
    let mut cluster = vec![n; top + 1];
    let mut next = n + 1;
    let mut done = vec![false; top + 1];
    let mut leaves = Vec::new();
    for node in below(joins, n, top) {
        if node < n || done[node] {
            continue;
        }
        let Join { parts, distance, .. } = joins[node - n];
        let density = if distance > 0.0 { 1.0 / distance } else { f32::INFINITY };
        let (parent, sizes) = (cluster[node], parts.map(|part| size(joins, n, part)));
        let splits = sizes.iter().all(|size| *size >= least);
        for (part, size) in parts.into_iter().zip(sizes) {
            if splits {
                leaves.push(Leaf { node: next, parent, density, size });
                cluster[part] = next;
                next += 1;
            } else if size >= least {
                cluster[part] = parent;
            } else {
                for node in below(joins, n, part) {
                    done[node] = true;
                    if node < n {
                        leaves.push(Leaf { node, parent, density, size: 1 });
                    }
                }
            }
        }
    }
    leaves
}

/// By vector: the cluster that it is in, of those that last longer than their parts together. The cluster of all is none.
fn winners(leaves: &[Leaf], n: usize) -> Vec<Option<u32>> {
    let count = 1 + leaves.iter().filter(|l| l.node >= n).count();
    let (mut parent, mut birth) = (vec![0; count], vec![0.0f32; count]);
    for leaf in leaves.iter().filter(|l| l.node >= n) {
        (parent[leaf.node - n], birth[leaf.node - n]) = (leaf.parent - n, leaf.density);
    }
    let mut lasts = vec![0.0f32; count];
    for leaf in leaves {
        lasts[leaf.parent - n] += (leaf.density - birth[leaf.parent - n]) * leaf.size as f32;
    }
    let (mut wins, mut parts) = (vec![false; count], vec![Vec::new(); count]);
    (1..count).for_each(|c| parts[parent[c]].push(c));
    for c in (1..count).rev() {
        let together = parts[c].iter().fold(0.0, |sum, part| sum + lasts[*part]);
        wins[c] = lasts[c] > together;
        if !wins[c] {
            lasts[c] = together;
        }
    }
    let mut label: Vec<Option<u32>> = vec![None; count];
    let mut labels = 0;
    for c in 1..count {
        label[c] = label[parent[c]];
        if wins[c] && label[c].is_none() {
            label[c] = Some(labels);
            labels += 1;
        }
    }
    let mut found = vec![None; n];
    leaves.iter().filter(|l| l.node < n).for_each(|l| found[l.node] = label[l.parent - n]);
    found
}
