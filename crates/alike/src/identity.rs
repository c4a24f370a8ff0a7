//! Which picture an image is, however its path is written and wherever it stands in a list.
//!
//! Two things follow from it. A query is never its own match: the two are the same picture if they lie at the same *place*. And
//! where all images are too many, some of them are drawn by their *keys* ([`crate::sample`]), so that no result depends on the
//! order of a list.

use crate::rng;
use std::collections::HashMap;
use std::sync::Arc;

/// The identities of `n` images, in the images' order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identities {
    keys: Vec<u64>,
    /// One for each image, or none at all where images have no place.
    places: Vec<Arc<str>>,
}

impl Identities {
    /// Images that are only known by their numbers, as in an array: image `i` has the key of number `i`, and no place.
    pub fn numbered(n: usize) -> Identities {
        Identities { keys: (0..n as u64).map(rng::mix).collect(), places: Vec::new() }
    }

    /// Images by name (within their source) and place (anywhere): the canonical path, or that of an archive with the member's name.
    pub fn new<'a>(each: impl Iterator<Item = (u64, &'a str)>) -> Identities {
        let (keys, places) = each.map(|(key, place)| (key, Arc::from(place))).unzip();
        Identities { keys, places }
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// By image: a number that follows from its name within its source, for [`crate::sample`].
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// Where image `i` lies, if that is known.
    pub fn place(&self, i: usize) -> Option<&str> {
        self.places.get(i).map(|p| &**p)
    }

    /// Those of the images at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Identities {
        let places = indices.iter().filter_map(|i| self.places.get(*i).cloned()).collect();
        Identities { keys: indices.iter().map(|i| self.keys[*i]).collect(), places }
    }

    /// Adds those of other images. Where either has no places, none are known of the whole.
    pub fn append(&mut self, other: &Identities) {
        let placed = |i: &Identities| i.places.len() == i.len();
        if placed(self) && placed(other) {
            self.places.extend_from_slice(&other.places);
        } else {
            self.places.clear();
        }
        self.keys.extend_from_slice(&other.keys);
    }

    /// Which queries are members of a gallery: a number for each query and for each member, equal where they are the same picture.
    /// Nothing if no query is a member.
    pub fn shared(queries: &Identities, gallery: &Identities) -> Option<Shared> {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let members = |(i, place)| *numbers.entry(place).or_insert(i as u32);
        let gallery: Vec<u32> = gallery.places.iter().map(|p| &**p).enumerate().map(members).collect();
        let own = |place: &Arc<str>| numbers.get(&**place).copied().unwrap_or(u32::MAX);
        let queries: Vec<u32> = queries.places.iter().map(own).collect();
        queries.iter().any(|q| *q != u32::MAX).then_some(Shared { queries, gallery, groups: Vec::new() })
    }

    /// The same of images that are queries and gallery in one. Nothing if no picture stands in the list twice: then an image is
    /// the same picture as itself alone.
    pub fn repeated(&self) -> Option<Shared> {
        let shared = Identities::shared(self, self)?;
        (0..self.len()).any(|i| shared.gallery[i] != i as u32).then_some(shared)
    }
}

/// See [`Identities::shared`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// By query: the number of the first member that is the same picture; `u32::MAX` where there is none.
    pub queries: Vec<u32>,
    /// By member: the number of the first member that is the same picture.
    pub gallery: Vec<u32>,
    /// By query: its group, where the members have groups: none of these counts for it. [`NO_GROUP`] for a query of no group. If
    /// nothing is said, a query has the group of the member that it is.
    pub groups: Vec<u32>,
}

/// The group of a query that is of none.
pub const NO_GROUP: u32 = u32::MAX;

impl Shared {
    /// `queries` that are no members of a gallery of `members`.
    pub fn none(queries: usize, members: usize) -> Shared {
        Shared {
            queries: vec![u32::MAX; queries],
            gallery: (0..members as u32).collect(),
            groups: Vec::new(),
        }
    }

    /// The same with the queries' groups.
    pub fn of_groups(self, groups: Vec<u32>) -> Shared {
        Shared { groups, ..self }
    }
}

