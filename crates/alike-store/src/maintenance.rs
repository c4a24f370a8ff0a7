//! A collection looked after: checked, compacted, copied, purged.

use crate::collection::{Collection, METRIC, appear};
use crate::error::{StoreError, told};
use crate::items::read_vector;
use crate::schema;
use alike::files;
use rusqlite::backup::Backup;
use rusqlite::{Connection, params};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckAnswer {
    /// The file.
    pub collection: PathBuf,
    /// Pictures.
    pub images: usize,
    /// What is wrong, a sentence each; none where all is well.
    pub faults: Vec<String>,
    /// What is remarkable, and no fault.
    pub notes: Vec<String>,
}

/// What compacting saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CompactAnswer {
    /// The file.
    pub collection: PathBuf,
    /// Pictures.
    pub images: usize,
    /// Bytes of the file before.
    pub before: u64,
    /// Bytes of the file now.
    pub after: u64,
    /// Bytes of the index beside it.
    pub index: u64,
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BackupAnswer {
    /// The file.
    pub collection: PathBuf,
    /// The copy.
    pub backup: PathBuf,
    /// Pictures in the copy.
    pub images: usize,
    /// Bytes of the copy.
    pub bytes: u64,
}

/// Faults of a kind that are told.
const TOLD: usize = 10;

impl Collection {
    /// Looks whether the file is sound, and what is in it makes sense.
    ///
    /// # Errors
    ///
    /// If it cannot be read at all.
    pub fn check(&self) -> Result<CheckAnswer, StoreError> {
        let told = self.told();
        let mut faults = Vec::new();
        let texts = |sql: &str| -> Result<Vec<String>, StoreError> {
            let attempt = || -> rusqlite::Result<Vec<String>> {
                let mut statement = self.db.prepare(sql)?;
                statement.query_map([], |row| row.get(0))?.collect()
            };
            attempt().map_err(self.told())
        };
        let integrity = texts("PRAGMA integrity_check(10)")?;
        faults.extend(integrity.into_iter().filter(|t| t != "ok").map(|t| format!("SQLite says: {t}")));
        let foreign = self.count("SELECT count(*) FROM pragma_foreign_key_check")?;
        if foreign > 0 {
            faults.push(format!("{foreign} rows belong to pictures that are not there"));
        }
        let each = |what: &str, sql: &str| -> Result<Vec<String>, StoreError> {
            Ok(texts(&format!("{sql} LIMIT {TOLD}"))?.into_iter().map(|t| format!("{t} {what}")).collect())
        };
        faults.extend(each(
            "has no vector",
            "SELECT place FROM items WHERE NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.item = items.id)",
        )?);
        let broken = "SELECT place FROM items WHERE facts IS NOT NULL AND CASE WHEN json_valid(facts) THEN json_type(facts) END IS NOT 'object'";
        faults.extend(each("has facts that are no JSON object", broken)?);
        let d = self.about.dimension;
        let mut row_of = vec![0.0; d];
        let mut attempt = |faults: &mut Vec<String>| -> rusqlite::Result<usize> {
            let sql = "SELECT i.place, v.vector FROM vectors v JOIN items i ON i.id = v.item ORDER BY v.id";
            let mut statement = self.db.prepare(sql)?;
            let mut rows = statement.query([])?;
            let (mut n, mut bad) = (0, 0);
            while let Some(row) = rows.next()? {
                n += 1;
                let vector = row.get_ref(1)?.as_blob().unwrap_or_default();
                let why = match read_vector(vector, &mut row_of) {
                    None => Some(format!("has a vector of {} bytes, not {}", vector.len(), 4 * d)),
                    Some(()) if row_of.iter().any(|v| !v.is_finite()) => {
                        Some("has a vector with values that are no finite numbers".to_owned())
                    }
                    Some(()) => None,
                };
                if let Some(why) = why {
                    bad += 1;
                    if bad <= TOLD {
                        faults.push(format!("{} {why}", row.get::<_, String>(0)?));
                    }
                }
            }
            Ok(n)
        };
        let images = attempt(&mut faults).map_err(&told)?;
        let index = crate::index::check_file(self)?;
        Ok(CheckAnswer {
            collection: self.path().to_owned(),
            images,
            faults,
            notes: index.into_iter().collect(),
        })
    }

