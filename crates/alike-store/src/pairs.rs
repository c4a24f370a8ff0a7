//! What was said by hand of two pictures: that they show the same, or not, or that they are no duplicates. It stays when pictures move, are
//! embedded anew or get other classes; it goes with either of the two.

use crate::collection::Collection;
use crate::error::{StoreError, told};
use crate::time;
use alike::tasks::Corrections;
use rusqlite::params;
use serde::Serialize;

/// What is said of two pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// They show the same.
    Same,
    /// They do not.
    Different,
    /// However alike they look, neither is a copy of the other.
    NoDuplicate,
}

impl Said {
    fn word(self) -> &'static str {
        match self {
            Said::Same => "same",
            Said::Different => "different",
            Said::NoDuplicate => "no-duplicate",
        }
    }
}

/// Two pictures, and what was said of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pair {
    /// The numbers of the pictures, the smaller first.
    pub ids: [i64; 2],
    /// Where they lie.
    pub paths: [String; 2],
    /// What was said.
    pub said: Said,
    /// When (UTC).
    pub at: String,
}

impl Collection {
    /// Says something of two pictures. That they are the same takes back that they are different, and the other way round.
    ///
    /// # Errors
    ///
    /// If they are one, or the file cannot be written.
    pub fn say(&mut self, one: i64, two: i64, said: Said) -> Result<(), StoreError> {
        if one == two {
            return Err(StoreError::Request(
                "a picture is always the same as itself; name two pictures".into(),
            ));
        }
        let path = self.path().to_owned();
        let (a, b) = (one.min(two), one.max(two));
        self.within(|db| {
            let attempt = || -> rusqlite::Result<()> {
                let against = match said {
                    Said::Same => Some(Said::Different),
                    Said::Different => Some(Said::Same),
                    Said::NoDuplicate => None,
                };
                if let Some(against) = against {
                    db.execute(
                        "DELETE FROM pairs WHERE a = ?1 AND b = ?2 AND said = ?3",
                        params![a, b, against.word()],
                    )?;
                }
                let sql = "INSERT OR REPLACE INTO pairs(a, b, said, at) VALUES (?1, ?2, ?3, ?4)";
                db.execute(sql, params![a, b, said.word(), time::now()]).map(drop)
            };
            attempt().map_err(told(&path))
        })
    }

    /// Takes back what was said of two pictures; returns how much that was.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn unsay(&mut self, one: i64, two: i64) -> Result<usize, StoreError> {
        let path = self.path().to_owned();
        let (a, b) = (one.min(two), one.max(two));
        self.within(|db| db.execute("DELETE FROM pairs WHERE a = ?1 AND b = ?2", [a, b]).map_err(told(&path)))
    }

    /// What people said of pictures, as tasks obey it: pairs, and classes that were set by hand.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn corrections(&self) -> Result<Corrections, StoreError> {
        let mut corrections = Corrections::default();
        for Pair { paths, said, .. } in self.pairs(None)? {
            match said {
                Said::Same => corrections.same.push(paths),
                Said::Different => corrections.different.push(paths),
                Said::NoDuplicate => {}
            }
        }
        let mut attempt = || -> rusqlite::Result<()> {
            let mut statement = self.db.prepare("SELECT place, class FROM items WHERE by_hand")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                corrections.classes.insert(row.get(0)?, row.get(1)?);
            }
            Ok(())
        };
        attempt().map_err(self.told())?;
        Ok(corrections)
    }

    /// The contents (XXH3, 128 bits) of pictures that are no duplicates of each other, as far as they are known.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn no_duplicates(&self) -> Result<Vec<[u128; 2]>, StoreError> {
        let sql = "SELECT x.hash, y.hash FROM pairs p JOIN items x ON x.id = p.a JOIN items y ON y.id = p.b \
                   WHERE p.said <> 'same' AND x.hash IS NOT NULL AND y.hash IS NOT NULL";
        let attempt = || -> rusqlite::Result<Vec<[u128; 2]>> {
            let mut statement = self.db.prepare(sql)?;
            let rows =
                statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?].map(u128::from_le_bytes)))?;
            rows.collect()
        };
        attempt().map_err(self.told())
    }

    /// All that was said of pairs; of those of one picture, where its number is given.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn pairs(&self, of: Option<i64>) -> Result<Vec<Pair>, StoreError> {
        let sql = "SELECT p.a, p.b, x.place, y.place, p.said, p.at FROM pairs p JOIN items x ON x.id = p.a \
                   JOIN items y ON y.id = p.b WHERE ?1 IS NULL OR p.a = ?1 OR p.b = ?1 ORDER BY p.a, p.b, p.said";
        let attempt = || -> rusqlite::Result<Vec<Pair>> {
            let mut statement = self.db.prepare(sql)?;
            let rows = statement.query_map([of], |row| {
                let said: String = row.get(4)?;
                Ok(Pair {
                    ids: [row.get(0)?, row.get(1)?],
                    paths: [row.get(2)?, row.get(3)?],
                    said: match said.as_str() {
                        "same" => Said::Same,
                        "different" => Said::Different,
                        _ => Said::NoDuplicate,
                    },
                    at: time::shown(row.get(5)?),
                })
            })?;
            rows.collect()
        };
        attempt().map_err(self.told())
    }
}
