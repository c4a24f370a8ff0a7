//! Pairs of pictures, one of which was made from the other or shows the same thing.

use super::{CopyKind, LookAlikes};
use crate::data::{Album, Progress, Relation, SKETCH, Seen, Turn, Unit};
use crate::eval::{Reference, bursts};
use crate::identity::Identities;
use crate::images::{Features, Vectors};
use crate::neighbours::{Exact, Exclude, nearest};
use rayon::prelude::*;
use std::collections::HashMap;

/// Neighbours of a sketch that are looked at.
const NEAR: usize = 8;
/// The cosine of two sketches that may be one picture, at least.
const SKETCH_COSINE: f64 = 0.85;
/// The correlation of two thumbnails that may be one picture, once they lie over each other.
const THUMB: f64 = 0.9;

/// A pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    /// One picture.
    pub(super) of: usize,
    /// The other: what it is of the first.
    pub(super) is: usize,
    pub(super) kind: CopyKind,
    /// How the first was turned to become the second.
    pub(super) turn: Turn,
}

/// All pairs, closest kinds first; and sentences about pictures that could not be read a second time.
pub(super) fn pairs(
    album: &Album,
    seen: &[Option<Seen>],
    look_alikes: Option<LookAlikes<'_>>,
    progress: &mut dyn Progress,
) -> (Vec<Pair>, Vec<String>) {
    let (mut pairs, single) = same_content(seen);
    let (mut compared, lost) = same_look(album, seen, &single, progress);
    pairs.append(&mut compared);
    if let Some(look_alikes) = look_alikes {
        pairs.extend(near(album, seen, look_alikes));
    }
    pairs.sort_by_key(|p| (p.kind, p.of, p.is));
    (pairs, lost)
}

/// Pairs of the same bytes or pixels, and one picture of each content.
fn same_content(seen: &[Option<Seen>]) -> (Vec<Pair>, Vec<usize>) {
    let (mut pairs, mut single) = (Vec::new(), Vec::new());
    let (mut bytes, mut pixels) = (HashMap::new(), HashMap::new());
    for (is, seen) in seen.iter().enumerate().filter_map(|(i, s)| Some((i, s.as_ref()?))) {
        let mut same = |of: usize, kind| pairs.push(Pair { of, is, kind, turn: Turn::default() });
        let first = *bytes.entry((seen.digest, seen.bytes)).or_insert(is);
        if first != is {
            same(first, CopyKind::Bytes);
            continue;
        }
        let first = *pixels.entry(seen.pixels).or_insert(is);
        if first == is { single.push(is) } else { same(first, CopyKind::Encoded) }
    }
    (pairs, single)
}

