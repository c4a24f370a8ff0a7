//! All pictures of a collection embedded anew, by another encoder or by the same.
//!
//! New vectors are gathered in tables of their own, some hundred pictures a transaction, and take the place of the old ones in one last transaction.
//! Until then the collection answers as before; a run that was ended goes on where it was.

use crate::collection::{About, Address, Collection};
use crate::error::{StoreError, told};
use crate::items::bytes_of;
use crate::schema::GONE_TRIGGER;
use crate::sync::Embedder;
use alike::data::{Failure, OnError, Progress, Unit, list_places, prepare_pictures};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;
use std::collections::HashSet;
use std::path::PathBuf;

/// Pictures that are embedded and written down at once.
const AT_ONCE: usize = 256;

/// What became of a collection whose pictures were embedded anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReembedAnswer {
    /// The collection.
    pub collection: PathBuf,
    /// The encoder that its vectors are from now.
    pub encoder: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Numbers of a vector.
    pub dimension: usize,
    /// Pictures that were embedded by this run.
    pub embedded: usize,
    /// Pictures that a run before, which was ended, had embedded.
    pub there_already: usize,
    /// Pictures that cannot be read any more and were removed.
    pub removed: Vec<Failure>,
    /// Pictures that there are now.
    pub images: usize,
}

/// Embeds all pictures anew. With `OnError::Skip`, pictures that cannot be read any more are removed.
///
/// # Errors
///
/// If a picture cannot be read and must be, or the collection cannot be written. It then answers as before, and the next run goes on.
pub fn reembed(
    collection: &mut Collection,
    by: &Embedder<'_>,
    address: Address,
    progress: &mut dyn Progress,
) -> Result<ReembedAnswer, StoreError> {
    let next = About::new(by.encoder.facts(), address);
    let next = About { preparation: by.preparation.to_string(), ..next };
    let there_already = begin(collection, &next)?;
    let waiting: Vec<(i64, String)> = waiting(collection)?;
    let mut lost: Vec<(i64, Failure)> = Vec::new();
    let mut embedded = 0;
    progress.begin("embedding pictures anew", Some(waiting.len() as u64), Unit::Images);
    for chunk in waiting.chunks(AT_ONCE) {
        let places: Vec<String> = chunk.iter().map(|(_, place)| place.clone()).collect();
        let (listing, numbers) = list_places(&places)?;
        let found: HashSet<usize> = numbers.iter().copied().collect();
        let mut failed: Vec<(usize, String, bool)> = (0..chunk.len())
            .filter(|i| !found.contains(i))
            .map(|i| (i, "it is not there any more".to_owned(), true))
            .collect();
        let prepared = prepare_pictures(&listing, &by.preparation)?;
        failed.extend(prepared.failures.iter().map(|f| (numbers[f.entry], f.why.clone(), f.lasting)));
        if let Some((i, why, _)) = failed.first().filter(|_| by.on_error == OnError::Fail) {
            return Err(StoreError::Request(format!(
                "{} cannot be embedded anew: {why}; the collection is as it was; give --on-error skip to remove such pictures",
                places[*i]
            )));
        }
        let bad: HashSet<usize> = prepared.failures.iter().map(|f| f.entry).collect();
        let rows: Vec<usize> = (0..numbers.len()).filter(|row| !bad.contains(row)).collect();
        let features =
            if rows.is_empty() { None } else { Some(by.encoder.embed(&prepared.images.select(&rows))?) };
        lost.extend(failed.into_iter().map(|(i, why, lasting)| {
            (chunk[i].0, Failure { entry: i, name: places[i].clone(), why, lasting })
        }));
        if let Some(features) = &features {
            let bad = |row: &[f32]| row.iter().any(|v| !v.is_finite());
            if let Some(row) = (0..rows.len()).find(|row| bad(features.row(*row))) {
                return Err(StoreError::NotFinite { name: places[numbers[rows[row]]].clone() });
            }
        }
        keep(
            collection,
            rows.iter().enumerate().map(|(row, entry)| {
                let vector = features.as_ref().map_or(Vec::new(), |f| bytes_of(f.row(row)));
                (chunk[numbers[*entry]].0, vector)
            }),
        )?;
        embedded += rows.len();
        progress.advance(chunk.len() as u64);
    }
    progress.end();
    let ids: Vec<i64> = lost.iter().map(|(id, _)| *id).collect();
    swap(collection, &next, &ids)?;
    // Codes of the old vectors are worthless, and as large as a quarter of them.
    let _ = std::fs::remove_file(crate::index::file_of(collection.path()));
    let about = collection.about();
    Ok(ReembedAnswer {
        collection: collection.path().to_owned(),
        encoder: about.address.to_string(),
        fingerprint: about.fingerprint.clone(),
        dimension: about.dimension,
        embedded,
        there_already,
        removed: lost.into_iter().map(|(_, failure)| failure).collect(),
        images: collection.len()?,
    })
}

