//! Pictures of a collection: added, removed, changed, listed.

use crate::collection::Collection;
use crate::error::{StoreError, told};
use crate::filter::{Bound, Filter};
use crate::item::{Added, Item, NewItem, Occasion, Taken};
use crate::time;
use alike::data::FileStamp;
use alike::images::Features;
use alike::suggest::did_you_mean;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params, params_from_iter};
use serde_json::{Map, Value};
use std::path::Path;

/// What a query of [`Item`]s selects.
pub(crate) const ITEM: &str =
    "i.id, i.place, i.class, i.by_hand, i.\"group\", i.facts, i.size, i.modified, o.at, o.how, o.what";
/// From what.
pub(crate) const FROM: &str = "items i JOIN occasions o ON o.id = i.occasion";

/// A change of a picture's class or group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stays.
    Keep,
    /// It becomes this.
    To(String),
    /// There is none any more.
    Clear,
}

pub(crate) fn item(row: &Row<'_>) -> rusqlite::Result<Item> {
    let facts: Option<String> = row.get(5)?;
    let modified: Option<i64> = row.get(7)?;
    Ok(Item {
        id: row.get(0)?,
        path: row.get(1)?,
        class: row.get(2)?,
        by_hand: row.get(3)?,
        group: row.get(4)?,
        facts: facts.and_then(|f| serde_json::from_str(&f).ok()).unwrap_or_default(),
        size: row.get(6)?,
        modified: modified.map(|ns| time::shown(ns.div_euclid(1_000_000_000))),
        added: time::shown(row.get(8)?),
        how: row.get(9)?,
        with: row.get(10)?,
    })
}

fn text_of(facts: &Map<String, Value>) -> Option<String> {
    (!facts.is_empty()).then(|| Value::Object(facts.clone()).to_string())
}

