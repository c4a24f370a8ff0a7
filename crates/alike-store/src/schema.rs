//! The tables of a collection, their version, and the way from older ones.
//!
//! A collection is one SQLite file: `PRAGMA application_id` is 0x616C696B ("alik") and `PRAGMA user_version` the version of the schema.
//! Anyone may read it with any SQLite; the view `pictures` has a row a picture, without its vector.
//!
//! | table | content |
//! |---|---|
//! | `about` | `key`, `value`: `uuid`, `fingerprint`, `address` (the encoder's), `preparation`, `dimension`, `metric`, `created` (seconds since 1970), `thumbnails` (their longer side in pixels, or 0), `generation` |
//! | `occasions` | when and why pictures were added: `id`, `at` (seconds since 1970), `how` (`add`, `enroll`, `sync`, `import`), `what` (a folder, a file) |
//! | `items` | a picture a row: `id`, never given twice; `place` (canonical path; of a member, its archive's and its number; what of the picture it is, if not all); `size` in bytes, `modified` and `changed` in nanoseconds since 1970, `hash` (XXH3, 128 bits, of the bytes); `class` and whether that was set `by_hand`; `group`; `facts` (a JSON object); `occasion` |
//! | `vectors` | `id`, never given twice and never changed; `item`; `vector`: little-endian `f32` |
//! | `gone` | vectors that were deleted, as long as an index may know them: `seq`, `vector` |
//! | `pairs` | what was said of two pictures: `a` below `b`, `said` (`same`, `different`, `no-duplicate`), `at` |
//! | `thumbnails` | `item`, `jpeg` |
//! | `next_vectors`, `next_about` | only while all pictures are embedded anew |
//!
//! An index is kept in a file beside it, `NAME.codes`; it names the collection's `uuid` and `generation`, and the last vector that it knows. Newer
//! vectors are in `vectors`, deleted ones in `gone`. Whoever empties `gone` raises `generation`, which makes every older index worthless.
//!
//! # Migrations
//!
//! `MIGRATIONS[i]` leads from version `i` to `i + 1`; all that are needed run in one transaction when a collection is opened for writing.
//! A collection of a newer version is refused.

use crate::error::{StoreError, told};
use rusqlite::Connection;
use std::path::Path;

/// Marks a SQLite file as a collection.
pub(crate) const APPLICATION: i64 = 0x616C_696B;
/// The version of the schema that is written.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// What makes the index know of deleted vectors.
pub(crate) const GONE_TRIGGER: &str = "CREATE TRIGGER vector_gone AFTER DELETE ON vectors BEGIN
  INSERT INTO gone(vector) VALUES (old.id);
END;";

const MIGRATIONS: [&str; 1] = ["
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE occasions (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, how TEXT NOT NULL, what TEXT NOT NULL);
CREATE TABLE items (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  place TEXT NOT NULL UNIQUE,
  size INTEGER,
  modified INTEGER,
  changed INTEGER,
  hash BLOB,
  class TEXT,
  by_hand INTEGER NOT NULL DEFAULT 0,
  \"group\" TEXT,
  facts TEXT,
  occasion INTEGER NOT NULL REFERENCES occasions(id)
);
CREATE INDEX items_by_hash ON items(hash) WHERE hash IS NOT NULL;
CREATE INDEX items_by_class ON items(class) WHERE class IS NOT NULL;
CREATE TABLE vectors (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  item INTEGER NOT NULL UNIQUE REFERENCES items(id) ON DELETE CASCADE,
  vector BLOB NOT NULL
);
CREATE TABLE gone (seq INTEGER PRIMARY KEY AUTOINCREMENT, vector INTEGER NOT NULL);
CREATE TABLE pairs (
  a INTEGER NOT NULL REFERENCES items(id) ON DELETE CASCADE,
  b INTEGER NOT NULL REFERENCES items(id) ON DELETE CASCADE,
  said TEXT NOT NULL CHECK (said IN ('same', 'different', 'no-duplicate')),
  at INTEGER NOT NULL,
  PRIMARY KEY (a, b, said),
  CHECK (a < b)
) WITHOUT ROWID;
CREATE INDEX pairs_by_b ON pairs(b);
CREATE TABLE thumbnails (item INTEGER PRIMARY KEY REFERENCES items(id) ON DELETE CASCADE, jpeg BLOB NOT NULL);
CREATE VIEW pictures AS
  SELECT items.id, items.place, items.class, items.\"group\", items.facts, items.size, items.by_hand,
    datetime(items.modified / 1000000000, 'unixepoch') AS modified, datetime(occasions.at, 'unixepoch') AS added,
    occasions.how, occasions.what
  FROM items JOIN occasions ON occasions.id = items.occasion;
"];

/// Makes the tables of a new collection. To be called within a transaction.
pub(crate) fn create(db: &Connection) -> rusqlite::Result<()> {
    for step in MIGRATIONS {
        db.execute_batch(step)?;
    }
    db.execute_batch(GONE_TRIGGER)?;
    db.pragma_update(None, "application_id", APPLICATION)?;
    db.pragma_update(None, "user_version", SCHEMA_VERSION)
}

/// Refuses what is no collection, or one of a newer version; returns the version.
pub(crate) fn version(db: &Connection, path: &Path) -> Result<i64, StoreError> {
    let number = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = number("application_id").map_err(told(path))?;
    if application != APPLICATION {
        let why = "it is a SQLite file of another program".to_owned();
        return Err(StoreError::NotACollection { path: path.to_owned(), why });
    }
    let found = number("user_version").map_err(told(path))?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    Ok(found)
}

/// Brings the tables of an older version to the present one.
pub(crate) fn migrate(db: &mut Connection, from: i64, path: &Path) -> Result<(), StoreError> {
    let attempt = |db: &mut Connection| -> rusqlite::Result<()> {
        let within = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        // Another process may have been faster.
        let now: i64 = within.pragma_query_value(None, "user_version", |row| row.get(0))?;
        for step in MIGRATIONS.iter().skip(now.max(from).max(0) as usize) {
            within.execute_batch(step)?;
        }
        within.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        within.commit()
    };
    attempt(db).map_err(told(path))
}
