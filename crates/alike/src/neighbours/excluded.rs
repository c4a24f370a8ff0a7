//! By query, the members of a gallery that do not count for it: [`Exclude`] as lists.

use super::Exclude;
use std::collections::HashMap;

/// By query, the members that do not count for it.
pub(super) enum Excluded<'a> {
    Nobody,
    Itself,
    Groups { queries: &'a [u32], members: HashMap<u32, Vec<u32>> },
    Members(Vec<u32>),
    Either(Box<[Excluded<'a>; 2]>),
}

impl<'a> Excluded<'a> {
    pub(super) fn new(exclude: Exclude<'a>) -> Excluded<'a> {
        match exclude {
            Exclude::None => Excluded::Nobody,
            Exclude::Itself => Excluded::Itself,
            Exclude::Group { queries, gallery } => {
                let mut members: HashMap<u32, Vec<u32>> = HashMap::new();
                for (i, group) in gallery.iter().enumerate() {
                    members.entry(*group).or_default().push(i as u32);
                }
                Excluded::Groups { queries, members }
            }
            Exclude::Members(out) => {
                Excluded::Members((0..out.len() as u32).filter(|i| out[*i as usize]).collect())
            }
            Exclude::Either(one, other) => {
                Excluded::Either(Box::new([Excluded::new(*one), Excluded::new(*other)]))
            }
        }
    }

    /// Appends those of a range of the gallery, in no order, some perhaps twice.
    fn within(&self, query: usize, range: std::ops::Range<u32>, into: &mut Vec<u32>) {
        let of = |members: &[u32], into: &mut Vec<u32>| {
            let from = members.partition_point(|m| *m < range.start);
            into.extend(members[from..].iter().take_while(|m| **m < range.end));
        };
        match self {
            Excluded::Nobody => {}
            Excluded::Itself => into.extend(Some(query as u32).filter(|q| range.contains(q))),
            Excluded::Groups { queries, members } => {
                if let Some(members) = members.get(&queries[query]) {
                    of(members, into);
                }
            }
            Excluded::Members(members) => of(members, into),
            Excluded::Either(both) => both.iter().for_each(|one| one.within(query, range.clone(), into)),
        }
    }

    /// The same, rising, each once.
    pub(super) fn sorted(&self, query: usize, range: std::ops::Range<u32>, into: &mut Vec<u32>) {
        into.clear();
        self.within(query, range, into);
        into.sort_unstable();
        into.dedup();
    }
}