pub(crate) fn bytes_of(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The numbers of a vector; nothing if the bytes are of another length.
pub(crate) fn read_vector(bytes: &[u8], into: &mut [f32]) -> Option<()> {
    let (four, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || four.len() != into.len() {
        return None;
    }
    four.iter().zip(into).for_each(|(b, v)| *v = f32::from_le_bytes(*b));
    Some(())
}

impl Collection {
    /// Adds pictures with their vectors, all or none of them.
    ///
    /// # Errors
    ///
    /// If a vector is of another length or holds what is no finite number, a picture is there and must not be, or the file cannot be
    /// written.
    ///
    /// # Panics
    ///
    /// If there are not as many vectors as pictures.
    pub fn add(
        &mut self,
        items: &[NewItem],
        vectors: &Features,
        why: &mut Occasion,
        taken: Taken,
    ) -> Result<Added, StoreError> {
        assert_eq!(items.len(), vectors.len(), "a collection: a vector for each picture");
        let expected = self.about.dimension;
        let path = self.path().to_owned();
        if vectors.d() != expected {
            return Err(StoreError::Dimension { path, expected, got: vectors.d() });
        }
        let bad = |row: &[f32]| row.iter().any(|v| !v.is_finite());
        if let Some(i) = (0..items.len()).find(|i| bad(vectors.row(*i))) {
            return Err(StoreError::NotFinite { name: items[i].place.clone() });
        }
        let occasion = why.clone();
        let (added, id) = self.within(|db| {
            let mut adding = Adding { db, path: &path, occasion: occasion.id, why: &occasion };
            let mut added = Added::default();
            for (i, new) in items.iter().enumerate() {
                adding.one(new, vectors.row(i), taken, &mut added)?;
            }
            Ok((added, adding.occasion))
        })?;
        why.id = id;
        Ok(added)
    }

    /// Gives pictures other places, as when their files were moved: all else that is known of them stays, unless a class of the new place
    /// takes the old one's.
    pub(crate) fn move_items(&mut self, moved: &[(i64, NewItem)]) -> Result<(), StoreError> {
        let path = self.path().to_owned();
        self.within(|db| {
            let attempt = || -> rusqlite::Result<()> {
                // Names may change places with each other: each first gets one that nobody has.
                let mut away = db.prepare_cached("UPDATE items SET place = ?2 WHERE id = ?1")?;
                for (id, _) in moved {
                    away.execute(params![id, format!("\0{id}")])?;
                }
                for (id, new) in moved {
                    update(db, *id, new)?;
                }
                Ok(())
            };
            attempt().map_err(told(&path))
        })
    }

    /// Notes what files are now, where their content is what it was, and what their folders say of them.
    pub(crate) fn touch_items(&mut self, seen: &[(i64, NewItem)]) -> Result<(), StoreError> {
        let path = self.path().to_owned();
        self.within(|db| seen.iter().try_for_each(|(id, new)| update(db, *id, new)).map_err(told(&path)))
    }

    /// Removes pictures, all or none; returns how many there were.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn remove(&mut self, ids: &[i64]) -> Result<usize, StoreError> {
        let path = self.path().to_owned();
        self.within(|db| {
            let mut removed = 0;
            let mut statement = db.prepare_cached("DELETE FROM items WHERE id = ?1").map_err(told(&path))?;
            for id in ids {
                removed += statement.execute([id]).map_err(told(&path))?;
            }
            Ok(removed)
        })
    }

    /// Sets the class or group of pictures by hand, and facts; returns how many there are. A fact that is null is taken away.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn set(
        &mut self,
        ids: &[i64],
        class: &Change,
        group: &Change,
        facts: &Map<String, Value>,
    ) -> Result<usize, StoreError> {
        let path = self.path().to_owned();
        let patch = (!facts.is_empty()).then(|| Value::Object(facts.clone()).to_string());
        let value = |change: &Change| match change {
            Change::To(text) => Some(text.clone()),
            Change::Keep | Change::Clear => None,
        };
        let (new_class, new_group) = (value(class), value(group));
        self.within(|db| {
            let attempt = || -> rusqlite::Result<usize> {
                let mut set = 0;
                for id in ids {
                    let mut there = 0;
                    if *class != Change::Keep {
                        let sql = "UPDATE items SET class = ?2, by_hand = 1 WHERE id = ?1";
                        there = db.prepare_cached(sql)?.execute(params![id, new_class])?;
                    }
                    if *group != Change::Keep {
                        let sql = "UPDATE items SET \"group\" = ?2 WHERE id = ?1";
                        there = db.prepare_cached(sql)?.execute(params![id, new_group])?;
                    }
                    if let Some(patch) = &patch {
                        let sql =
                            "UPDATE items SET facts = json_patch(coalesce(facts, '{}'), ?2) WHERE id = ?1";
                        there = db.prepare_cached(sql)?.execute(params![id, patch])?;
                    }
                    set += there;
                }
                Ok(set)
            };
            attempt().map_err(told(&path))
        })
    }

    /// The thumbnail of a picture (JPEG), where there is one.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn thumbnail(&self, id: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT jpeg FROM thumbnails WHERE item = ?1";
        self.db.query_row(sql, [id], |row| row.get(0)).optional().map_err(self.told())
    }

    /// Pictures of which a condition holds, by rising number, from the one after `after` on and at most so many.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn items(
        &self,
        filter: Option<&Filter>,
        after: Option<i64>,
        most: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let Bound { sql, parameters } = bound(filter, 3);
        let sql = format!("SELECT {ITEM} FROM {FROM} WHERE i.id > ?1 AND {sql} ORDER BY i.id LIMIT ?2");
        let first = [Sql::Integer(after.unwrap_or(0)), Sql::Integer(i64::try_from(most).unwrap_or(i64::MAX))];
        let attempt = || -> rusqlite::Result<Vec<Item>> {
            let mut statement = self.db.prepare(&sql)?;
            let rows = statement.query_map(params_from_iter(first.into_iter().chain(parameters)), item)?;
            rows.collect()
        };
        attempt().map_err(self.told())
    }

    /// The numbers of all pictures of which a condition holds, rising.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn ids(&self, filter: Option<&Filter>) -> Result<Vec<i64>, StoreError> {
        let Bound { sql, parameters } = bound(filter, 1);
        let sql = format!("SELECT i.id FROM {FROM} WHERE {sql} ORDER BY i.id");
        let attempt = || -> rusqlite::Result<Vec<i64>> {
            let mut statement = self.db.prepare(&sql)?;
            statement.query_map(params_from_iter(parameters), |row| row.get(0))?.collect()
        };
        attempt().map_err(self.told())
    }

    /// How many pictures a condition holds of.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn count_items(&self, filter: Option<&Filter>) -> Result<usize, StoreError> {
        let Bound { sql, parameters } = bound(filter, 1);
        let sql = format!("SELECT count(*) FROM {FROM} WHERE {sql}");
        let n: rusqlite::Result<i64> =
            self.db.query_row(&sql, params_from_iter(parameters), |row| row.get(0));
        Ok(usize::try_from(n.map_err(self.told())?).unwrap_or(0))
    }

    /// The picture that a user means by a path, or by a number after `#`.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn find(&self, what: &str) -> Result<Item, StoreError> {
        let by = |column: &str, value: &dyn ToSql| -> Result<Option<Item>, StoreError> {
            let sql = format!("SELECT {ITEM} FROM {FROM} WHERE {column} = ?1");
            self.db.query_row(&sql, [value], item).optional().map_err(self.told())
        };
        let number = what.strip_prefix('#').and_then(|n| n.parse::<i64>().ok());
        if let Some(found) = number.map(|id| by("i.id", &id)).transpose()?.flatten() {
            return Ok(found);
        }
        let whole = Path::new(what).canonicalize().or_else(|_| std::path::absolute(what));
        let whole = whole.map(alike::names::shown);
        let mut places = whole.iter().map(String::as_str).chain([what]);
        if let Some(found) = places.find_map(|place| by("i.place", &place).transpose()) {
            return found;
        }
        Err(StoreError::NoItem { what: what.to_owned(), path: self.path().to_owned(), hint: self.hint(what) })
    }

    /// What may be meant by a path that is not there: one of the same end.
    fn hint(&self, what: &str) -> String {
        let name = what.rsplit('/').next().unwrap_or(what);
        let sql = "SELECT place FROM items WHERE substr(place, -length(?1)) = ?1 LIMIT 1";
        let found: Option<String> =
            self.db.query_row(sql, [name], |row| row.get(0)).optional().ok().flatten();
        found.map_or(String::new(), |place| did_you_mean(&place, [place.as_str()]))
    }
}

