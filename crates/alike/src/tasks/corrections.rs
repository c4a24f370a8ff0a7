//! What people said of pictures: their classes, and that two show the same or do not. Tasks obey it before any distance.

use super::TaskError;
use crate::identity::Identities;
use crate::images::Features;
use crate::neighbours::squared_distance;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What people said of pictures, which are named by their places ([`Identities::place`]).
///
/// That pictures show the same holds along chains: if `a` and `b` show the same, and `b` and `c`, so do `a` and `c`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corrections {
    /// Pairs that show the same.
    pub same: Vec<[String; 2]>,
    /// Pairs that do not.
    pub different: Vec<[String; 2]>,
    /// Classes that were set by hand; nothing for a picture that is of none.
    pub classes: BTreeMap<String, Option<String>>,
}

impl Corrections {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.same.is_empty() && self.different.is_empty() && self.classes.is_empty()
    }

    /// Adds what was said elsewhere.
    pub fn append(&mut self, more: Corrections) {
        self.same.extend(more.same);
        self.different.extend(more.different);
        self.classes.extend(more.classes);
    }

    /// The components that pairs of the same join: a number for each place that something was said of.
    fn joined(&self) -> Settled<'_> {
        let mut settled = Settled::default();
        let mut root: Vec<usize> = Vec::new();
        for [a, b] in &self.same {
            let (a, b) = (settled.number(a, &mut root), settled.number(b, &mut root));
            let (a, b) = (top(&mut root, a), top(&mut root, b));
            root[a.max(b)] = a.min(b);
        }
        for place in self.different.iter().flatten() {
            settled.number(place, &mut root);
        }
        settled.component = (0..root.len()).map(|i| top(&mut root, i)).collect();
        settled
    }

    /// Groups of pictures that show the same, two or more in each; by their places, in the order in which they were named.
    pub fn same_groups(&self) -> Vec<Vec<&str>> {
        let joined = self.joined();
        let mut places: Vec<(&str, usize)> = joined.numbers.iter().map(|(place, n)| (*place, *n)).collect();
        places.sort_by_key(|(_, number)| *number);
        let mut groups: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (place, number) in places {
            groups.entry(joined.component[number]).or_default().push(place);
        }
        groups.into_values().filter(|group| group.len() > 1).collect()
    }

    /// What follows from all that was said.
    ///
    /// # Errors
    ///
    /// If two pictures are said to be different, and follow to be the same.
    pub(super) fn settled(&self) -> Result<Settled<'_>, TaskError> {
        let mut settled = self.joined();
        for [a, b] in &self.different {
            let (one, two) = (settled.of(a), settled.of(b));
            if one == two {
                return Err(TaskError::Contradiction([a.clone(), b.clone()]));
            }
            if let (Some(one), Some(two)) = (one, two) {
                settled.apart.insert([one.min(two), one.max(two)]);
            }
        }
        Ok(settled)
    }
}

/// The smallest number of what a number is joined to.
fn top(root: &mut [usize], mut i: usize) -> usize {
    while root[i] != i {
        root[i] = root[root[i]];
        i = root[i];
    }
    i
}

/// What follows from what was said.
#[derive(Debug, Default)]
pub(super) struct Settled<'a> {
    numbers: HashMap<&'a str, usize>,
    /// By number of a place: the component of those that show the same.
    component: Vec<usize>,
    /// Components that do not show the same, the smaller first.
    apart: HashSet<[usize; 2]>,
}

impl<'a> Settled<'a> {
    fn number(&mut self, place: &'a str, root: &mut Vec<usize>) -> usize {
        *self.numbers.entry(place).or_insert_with(|| {
            root.push(root.len());
            root.len() - 1
        })
    }

    /// The component of a place that something was said of.
    fn of(&self, place: &str) -> Option<usize> {
        self.numbers.get(place).map(|i| self.component[*i])
    }

    fn are_apart(&self, a: usize, b: usize) -> bool {
        self.apart.contains(&[a.min(b), a.max(b)])
    }

    /// Whether two pictures were said to show the same, or not; nothing where neither follows.
    pub(super) fn said(&self, a: &str, b: &str) -> Option<bool> {
        let (a, b) = (self.of(a)?, self.of(b)?);
        match a == b {
            true => Some(true),
            false => self.are_apart(a, b).then_some(false),
        }
    }

    /// The rows of those that show the same as a picture, and of those that do not.
    pub(super) fn rows(&self, place: &str, among: &Identities) -> [Vec<usize>; 2] {
        let mut found = [Vec::new(), Vec::new()];
        if self.of(place).is_none() {
            return found;
        }
        for i in 0..among.len() {
            match among.place(i).and_then(|other| self.said(place, other)) {
                Some(true) => found[0].push(i),
                Some(false) => found[1].push(i),
                None => {}
            }
        }
        found
    }

