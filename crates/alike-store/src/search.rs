//! Search in a collection: conditions are applied inside, and whoever asks need not know which index answers.

use crate::collection::Collection;
use crate::error::StoreError;
use crate::filter::Filter;
use crate::item::Item;
use crate::items::{FROM, ITEM, item, read_vector};
use alike::images::{Features, Vectors};
use alike::neighbours::{Exclude, Index, Neighbour, try_nearest};
use rusqlite::{OptionalExtension, params};
use std::collections::HashSet;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// How many of the nearest.
    pub k: usize,
    /// How many of the nearest are passed over before: the pages before this one.
    pub skip: usize,
    /// What must hold of them.
    pub filter: Option<&'a Filter>,
    /// How far they may be.
    pub within: Option<f64>,
    /// Whether only the nearest of each class, or of each group, counts.
    pub best: Option<BestOf>,
}

/// Of what only the nearest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BestOf {
    /// Pictures of a class. Those without one are each alone.
    Class,
    /// Pictures of a group. Those without one are each alone.
    Group,
}

/// A picture that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The picture.
    pub item: Item,
    /// How far it is.
    pub distance: f64,
}

/// What answers for a collection: an index of its vectors, and which picture each is of.
pub trait CollectionIndex: Index<Error = StoreError> {
    /// By member: the number of its picture. Nothing for a member that is there no more.
    fn item(&self, member: usize) -> Option<i64>;
}

/// Finds the nearest pictures of each query. `own` says which picture a query is, which is then no match for itself.
///
/// # Errors
///
/// If the file cannot be read.
pub fn search(
    collection: &Collection,
    index: &dyn CollectionIndex,
    queries: &Features,
    own: &[Option<i64>],
    wanted: Wanted<'_>,
) -> Result<Vec<Vec<Hit>>, StoreError> {
    let expected = collection.about().dimension;
    if queries.d() != expected {
        return Err(StoreError::Dimension { path: collection.path().to_owned(), expected, got: queries.d() });
    }
    if let Some(i) = (0..queries.len()).find(|i| queries.row(*i).iter().any(|v| !v.is_finite())) {
        return Err(StoreError::Request(format!("query {} holds values that are no finite numbers", i + 1)));
    }
    let chosen: Option<Vec<i64>> = wanted.filter.map(|f| collection.ids(Some(f))).transpose()?;
    let out: Option<Vec<bool>> = chosen.as_ref().map(|chosen| {
        (0..index.len()).map(|m| index.item(m).is_none_or(|id| chosen.binary_search(&id).is_err())).collect()
    });
    let exclude = out.as_deref().map_or(Exclude::None, Exclude::Members);
    let most = chosen.as_ref().map_or(index.len(), Vec::len);
    let needed = wanted.k.saturating_add(wanted.skip);
    // Queries that are answered need not be asked again.
    let mut answers: Vec<Option<Vec<Hit>>> = vec![None; queries.len()];
    let mut deep = needed.saturating_add(1).min(most.max(1));
    loop {
        let open: Vec<usize> = (0..queries.len()).filter(|q| answers[*q].is_none()).collect();
        if open.is_empty() {
            break;
        }
        let asking = queries.select(&open);
        let finder: &dyn Index<Error = StoreError> = index;
        let lists = try_nearest(finder, Vectors::Features(&asking), deep, exclude, |_, list| list.to_vec())?;
        for (q, list) in open.into_iter().zip(lists) {
            let all_seen = list.len() < deep || deep >= most;
            let far = list.last().is_some_and(|n| wanted.within.is_some_and(|within| n.distance > within));
            answers[q] =
                page((collection, index), &list, own.get(q).copied().flatten(), wanted, all_seen || far)?;
        }
        deep = deep.saturating_mul(4).min(most.max(1));
    }
    Ok(answers.into_iter().map(Option::unwrap_or_default).collect())
}

impl Collection {
    /// The picture of a member's vector, with all that is known of it.
    fn item_of(&self, id: i64) -> Result<Option<Item>, StoreError> {
        let sql = format!("SELECT {ITEM} FROM {FROM} WHERE i.id = ?1");
        let attempt = || self.db.prepare_cached(&sql)?.query_row(params![id], item).optional();
        attempt().map_err(self.told())
    }