/// A condition as SQL; without one, what always holds.
pub(crate) fn bound(filter: Option<&Filter>, first: usize) -> Bound {
    filter.map_or_else(|| Bound { sql: "1".into(), parameters: Vec::new() }, |f| f.bound(first))
}

/// Writes what is known of a file to a picture that is there. A class that was set by hand stays.
fn update(db: &Connection, id: i64, new: &NewItem) -> rusqlite::Result<()> {
    let sql = "UPDATE items SET place = ?2, size = ?3, modified = ?4, changed = ?5, hash = coalesce(?6, hash), \
               class = CASE WHEN by_hand THEN class ELSE ?7 END, \"group\" = coalesce(?8, \"group\"), \
               facts = CASE WHEN ?9 IS NULL THEN facts ELSE json_patch(coalesce(facts, '{}'), ?9) END WHERE id = ?1";
    let FileStamp { size, modified, changed } = new.stamp;
    let hash = new.hash.map(|h| h.to_le_bytes());
    let facts = text_of(&new.facts);
    db.prepare_cached(sql)?
        .execute(params![id, new.place, size, modified, changed, hash, new.class, new.group, facts])
        .map(drop)
}

/// Pictures that are added within a transaction.
struct Adding<'a> {
    db: &'a Connection,
    path: &'a Path,
    occasion: Option<i64>,
    why: &'a Occasion,
}

impl Adding<'_> {
    fn one(
        &mut self,
        new: &NewItem,
        vector: &[f32],
        taken: Taken,
        added: &mut Added,
    ) -> Result<(), StoreError> {
        let told = told(self.path);
        let db = self.db;
        let there: Option<i64> = db
            .prepare_cached("SELECT id FROM items WHERE place = ?1")
            .and_then(|mut s| s.query_row([&new.place], |row| row.get(0)).optional())
            .map_err(&told)?;
        let id = match (there, taken) {
            (Some(_), Taken::Refuse) => {
                return Err(StoreError::Twice { image: new.place.clone(), path: self.path.to_owned() });
            }
            (Some(_), Taken::Keep) => {
                added.kept += 1;
                return Ok(());
            }
            (Some(id), Taken::Replace) => {
                update(db, id, new).map_err(&told)?;
                let sql = "DELETE FROM vectors WHERE item = ?1";
                db.prepare_cached(sql).and_then(|mut s| s.execute([id])).map_err(&told)?;
                added.replaced += 1;
                id
            }
            (None, _) => {
                added.added += 1;
                self.insert(new).map_err(&told)?
            }
        };
        let sql = "INSERT INTO vectors(item, vector) VALUES (?1, ?2)";
        db.prepare_cached(sql).and_then(|mut s| s.execute(params![id, bytes_of(vector)])).map_err(&told)?;
        if let Some(jpeg) = &new.thumbnail {
            let sql = "INSERT OR REPLACE INTO thumbnails(item, jpeg) VALUES (?1, ?2)";
            db.prepare_cached(sql).and_then(|mut s| s.execute(params![id, jpeg])).map_err(told)?;
        }
        Ok(())
    }

    fn insert(&mut self, new: &NewItem) -> rusqlite::Result<i64> {
        let db = self.db;
        let occasion = match self.occasion {
            Some(id) => id,
            None => {
                let sql = "INSERT INTO occasions(at, how, what) VALUES (?1, ?2, ?3)";
                db.prepare_cached(sql)?.execute(params![time::now(), self.why.how, self.why.what])?;
                *self.occasion.insert(db.last_insert_rowid())
            }
        };
        let sql = "INSERT INTO items(place, size, modified, changed, hash, class, \"group\", facts, occasion) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let FileStamp { size, modified, changed } = new.stamp;
        let hash = new.hash.map(|h| h.to_le_bytes());
        let facts = text_of(&new.facts);
        db.prepare_cached(sql)?.execute(params![
            new.place, size, modified, changed, hash, new.class, new.group, facts, occasion
        ])?;
        Ok(db.last_insert_rowid())
    }
}
