//! From pairs to groups: what to keep of each, and what the others are.

use super::find::Pair;
use super::{CopyKind, DuplicateGroup, DuplicateMember, DuplicatePicture, digest_text};
use crate::data::{Album, Seen, Turn};
use crate::eval::Sets;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet, VecDeque};

/// Joins pairs, which come in the order of their kinds. Copies of one picture become a group; then pictures of one thing, where every picture
/// stands for its copies. A pair that would bring together what a person told apart is left out.
pub(super) fn groups(
    album: &Album,
    seen: &[Option<Seen>],
    pairs: Vec<Pair>,
    apart: &dyn Fn(&Seen, &Seen) -> bool,
) -> Vec<DuplicateGroup> {
    let (copies, others): (Vec<Pair>, Vec<Pair>) = pairs.into_iter().partition(|p| p.kind.is_copy());
    let copies = Joined::new(seen, copies, apart);
    let mut stands_for: Vec<usize> = (0..seen.len()).collect();
    let mut all: Vec<DuplicateGroup> = Vec::new();
    for group in &copies.groups {
        let (keep, why) = best(album, seen, group, &copies.pairs);
        group.iter().for_each(|i| stands_for[*i] = keep);
        all.extend(describe(album, seen, (group, keep, why), &copies.pairs));
    }
    let others = others.into_iter().map(|p| Pair { of: stands_for[p.of], is: stands_for[p.is], ..p });
    let things = Joined::new(seen, others.filter(|p| p.of != p.is).collect(), apart);
    for group in &things.groups {
        let (keep, why) = best(album, seen, group, &things.pairs);
        all.extend(describe(album, seen, (group, keep, why), &things.pairs));
    }
    all
}

/// Pictures that pairs bring together.
struct Joined {
    groups: Vec<Vec<usize>>,
    /// Pairs within groups, by either picture.
    pairs: BTreeMap<usize, Vec<Pair>>,
}

impl Joined {
    fn new(seen: &[Option<Seen>], pairs: Vec<Pair>, apart: &dyn Fn(&Seen, &Seen) -> bool) -> Joined {
        let mut sets = Sets::new(seen.len());
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let told_apart = |a: &[usize], b: &[usize]| {
            let differ = |i: usize, j: usize| match (&seen[i], &seen[j]) {
                (Some(a), Some(b)) => apart(a, b),
                _ => false,
            };
            a.iter().any(|i| b.iter().any(|j| differ(*i, *j)))
        };
        for pair in &pairs {
            let (a, b) = (sets.find(pair.of), sets.find(pair.is));
            if a == b {
                continue;
            }
            let of = |at: usize| members.get(&at).cloned().unwrap_or_else(|| vec![at]);
            let (mut one, mut two) = (of(a), of(b));
            if told_apart(&one, &two) {
                continue;
            }
            sets.join(a, b);
            one.append(&mut two);
            one.sort_unstable();
            members.remove(&a);
            members.remove(&b);
            members.insert(sets.find(a), one);
        }
        let mut within: BTreeMap<usize, Vec<Pair>> = BTreeMap::new();
        for pair in pairs {
            if sets.find(pair.of) == sets.find(pair.is) {
                within.entry(pair.of).or_default().push(pair);
                within.entry(pair.is).or_default().push(pair);
            }
        }
        Joined { groups: members.into_values().collect(), pairs: within }
    }
}

/// Which picture of a group to keep, and why.
fn best(
    album: &Album,
    seen: &[Option<Seen>],
    group: &[usize],
    pairs: &BTreeMap<usize, Vec<Pair>>,
) -> (usize, String) {
    // What others were made from is a closer copy of each of them than they are of each other.
    let close = |i: usize| -> u64 {
        let kinds = pairs.get(&i).into_iter().flatten().map(|p| p.kind);
        kinds.map(|kind| (CopyKind::ALL.len() - kind as usize) as u64).sum()
    };
    type Merit<'a> = (&'a dyn Fn(usize, &Seen) -> u64, &'a dyn Fn(&Seen) -> String);
    let merits: [Merit<'_>; 5] = [
        (&|_, s| (s.shape.h * s.shape.w) as u64, &|s| {
            format!("it has the most pixels, {} x {}", s.shape.h, s.shape.w)
        }),
        (&|_, s| s.shape.c as u64, &|_| "it is in colour".to_owned()),
        (&|_, s| u64::from(s.is_lossless()), &|s| format!("it is kept without loss, as {}", s.format)),
        (&|i, _| close(i), &|_| "the others are closer to it than to each other".to_owned()),
        (&|_, s| s.bytes, &|_| "its file is the largest".to_owned()),
    ];
    let mut left: Vec<(usize, &Seen)> = group.iter().filter_map(|i| Some((*i, seen[*i].as_ref()?))).collect();
    for (merit, words) in merits {
        let most = left.iter().map(|(i, s)| merit(*i, s)).max();
        let before = left.len();
        left.retain(|(i, s)| Some(merit(*i, s)) == most);
        if left.len() == 1 && before > 1 {
            return (left[0].0, words(left[0].1));
        }
    }
    // A path that is short and comes first is likelier to be the original's than `copy (2)`.
    let first = left.iter().map(|(i, _)| *i).min_by_key(|i| (album.name(*i).len(), album.name(*i)));
    (first.unwrap_or(group[0]), "its name is the shortest, and nothing else tells them apart".to_owned())
}

fn describe(
    album: &Album,
    seen: &[Option<Seen>],
    (group, keep, why): (&[usize], usize, String),
    pairs: &BTreeMap<usize, Vec<Pair>>,
) -> Option<DuplicateGroup> {
    // From the picture that is kept outwards: each other one is described by one that is nearer to it.
    let mut reached = HashSet::from([keep]);
    let mut queue = VecDeque::from([keep]);
    let mut others = Vec::new();
    while let Some(from) = queue.pop_front() {
        for pair in pairs.get(&from).into_iter().flatten() {
            let (to, turn) =
                if pair.of == from { (pair.is, pair.turn) } else { (pair.of, pair.turn.inverse()) };
            if reached.insert(to) {
                queue.push_back(to);
                others.push((to, from, pair.kind, turn));
            }
        }
    }
    debug_assert_eq!(reached.len(), group.len(), "a group hangs together");
    others.sort_by_key(|(to, _, kind, _)| (*kind, Reverse(seen[*to].as_ref().map(|s| s.bytes)), *to));
    let picture = |i: usize| picture(album, seen, i);
    let members: Vec<DuplicateMember> = (others.iter())
        .filter_map(|(to, of, kind, turn)| {
            let turn: Option<Turn> = (!turn.is_none()).then_some(*turn);
            Some(DuplicateMember {
                picture: picture(*to)?,
                kind: *kind,
                of: album.name(*of).to_owned(),
                turn,
            })
        })
        .collect();
    let kind = others.iter().map(|o| o.2).max().unwrap_or(CopyKind::Bytes);
    Some(DuplicateGroup { kind, keep: picture(keep)?, why, others: members })
}

fn picture(album: &Album, seen: &[Option<Seen>], i: usize) -> Option<DuplicatePicture> {
    let Seen { format, shape, bytes, digest, .. } = seen[i].as_ref()?;
    Some(DuplicatePicture {
        name: album.name(i).to_owned(),
        file: album.file(i).map(ToOwned::to_owned),
        height: shape.h,
        width: shape.w,
        format: (*format).to_owned(),
        bytes: *bytes,
        digest: digest_text(*digest),
    })
}