/// Pairs that look the same, however one of them is turned.
fn same_look(
    album: &Album,
    seen: &[Option<Seen>],
    single: &[usize],
    progress: &mut dyn Progress,
) -> (Vec<Pair>, Vec<String>) {
    let look = |i: usize| seen[i].as_ref();
    // What is too flat has no look: only its content can be that of another.
    let drawn: Vec<(usize, &Seen, [f32; SKETCH])> = (single.iter())
        .filter_map(|i| look(*i).and_then(|s| Some((*i, s, s.sketch.numbers(Turn::default())?))))
        .collect();
    if drawn.len() < 2 {
        return (Vec::new(), Vec::new());
    }
    let gallery: Vec<f32> = drawn.iter().flat_map(|(.., numbers)| *numbers).collect();
    let gallery = Features::new(SKETCH, gallery);
    let index = Exact::new(Vectors::Features(&gallery));
    // By pair: how the first lies over the second, the best way alone.
    let mut best: HashMap<(usize, usize), (f64, Turn)> = HashMap::new();
    for turn in Turn::all() {
        let turned: Vec<f32> = drawn
            .par_iter()
            .flat_map_iter(|(_, s, _)| s.sketch.numbers(turn).unwrap_or([0.0; SKETCH]))
            .collect();
        let turned = Features::new(SKETCH, turned);
        let found = nearest(&index, Vectors::Features(&turned), NEAR, Exclude::Itself, |of, list| {
            let near = list.iter().filter(|n| 1.0 - n.distance * n.distance / 2.0 >= SKETCH_COSINE);
            let fits = near.filter_map(|n| {
                let fit = drawn[of].1.sketch.fits(turn, &drawn[n.index].1.sketch)?;
                (fit.correlation >= THUMB).then_some((n.index, fit.correlation))
            });
            fits.collect::<Vec<_>>()
        });
        for (of, list) in found.into_iter().enumerate() {
            for (is, correlation) in list {
                let (pair, turn) = if of < is { ((of, is), turn) } else { ((is, of), turn.inverse()) };
                let there = best.entry(pair).or_insert((correlation, turn));
                if correlation > there.0 {
                    *there = (correlation, turn);
                }
            }
        }
    }
    let mut candidates: Vec<_> = best.into_iter().map(|((of, is), (_, turn))| (of, is, turn)).collect();
    candidates.sort_unstable();
    progress.begin("comparing pictures that look the same", Some(candidates.len() as u64), Unit::Images);
    let (mut pairs, mut lost) = (Vec::new(), Vec::new());
    for chunk in candidates.chunks(256) {
        let compared: Vec<_> = (chunk.par_iter())
            .map(|(of, is, turn)| {
                let (a, b) = (&drawn[*of], &drawn[*is]);
                album.relation([(a.0, a.1), (b.0, b.1)], *turn).map(|relation| {
                    let kind = match relation? {
                        Relation::Encoded if turn.is_none() => CopyKind::Encoded,
                        Relation::Encoded => CopyKind::Turned,
                        Relation::Altered => CopyKind::Altered,
                        // A scene is not mirrored by the next picture of a burst.
                        Relation::Scene if turn.is_none() => CopyKind::Burst,
                        Relation::Scene => return None,
                    };
                    Some(Pair { of: a.0, is: b.0, kind, turn: *turn })
                })
            })
            .collect();
        progress.advance(chunk.len() as u64);
        for result in compared {
            match result {
                Ok(pair) => pairs.extend(pair),
                Err((i, why)) => lost.push(format!("{} could not be read again: {why}", album.name(i))),
            }
        }
    }
    progress.end();
    lost.sort();
    lost.dedup();
    (pairs, lost)
}

/// Pairs that the model finds near: up to a distance, or below the gap between the distances within bursts and others.
fn near(album: &Album, seen: &[Option<Seen>], look_alikes: LookAlikes<'_>) -> Vec<Pair> {
    let LookAlikes { gallery, within } = look_alikes;
    let number: HashMap<&str, usize> = (0..album.len()).map(|i| (album.name(i), i)).collect();
    let number: Vec<Option<usize>> = gallery
        .names
        .iter()
        .map(|n| number.get(n.as_str()).copied().filter(|i| seen[*i].is_some()))
        .collect();
    let pair = |a: usize, b: usize| {
        let (a, b) = (number[a]?, number[b]?);
        Some(Pair { of: a.min(b), is: a.max(b), kind: CopyKind::LookAlike, turn: Turn::default() })
    };
    let rows = Vectors::Features(&gallery.features);
    let mut pairs: Vec<Pair> = match within {
        Some(most) => nearest(&Exact::new(rows), rows, NEAR, Exclude::Itself, |of, list| {
            let near = list.iter().take_while(|n| n.distance <= most);
            near.filter_map(|n| pair(of, n.index)).collect::<Vec<_>>()
        })
        .concat(),
        None => {
            let (labels, identities) = (vec![0; rows.len()], Identities::numbered(rows.len()));
            let groups =
                bursts(Reference::new(rows, &labels, &identities)).map(|b| b.groups).unwrap_or_default();
            let mut first = HashMap::new();
            (groups.iter().enumerate())
                .filter_map(|(i, group)| {
                    let of = *first.entry(*group).or_insert(i);
                    (of != i).then(|| pair(of, i))?
                })
                .collect()
        }
    };
    pairs.retain(|p| p.of != p.is);
    pairs.sort_by_key(|p| (p.of, p.is));
    pairs.dedup();
    pairs
}