fn in_transaction<T>(
    collection: &mut Collection,
    change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let told = told(collection.path());
    let within = collection.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&told)?;
    let result = change(&within).map_err(&told)?;
    within.commit().map_err(told)?;
    Ok(result)
}

/// Makes the tables for new vectors, or goes on with those of the same encoder; returns how many are there.
fn begin(collection: &mut Collection, next: &About) -> Result<usize, StoreError> {
    let key = format!("{} {}", next.fingerprint, next.preparation);
    in_transaction(collection, |db| {
        db.execute_batch("CREATE TABLE IF NOT EXISTS next_about (encoder TEXT NOT NULL)")?;
        let before: Option<String> =
            db.query_row("SELECT encoder FROM next_about", [], |row| row.get(0)).optional()?;
        if before.as_deref() != Some(key.as_str()) {
            db.execute_batch(
                "DELETE FROM next_about; DROP TABLE IF EXISTS next_vectors;
                 CREATE TABLE next_vectors (
                   id INTEGER PRIMARY KEY AUTOINCREMENT,
                   item INTEGER NOT NULL UNIQUE REFERENCES items(id) ON DELETE CASCADE,
                   vector BLOB NOT NULL
                 );",
            )?;
            db.execute("INSERT INTO next_about(encoder) VALUES (?1)", [key])?;
        }
        db.query_row("SELECT count(*) FROM next_vectors", [], |row| row.get::<_, i64>(0))
    })
    .map(|n| usize::try_from(n).unwrap_or(0))
}

/// Pictures that have no new vector yet.
fn waiting(collection: &Collection) -> Result<Vec<(i64, String)>, StoreError> {
    let sql = "SELECT id, place FROM items WHERE NOT EXISTS (SELECT 1 FROM next_vectors n WHERE n.item = items.id) ORDER BY id";
    let attempt = || -> rusqlite::Result<Vec<(i64, String)>> {
        let mut statement = collection.db.prepare(sql)?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    attempt().map_err(collection.told())
}

fn keep(collection: &mut Collection, rows: impl Iterator<Item = (i64, Vec<u8>)>) -> Result<(), StoreError> {
    in_transaction(collection, |db| {
        // A picture may have been removed meanwhile.
        let sql = "INSERT OR REPLACE INTO next_vectors(item, vector) SELECT id, ?2 FROM items WHERE id = ?1";
        let mut statement = db.prepare(sql)?;
        for (id, vector) in rows {
            statement.execute(params![id, vector])?;
        }
        Ok(())
    })
}

/// Puts the new vectors in the place of the old ones.
fn swap(collection: &mut Collection, next: &About, lost: &[i64]) -> Result<(), StoreError> {
    let path = collection.path().to_owned();
    let generation = collection.about().generation;
    let missing = in_transaction(collection, |db| {
        for id in lost {
            db.execute("DELETE FROM items WHERE id = ?1", [id])?;
        }
        // Whoever added pictures meanwhile did so by the old encoder.
        let sql = "SELECT count(*) FROM items WHERE NOT EXISTS (SELECT 1 FROM next_vectors n WHERE n.item = items.id)";
        let missing: i64 = db.query_row(sql, [], |row| row.get(0))?;
        if missing > 0 {
            return Ok(missing);
        }
        db.execute_batch(
            "DROP TABLE vectors; ALTER TABLE next_vectors RENAME TO vectors; DROP TABLE next_about;",
        )?;
        db.execute_batch(GONE_TRIGGER)?;
        db.execute_batch("DELETE FROM gone")?;
        let now: i64 =
            db.query_row("SELECT CAST(value AS INTEGER) FROM about WHERE key = 'generation'", [], |row| {
                row.get(0)
            })?;
        let about = About { generation: now.max(generation) + 1, ..next.clone() };
        for (key, value) in about.rows() {
            if !["uuid", "created", "thumbnails"].contains(&key) {
                db.execute("UPDATE about SET value = ?2 WHERE key = ?1", [key, &value])?;
            }
        }
        Ok(0)
    })?;
    if missing > 0 {
        return Err(StoreError::Request(format!(
            "{missing} pictures were added to {} while it was embedded anew; run it again to embed these, too",
            path.display()
        )));
    }
    collection.refresh_about()
}
