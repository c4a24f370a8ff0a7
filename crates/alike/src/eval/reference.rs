//! Images that others are compared with.

use crate::identity::{Identities, NO_GROUP, Shared, left_out};
use crate::images::Vectors;
use crate::neighbours::Exclude;

/// Images that others are compared with: of known classes, or of what is normal.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// `n` vectors.
    pub vectors: Vectors<'a>,
    /// `n` classes; all zero where there are none.
    pub labels: &'a [u32],
    /// Which `n` pictures these are: none is compared with itself.
    pub identities: &'a Identities,
    /// `n` groups, or none: an image is not compared with those of its group, which one camera or session took.
    pub groups: &'a [u32],
}

impl<'a> Reference<'a> {
    /// Vectors with labels that are known by their numbers alone.
    pub fn new(vectors: Vectors<'a>, labels: &'a [u32], identities: &'a Identities) -> Reference<'a> {
        Reference { vectors, labels, identities, groups: &[] }
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    pub(super) fn check(&self) {
        let n = self.vectors.len();
        assert!(
            n == self.labels.len() && n == self.identities.len() && [0, n].contains(&self.groups.len()),
            "reference: a label and an identity for each image, and a group for each or for none"
        );
    }

    /// For each member: the number of the first member that is the same picture.
    fn numbers(&self) -> Vec<u32> {
        self.identities.repeated().map_or_else(|| (0..self.len() as u32).collect(), |s| s.gallery)
    }

    /// Members as queries of their own.
    pub(super) fn own(&self, members: &[usize]) -> Shared {
        let gallery = self.numbers();
        Shared { queries: members.iter().map(|i| gallery[*i]).collect(), gallery, groups: Vec::new() }
    }

    /// By query: its group; nothing where members have none.
    pub(super) fn groups_of(&self, own: &Shared) -> Vec<u32> {
        if self.groups.is_empty() || !own.groups.is_empty() {
            return if self.groups.is_empty() { Vec::new() } else { own.groups.clone() };
        }
        let of = |number: &u32| self.groups.get(*number as usize).copied().unwrap_or(NO_GROUP);
        own.queries.iter().map(of).collect()
    }

    /// What does not count for queries: the member that a query is, and its group.
    pub fn leaving<T>(&self, own: Option<&Shared>, then: impl FnOnce(Exclude<'_>) -> T) -> T {
        let Some(own) = own else { return then(Exclude::None) };
        if self.groups.is_empty() {
            return then(Exclude::shared(own));
        }
        let queries = self.groups_of(own);
        then(Exclude::Either(
            &Exclude::shared(own),
            &Exclude::Group { queries: &queries, gallery: self.groups },
        ))
    }

    /// By query: the members that do not count for it.
    pub(super) fn left_out(&self, own: Option<&Shared>, queries: usize) -> Vec<Vec<usize>> {
        let Some(own) = own else { return vec![Vec::new(); queries] };
        let groups = self.groups_of(own);
        left_out(&[(&own.queries, &own.gallery), (&groups, self.groups)], queries)
    }

    /// What stays together when members are dealt to folds: groups, or a picture that is there twice.
    pub(super) fn together(&self) -> Option<Vec<u32>> {
        if self.groups.is_empty() {
            self.identities.repeated().map(|s| s.gallery)
        } else {
            Some(self.groups.to_vec())
        }
    }
}