    /// Gives back room that deleted pictures took, and builds the index anew.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn compact(&mut self) -> Result<CompactAnswer, StoreError> {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
        self.checkpoint()?;
        let before = size(self.path());
        self.forget_gone()?;
        self.db.execute_batch("VACUUM; ANALYZE").map_err(self.told())?;
        self.checkpoint()?;
        let images = self.len()?;
        crate::index::build(self)?;
        let index = size(&crate::index::file_of(self.path()));
        let collection = self.path().to_owned();
        Ok(CompactAnswer { images, before, after: size(&collection), index, collection })
    }

    /// Removes pictures so that nothing of them can be read from the files any more: what they took is overwritten.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, or another process keeps it open and reads: what is left is then removed by the next purge.
    pub fn purge(&mut self, ids: &[i64]) -> Result<usize, StoreError> {
        self.db.pragma_update(None, "secure_delete", true).map_err(self.told())?;
        // The index holds what is nearly their vectors.
        let codes = crate::index::file_of(self.path());
        match std::fs::remove_file(&codes) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(files::FileError::writing(&codes)(e).into());
            }
            _ => {}
        }
        let removed = self.remove(ids)?;
        self.forget_gone()?;
        // Also what was removed before without a purge; rows that moved within pages leave traces, too.
        self.db.execute_batch("VACUUM").map_err(self.told())?;
        let left = self.checkpoint()?;
        self.db.pragma_update(None, "secure_delete", false).map_err(self.told())?;
        if left {
            return Err(StoreError::Locked {
                path: self.path().to_owned(),
                holder: crate::holder::of(self.path()),
            });
        }
        Ok(removed)
    }

    /// Copies the collection, as it is at one moment, while others may go on using it.
    ///
    /// # Errors
    ///
    /// If there is a file of that name already, or it cannot be written.
    pub fn backup(&self, to: &Path) -> Result<BackupAnswer, StoreError> {
        let images = appear(to, |part| self.copy_to(part).map_err(told(to)))?;
        let bytes = std::fs::metadata(to).map_or(0, |m| m.len());
        Ok(BackupAnswer { collection: self.path().to_owned(), backup: to.to_owned(), images, bytes })
    }

    fn copy_to(&self, part: &Path) -> rusqlite::Result<usize> {
        let mut copy = Connection::open(part)?;
        {
            // All pages in one step: those of one moment.
            let backup = Backup::new(&self.db, &mut copy)?;
            while backup.step(-1)? != rusqlite::backup::StepResult::Done {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        // A copy is a collection of its own: it has no index of the other's.
        copy.execute("UPDATE about SET value = lower(hex(randomblob(16))) WHERE key = 'uuid'", params![])?;
        copy.pragma_update(None, "journal_mode", "wal")?;
        let images: i64 = copy.query_row("SELECT count(*) FROM items", [], |row| row.get(0))?;
        copy.close().map_err(|(_, e)| e)?;
        std::fs::File::open(part).and_then(|f| f.sync_all()).map_err(|_| rusqlite::Error::InvalidQuery)?;
        Ok(usize::try_from(images).unwrap_or(0))
    }

    /// Empties the list of deleted vectors; indexes that were made before are then worthless.
    pub(crate) fn forget_gone(&mut self) -> Result<(), StoreError> {
        let path = self.path().to_owned();
        self.within(|db| {
            let sql = "DELETE FROM gone; UPDATE about SET value = value + 1 WHERE key = 'generation'";
            db.execute_batch(sql).map_err(told(&path))
        })?;
        self.refresh_about()
    }

    /// Brings what is in the write-ahead log into the file; says whether some of it had to stay, for others read.
    pub(crate) fn checkpoint(&self) -> Result<bool, StoreError> {
        let busy: i64 = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(self.told())?;
        Ok(busy != 0)
    }

    /// The version of its schema, its encoder and all else that it says of itself.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn summary(&self) -> Result<Summary, StoreError> {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
        let about = self.about();
        Ok(Summary {
            collection: self.path().to_owned(),
            images: self.len()?,
            classes: self.classes()?,
            groups: self.count("SELECT count(DISTINCT \"group\") FROM items")?,
            by_hand: self.count("SELECT count(*) FROM items WHERE by_hand")?,
            pairs: self.count("SELECT count(*) FROM pairs")?,
            thumbnails: self.count("SELECT count(*) FROM thumbnails")?,
            encoder: about.address.to_string(),
            fingerprint: about.fingerprint.clone(),
            preparation: about.preparation.clone(),
            dimension: about.dimension,
            metric: METRIC.to_owned(),
            created: crate::time::shown(about.created),
            schema: schema::SCHEMA_VERSION,
            bytes: size(self.path()),
            index_bytes: size(&crate::index::file_of(self.path())),
        })
    }
}

/// What a collection is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// The file.
    pub collection: PathBuf,
    /// Pictures.
    pub images: usize,
    /// Classes.
    pub classes: usize,
    /// Groups.
    pub groups: usize,
    /// Pictures whose class was set by hand.
    pub by_hand: usize,
    /// What was said of pairs of pictures.
    pub pairs: usize,
    /// Pictures that have a thumbnail.
    pub thumbnails: usize,
    /// Where its encoder is found.
    pub encoder: String,
    /// The encoder's fingerprint.
    pub fingerprint: String,
    /// How pictures are prepared.
    pub preparation: String,
    /// Numbers of a vector.
    pub dimension: usize,
    /// How vectors are compared.
    pub metric: String,
    /// When it was made (UTC).
    pub created: String,
    /// The version of its schema.
    pub schema: i64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of the index beside it.
    pub index_bytes: u64,
}