    /// The vector of a picture.
    ///
    /// # Errors
    ///
    /// If there is none, or it is damaged.
    pub fn vector(&self, id: i64) -> Result<Vec<f32>, StoreError> {
        let attempt = || -> rusqlite::Result<Option<Vec<u8>>> {
            let mut statement = self.db.prepare_cached("SELECT vector FROM vectors WHERE item = ?1")?;
            statement.query_row([id], |row| row.get(0)).optional()
        };
        let mut vector = vec![0.0; self.about().dimension];
        let read = attempt().map_err(self.told())?.and_then(|bytes| read_vector(&bytes, &mut vector));
        read.map(|()| vector).ok_or_else(|| StoreError::Damaged {
            path: self.path().to_owned(),
            why: format!("picture #{id} has no vector of {} numbers", self.about().dimension),
        })
    }

    /// The middle of the vectors of a class.
    ///
    /// # Errors
    ///
    /// If there is no such class.
    pub fn class_mean(&self, class: &str) -> Result<Vec<f32>, StoreError> {
        let mut sum = vec![0f64; self.about().dimension];
        let mut one = vec![0f32; sum.len()];
        let mut n = 0usize;
        let mut attempt = || -> rusqlite::Result<()> {
            let sql = "SELECT v.vector FROM items i JOIN vectors v ON v.item = i.id WHERE i.class = ?1 ORDER BY v.id";
            let mut statement = self.db.prepare(sql)?;
            let mut rows = statement.query([class])?;
            while let Some(row) = rows.next()? {
                if read_vector(row.get_ref(0)?.as_blob().unwrap_or_default(), &mut one).is_some() {
                    sum.iter_mut().zip(&one).for_each(|(s, v)| *s += f64::from(*v));
                    n += 1;
                }
            }
            Ok(())
        };
        attempt().map_err(self.told())?;
        if n == 0 {
            return Err(StoreError::Request(format!(
                "{} has no picture of a class '{class}'",
                self.path().display()
            )));
        }
        Ok(sum.into_iter().map(|s| (s / n as f64) as f32).collect())
    }

    /// By place, the pictures that are these; nothing where one is not there.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn ids_at<'a>(
        &self,
        places: impl Iterator<Item = Option<&'a str>>,
    ) -> Result<Vec<Option<i64>>, StoreError> {
        let attempt = || -> rusqlite::Result<Vec<Option<i64>>> {
            let mut statement = self.db.prepare_cached("SELECT id FROM items WHERE place = ?1")?;
            places
                .map(|place| {
                    place.map_or(Ok(None), |p| statement.query_row([p], |row| row.get(0)).optional())
                })
                .collect()
        };
        attempt().map_err(self.told())
    }
}

/// What of a list is answered; nothing if it must be longer. `complete` says that no more would be of use.
fn page(
    (collection, index): (&Collection, &dyn CollectionIndex),
    list: &[Neighbour],
    own: Option<i64>,
    wanted: Wanted<'_>,
    complete: bool,
) -> Result<Option<Vec<Hit>>, StoreError> {
    let needed = wanted.k.saturating_add(wanted.skip);
    let mut hits = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    for n in list {
        if wanted.within.is_some_and(|within| n.distance > within) {
            break;
        }
        // Another process may have removed it.
        let Some(id) = index.item(n.index) else { continue };
        let Some(item) = collection.item_of(id)? else { continue };
        if own == Some(item.id) {
            continue;
        }
        let of = match wanted.best {
            None => None,
            Some(BestOf::Class) => item.class.clone(),
            Some(BestOf::Group) => item.group.clone(),
        };
        if of.is_some_and(|of| !seen.insert(of)) {
            continue;
        }
        hits.push(Hit { distance: n.distance, item });
        if hits.len() == needed {
            break;
        }
    }
    if hits.len() < needed && !complete {
        return Ok(None);
    }
    Ok(Some(hits.into_iter().skip(wanted.skip).collect()))
}
