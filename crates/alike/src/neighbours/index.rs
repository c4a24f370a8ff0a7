//! The index: whatever finds neighbours. Whoever asks does not know which one it is.

use super::Exclude;
use crate::images::Vectors;
use std::convert::Infallible;
use std::sync::OnceLock;

/// A member of the gallery, and how far it is from the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Its index in the gallery.
    pub index: usize,
    /// The Euclidean distance.
    pub distance: f64,
}

/// Finds the nearest members of a gallery.
pub trait Index: Send + Sync {
    /// What keeps it from an answer: [`Infallible`] for what is in memory.
    type Error: Send;

    /// How many members the gallery has.
    fn len(&self) -> usize;

    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Finds the `k` nearest members of every query, nearest first and of equals the lower index first, and gives `take` the query's index
    /// and its list as soon as it is complete: each query once, in any order, by any thread. Lists are shorter where fewer members
    /// count.
    ///
    /// # Errors
    ///
    /// If what it reads from cannot be read. Some queries may have been answered then.
    ///
    /// # Panics
    ///
    /// If queries and gallery have vectors of different lengths.
    fn search(
        &self,
        queries: Vectors<'_>,
        k: usize,
        exclude: Exclude<'_>,
        take: &(dyn Fn(usize, &[Neighbour]) + Sync),
    ) -> Result<(), Self::Error>;
}

/// An index that always has an answer.
pub type SureIndex<'a> = dyn Index<Error = Infallible> + 'a;

/// The `k` nearest members of the gallery of every query, each list turned into a `T` as soon as it is complete, in the queries'
/// order.
///
/// # Panics
///
/// As [`Index::search`], or if the index leaves a query out.
pub fn nearest<T: Send + Sync>(
    index: &SureIndex<'_>,
    queries: Vectors<'_>,
    k: usize,
    exclude: Exclude<'_>,
    read: impl Fn(usize, &[Neighbour]) -> T + Sync,
) -> Vec<T> {
    match try_nearest(index, queries, k, exclude, read) {
        Ok(results) => results,
        Err(never) => match never {},
    }
}

/// As [`nearest`], by an index that may fail.
///
/// # Errors
///
/// As [`Index::search`].
///
/// # Panics
///
/// As [`nearest`].
pub fn try_nearest<T: Send + Sync, E: Send>(
    index: &dyn Index<Error = E>,
    queries: Vectors<'_>,
    k: usize,
    exclude: Exclude<'_>,
    read: impl Fn(usize, &[Neighbour]) -> T + Sync,
) -> Result<Vec<T>, E> {
    let results: Vec<OnceLock<T>> = (0..queries.len()).map(|_| OnceLock::new()).collect();
    index.search(queries, k, exclude, &|query, list| {
        // Each query comes once.
        let _ = results[query].set(read(query, list));
    })?;
    let results: Vec<T> = results.into_iter().filter_map(OnceLock::into_inner).collect();
    assert_eq!(results.len(), queries.len(), "nearest: an index answers every query");
    Ok(results)
}