/// By query: those members that share its number in either of two lists of numbers; see [`Shared`] and groups.
pub fn left_out(each: &[(&[u32], &[u32])], queries: usize) -> Vec<Vec<usize>> {
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); queries];
    for (asking, members) in each {
        let mut of: HashMap<u32, Vec<usize>> = HashMap::new();
        members.iter().enumerate().for_each(|(i, number)| of.entry(*number).or_default().push(i));
        for (list, number) in out.iter_mut().zip(*asking) {
            list.extend(of.get(number).into_iter().flatten());
        }
    }
    out.iter_mut().for_each(|list| {
        list.sort_unstable();
        list.dedup();
    });
    out
}

/// How many bytes of all places are the folder that they share, its last slash included: the rest is the same wherever that folder lies.
pub fn common_folder<'a>(mut places: impl Iterator<Item = &'a str>) -> usize {
    let Some(first) = places.next() else { return 0 };
    let shared = places.fold(first, |shared, place| {
        let same = shared.bytes().zip(place.bytes()).take_while(|(a, b)| a == b).count();
        // A byte that differs may stand within a character.
        &shared[..(0..=same).rev().find(|at| shared.is_char_boundary(*at)).unwrap_or(0)]
    });
    shared.rfind('/').map_or(0, |slash| slash + 1)
}

/// The key of an image by its name within its source; `part` tells apart what was cut out of one picture.
pub fn key(name: &str, part: &str) -> u64 {
    // FNV-1a (Fowler, Noll and Vo), then mixed: names that differ in one letter have keys that differ everywhere.
    let hash = |h: u64, byte: &u8| (h ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let named = name.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, hash);
    rng::mix(part.as_bytes().iter().fold(rng::mix(named), hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(places: &[&str]) -> Identities {
        Identities::new(places.iter().map(|p| (key(p, ""), *p)))
    }

    #[test]
    fn a_query_knows_itself_in_a_gallery_and_its_copies_in_the_list() {
        let gallery = placed(&["/a", "/b", "/a", "/c"]);
        let shared = Identities::shared(&placed(&["/c", "/x", "/a"]), &gallery).unwrap();
        assert_eq!(shared.gallery, [0, 1, 0, 3]);
        assert_eq!(shared.queries, [3, u32::MAX, 0]);
        assert_eq!(Identities::shared(&placed(&["/x"]), &gallery), None);
        assert_eq!(Identities::shared(&Identities::numbered(2), &Identities::numbered(2)), None);
        assert_eq!(gallery.repeated().unwrap().queries, [0, 1, 0, 3]);
        assert_eq!(placed(&["/a", "/b"]).repeated(), None);
    }

    #[test]
    fn what_places_share_is_a_whole_folder() {
        let of = |places: &[&str]| common_folder(places.iter().copied());
        assert_eq!(of(&["/a/photos/cat/1.png", "/a/photos/car/2.png"]), "/a/photos/".len());
        assert_eq!(of(&["/a/photos/cat/1.png"]), "/a/photos/cat/".len());
        assert_eq!(of(&["/ä/1", "/å/1"]), 1);
        assert_eq!((of(&[]), of(&["a", "b"]), of(&["/a/b", "/a/b"])), (0, 0, 3));
    }

    #[test]
    fn keys_follow_from_names_alone() {
        assert_eq!(key("a/1.png", ""), key("a/1.png", ""));
        let all = [key("a/1.png", ""), key("a/2.png", ""), key("a/1.png", "0,0,9,9"), key("a/1.pn", "g")];
        assert!((0..4).all(|i| (0..i).all(|j| all[i] != all[j])), "{all:?}");
        let mut some = placed(&["/a", "/b"]).select(&[1]);
        some.append(&placed(&["/c"]));
        assert_eq!((some.place(0), some.place(1), some.len()), (Some("/b"), Some("/c"), 2));
        some.append(&Identities::numbered(1));
        assert_eq!((some.place(0), some.len()), (None, 3));
    }
}