    /// Clusters that agree with what was said: pictures that show the same lie in one, those that do not in two. Whatever is not said stays
    /// as it was found.
    ///
    /// A component goes where its pictures lie nearest to the clusters' means. Then components are taken by the number of their
    /// pictures, the largest first, and the one that shares a cluster with another from which it is apart goes to the next nearest that is
    /// free, or to none.
    pub(super) fn clusters(
        &self,
        features: &Features,
        identities: &Identities,
        found: &[Option<u32>],
    ) -> Vec<Option<u32>> {
        let mut components: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for i in 0..identities.len() {
            if let Some(component) = identities.place(i).and_then(|place| self.of(place)) {
                components.entry(component).or_default().push(i);
            }
        }
        let means = means(features, found);
        let mut components: Vec<(usize, Vec<usize>)> = components.into_iter().collect();
        // By the smallest key where they are as large: no order of a list matters.
        let key = |rows: &[usize]| rows.iter().map(|i| identities.keys()[*i]).min();
        components.sort_by_cached_key(|(_, rows)| (std::cmp::Reverse(rows.len()), key(rows)));
        let mut assignment = found.to_vec();
        let mut settled: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (component, rows) in components {
            let cost = |cluster: u32| -> f64 {
                let mean = &means[&cluster];
                rows.iter().map(|i| squared_distance(features.row(*i), mean)).sum()
            };
            // One picture that lies in no cluster is not drawn into one.
            let own = rows.iter().filter_map(|i| found[*i]).collect::<Vec<u32>>();
            let mut wanted: Vec<u32> =
                if own.is_empty() { Vec::new() } else { means.keys().copied().collect() };
            wanted.sort_by(|a, b| cost(*a).total_cmp(&cost(*b)).then(a.cmp(b)));
            if let ([only], [_]) = (&own[..], &rows[..]) {
                // As it was found, which for a picture by itself is right, before what is nearest.
                wanted.retain(|c| c != only);
                wanted.insert(0, *only);
            }
            let is_free = |cluster: &&u32| {
                let there = settled.get(*cluster);
                there.is_none_or(|there| there.iter().all(|other| !self.are_apart(component, *other)))
            };
            let chosen = wanted.iter().find(is_free).copied();
            rows.iter().for_each(|i| assignment[*i] = chosen);
            if let Some(chosen) = chosen {
                settled.entry(chosen).or_default().push(component);
            }
        }
        assignment
    }
}

/// By cluster: the mean of its rows.
fn means(features: &Features, assignment: &[Option<u32>]) -> BTreeMap<u32, Vec<f32>> {
    let mut sums: BTreeMap<u32, (Vec<f64>, f64)> = BTreeMap::new();
    for (i, cluster) in assignment.iter().enumerate() {
        let Some(cluster) = cluster else { continue };
        let (sum, n) = sums.entry(*cluster).or_insert_with(|| (vec![0.0; features.d()], 0.0));
        sum.iter_mut().zip(features.row(i)).for_each(|(s, v)| *s += f64::from(*v));
        *n += 1.0;
    }
    sums.into_iter().map(|(c, (sum, n))| (c, sum.iter().map(|s| (s / n) as f32).collect())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity;

    fn pair(a: &str, b: &str) -> [String; 2] {
        [a.to_owned(), b.to_owned()]
    }

    fn said(same: &[(&str, &str)], different: &[(&str, &str)]) -> Corrections {
        let all = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| pair(a, b)).collect();
        Corrections { same: all(same), different: all(different), ..Corrections::default() }
    }

    fn identities(names: &[&str]) -> Identities {
        Identities::new(names.iter().map(|name| (identity::key(name, ""), *name)))
    }

    #[test]
    fn the_same_follows_along_chains_and_the_different_with_it() {
        let said = said(&[("a", "b"), ("c", "d"), ("b", "c")], &[("d", "x")]);
        let settled = said.settled().unwrap();
        assert_eq!(settled.said("a", "d"), Some(true));
        assert_eq!(settled.said("x", "a"), Some(false));
        assert_eq!((settled.said("a", "y"), settled.said("y", "z")), (None, None));
        let among = identities(&["y", "d", "x", "a"]);
        assert_eq!(settled.rows("b", &among), [vec![1, 3], vec![2]]);
        assert_eq!(said.same_groups(), [["a", "b", "c", "d"]]);
    }

    #[test]
    fn what_cannot_all_be_true_is_named() {
        let said = said(&[("a", "b"), ("b", "c")], &[("c", "a")]);
        let why = said.settled().unwrap_err().to_string();
        assert!(why.contains("c and a are said to be different"), "{why}");
    }

    #[test]
    fn clusters_agree_with_what_was_said_and_else_stay() {
        // Two clusters on a line, at 0 to 2 and at 10 to 12, and one image in none.
        let features = Features::new(1, vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 50.0]);
        let names = identities(&["a", "b", "c", "x", "y", "z", "lone"]);
        let found = [Some(0), Some(0), Some(0), Some(1), Some(1), Some(1), None];
        let of = |same: &[(&str, &str)], different: &[(&str, &str)]| {
            said(same, different).settled().unwrap().clusters(&features, &names, &found)
        };
        assert_eq!(of(&[], &[]), found);
        // 2, 10 and 11 lie nearer to the mean of the second cluster.
        assert_eq!(of(&[("c", "x"), ("x", "y")], &[])[2..5], [Some(1); 3]);
        // Of two in one cluster that are apart, one goes to the other cluster.
        let apart = of(&[], &[("a", "b")]);
        assert!(apart[0] != apart[1] && apart[2..] == found[2..], "{apart:?}");
        // Three that are all apart and two clusters: one belongs to none.
        let none = of(&[], &[("a", "b"), ("b", "c"), ("a", "c")]);
        assert_eq!(none[..3].iter().filter(|c| c.is_none()).count(), 1, "{none:?}");
        // What is alone stays alone, and joins whom it shows the same as.
        assert_eq!(of(&[], &[("lone", "a")])[6], None);
        assert_eq!(of(&[("lone", "z")], &[])[6], Some(1));
    }
}
