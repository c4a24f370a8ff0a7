//! The indexes of a collection: caches, which can be thrown away at any time.
//!
//! Small collections are read into memory and compared with whole. Large ones are searched by codes of 8 bits, which are kept in a file beside the
//! collection; what is found is the same. A file that is missing, damaged or of another state costs the time to make it again, and never an
//! answer.

use crate::codes::{Building, CodeFileError, Codes, Stamp, centre_count, centres};
use crate::collection::{Access, Collection};
use crate::error::{StoreError, told};
use crate::items::read_vector;
use crate::search::CollectionIndex;
use alike::images::{Features, Vectors};
use alike::neighbours::{Exact, Exclude, Index, Neighbour};
use alike_kernels::Tier;
use rusqlite::{OptionalExtension, params};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Up to so many vectors are compared with whole.
const SMALL: usize = 20_000;
/// Vectors that are read at a time.
const AT_ONCE: usize = 16_384;
/// Vectors that centres are made of.
const SAMPLED: usize = 65_536;

/// All vectors in memory, compared with every query: what small collections are searched by.
#[derive(Debug)]
pub struct InMemory {
    vectors: Features,
    items: Vec<i64>,
}

impl InMemory {
    /// Reads all vectors of a collection.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or a vector is damaged.
    pub fn read(collection: &Collection) -> Result<InMemory, StoreError> {
        let mut data = Vec::new();
        let mut items = Vec::new();
        each_chunk(collection, 0, |chunk, _, of| {
            data.extend_from_slice(chunk.data());
            items.extend_from_slice(of);
            Ok(())
        })?;
        Ok(InMemory { vectors: Features::new(collection.about().dimension, data), items })
    }
}

impl Index for InMemory {
    type Error = StoreError;

    fn len(&self) -> usize {
        self.items.len()
    }

    fn search(
        &self,
        queries: Vectors<'_>,
        k: usize,
        exclude: Exclude<'_>,
        take: &(dyn Fn(usize, &[Neighbour]) + Sync),
    ) -> Result<(), StoreError> {
        match Exact::new(Vectors::Features(&self.vectors)).search(queries, k, exclude, take) {
            Ok(()) => Ok(()),
            Err(never) => match never {},
        }
    }
}

impl CollectionIndex for InMemory {
    fn item(&self, member: usize) -> Option<i64> {
        self.items.get(member).copied()
    }
}

/// Codes of all vectors, and the file that the vectors are read from.
pub struct Coded {
    tier: Tier,
    codes: Codes,
    /// By member: the number of its vector, rising.
    ids: Vec<i64>,
    /// By member: the number of its picture.
    items: Vec<i64>,
    /// By member: whether it is there.
    alive: Vec<bool>,
    /// The last vector that is coded, and the last that is known to be gone.
    last: i64,
    seen: i64,
    generation: i64,
    store: Mutex<Collection>,
}

impl std::fmt::Debug for Coded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "codes of {} vectors", self.ids.len())
    }
}

impl Coded {
    /// Codes from the file beside a collection, brought up to date; made anew where that is of no use, and written where many are new.
    ///
    /// # Errors
    ///
    /// If the collection cannot be read.
    pub fn open(collection: &Collection) -> Result<Coded, StoreError> {
        let about = collection.about();
        let read = Codes::read(&file_of(collection.path()), &about.uuid, about.generation, about.dimension);
        let Ok((codes, stamp, [ids, items])) = read else {
            let made = Coded::make(collection)?;
            // Whoever may not write there searches all the same.
            let _ = made.save(collection);
            return Ok(made);
        };
        let mut coded = Coded::of(collection, codes, stamp.last, [ids, items])?;
        let before = coded.ids.len();
        coded.refresh()?;
        let new = coded.ids.len() - before;
        if new > (before / 50).max(2000) {
            let _ = coded.save(collection);
        }
        Ok(coded)
    }

    fn of(
        collection: &Collection,
        codes: Codes,
        last: i64,
        [ids, items]: [Vec<i64>; 2],
    ) -> Result<Coded, StoreError> {
        Ok(Coded {
            tier: Tier::found(),
            alive: vec![true; ids.len()],
            codes,
            ids,
            items,
            last,
            seen: 0,
            generation: collection.about().generation,
            store: Mutex::new(Collection::open(collection.path(), Access::Read)?),
        })
    }

    /// Codes all vectors anew.
    ///
    /// # Errors
    ///
    /// If the collection cannot be read.
    pub fn make(collection: &Collection) -> Result<Coded, StoreError> {
        let d = collection.about().dimension;
        // All of one moment.
        let moment = collection.db.unchecked_transaction().map_err(collection.told())?;
        let seen = last_gone(collection)?;
        let n = collection.count("SELECT count(*) FROM vectors")?;
        let step = n.div_ceil(SAMPLED).max(1);
        let mut some = Vec::new();
        let mut at = 0usize;
        each_chunk(collection, 0, |chunk, _, _| {
            for row in chunk.rows() {
                if at.is_multiple_of(step) {
                    some.extend_from_slice(row);
                }
                at += 1;
            }
            Ok(())
        })?;
        let mut building = Building::new(centres(&Features::new(d, some), centre_count(n)));
        let (mut ids, mut items) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut there = vec![0f32; d];
        each_chunk(collection, 0, |chunk, of, pictures| {
            ids.extend_from_slice(of);
            items.extend_from_slice(pictures);
            building.extend(chunk, |member, vector| {
                let is_there = read_one(collection, ids[member as usize], &mut there)?;
                Ok(is_there && there.iter().zip(vector).all(|(a, b)| a.to_bits() == b.to_bits()))
            })
        })?;
        drop(moment);
        let last = ids.last().copied().unwrap_or(0);
        let coded = Coded::of(collection, building.finish(), last, [ids, items])?;
        Ok(Coded { seen, ..coded })
    }

    /// Writes the codes beside the collection.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    pub fn save(&self, collection: &Collection) -> Result<(), StoreError> {
        let uuid = collection.about().uuid.clone();
        let stamp = Stamp { uuid, generation: self.generation, last: self.last };
        Ok(self.codes.write(&file_of(collection.path()), &stamp, [&self.ids, &self.items])?)
    }

    /// Learns what was added and removed since it was made: its cost is that of the change.
    ///
    /// # Errors
    ///
    /// If the collection cannot be read, or was embedded anew or compacted.
    pub fn refresh(&mut self) -> Result<(), StoreError> {
        let store = self.store.get_mut().unwrap_or_else(PoisonError::into_inner);
        let moment = store.db.unchecked_transaction().map_err(store.told())?;
        check_generation(store, self.generation)?;
        let attempt = || -> rusqlite::Result<Vec<(i64, i64)>> {
            let mut statement =
                store.db.prepare_cached("SELECT seq, vector FROM gone WHERE seq > ?1 ORDER BY seq")?;
            statement.query_map([self.seen], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        for (seq, vector) in attempt().map_err(store.told())? {
            self.seen = seq;
            if let Ok(member) = self.ids.binary_search(&vector) {
                self.alive[member] = false;
            }
        }
        let (codes, ids, items, alive) = (&mut self.codes, &mut self.ids, &mut self.items, &mut self.alive);
        each_chunk(store, self.last, |chunk, of, pictures| {
            codes.extend(chunk);
            ids.extend_from_slice(of);
            items.extend_from_slice(pictures);
            alive.resize(ids.len(), true);
            Ok(())
        })?;
        drop(moment);
        self.last = self.ids.last().copied().unwrap_or(0).max(self.last);
        Ok(())
    }

    fn store(&self) -> MutexGuard<'_, Collection> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index for Coded {
    type Error = StoreError;

    fn len(&self) -> usize {
        self.ids.len()
    }

    fn search(
        &self,
        queries: Vectors<'_>,
        k: usize,
        exclude: Exclude<'_>,
        take: &(dyn Fn(usize, &[Neighbour]) + Sync),
    ) -> Result<(), StoreError> {
        let store = self.store();
        // Vectors are never changed, and of one moment all are there or gone.
        let moment = store.db.unchecked_transaction().map_err(store.told())?;
        check_generation(&store, self.generation)?;
        let eligible = |query: usize, member: usize| self.alive[member] && !exclude.covers(query, member);
        let read = |member: u32, into: &mut [f32]| read_one(&store, self.ids[member as usize], into);
        let found = self.codes.search((self.tier, queries), k, &eligible, read, take);
        drop(moment);
        found
    }
}

impl CollectionIndex for Coded {
    fn item(&self, member: usize) -> Option<i64> {
        self.alive.get(member).filter(|alive| **alive).map(|_| self.items[member])
    }
}

/// Refuses a collection whose vectors are others than those that were coded.
fn check_generation(collection: &Collection, generation: i64) -> Result<(), StoreError> {
    let sql = "SELECT CAST(value AS INTEGER) FROM about WHERE key = 'generation'";
    let now: i64 = collection.db.query_row(sql, [], |row| row.get(0)).map_err(collection.told())?;
    if now == generation {
        return Ok(());
    }
    let path = collection.path().display();
    Err(StoreError::Request(format!("{path} was compacted or embedded anew meanwhile; search again")))
}

fn last_gone(collection: &Collection) -> Result<i64, StoreError> {
    let sql = "SELECT coalesce(max(seq), 0) FROM gone";
    collection.db.query_row(sql, [], |row| row.get(0)).map_err(collection.told())
}

/// Reads a vector by its number; says whether it is there.
fn read_one(collection: &Collection, id: i64, into: &mut [f32]) -> Result<bool, StoreError> {
    let mut attempt = || -> rusqlite::Result<Option<Option<()>>> {
        let mut statement = collection.db.prepare_cached("SELECT vector FROM vectors WHERE id = ?1")?;
        let read =
            |row: &rusqlite::Row<'_>| Ok(read_vector(row.get_ref(0)?.as_blob().unwrap_or_default(), into));
        statement.query_row(params![id], read).optional()
    };
    match attempt().map_err(told(collection.path()))? {
        None => Ok(false),
        Some(Some(())) => Ok(true),
        Some(None) => Err(damaged(collection, id)),
    }
}

fn damaged(collection: &Collection, vector: i64) -> StoreError {
    let why = format!("vector {vector} is not {} numbers long", collection.about().dimension);
    StoreError::Damaged { path: collection.path().to_owned(), why }
}

/// Hands over all vectors after one, some thousand at a time, with their numbers and those of their pictures.
fn each_chunk(
    collection: &Collection,
    after: i64,
    mut take: impl FnMut(&Features, &[i64], &[i64]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let d = collection.about().dimension;
    let told = collection.told();
    let mut statement = collection
        .db
        .prepare_cached("SELECT id, item, vector FROM vectors WHERE id > ?1 ORDER BY id")
        .map_err(&told)?;
    let mut rows = statement.query([after]).map_err(&told)?;
    let mut more = true;
    while more {
        let (mut data, mut ids, mut items) = (Vec::new(), Vec::<i64>::new(), Vec::<i64>::new());
        while ids.len() < AT_ONCE {
            let Some(row) = rows.next().map_err(&told)? else {
                more = false;
                break;
            };
            ids.push(row.get(0).map_err(&told)?);
            items.push(row.get(1).map_err(&told)?);
            let at = data.len();
            data.resize(at + d, 0.0);
            let bytes = row.get_ref(2).map_err(&told)?.as_blob().unwrap_or_default();
            if read_vector(bytes, &mut data[at..]).is_none() {
                return Err(damaged(collection, ids[ids.len() - 1]));
            }
        }
        if !ids.is_empty() {
            take(&Features::new(d, data), &ids, &items)?;
        }
    }
    Ok(())
}

/// The index that suits a collection.
///
/// # Errors
///
/// If the file cannot be read.
pub fn open(collection: &Collection) -> Result<Box<dyn CollectionIndex>, StoreError> {
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM vectors LIMIT {})", SMALL + 1);
    if collection.count(&sql)? <= SMALL {
        return Ok(Box::new(InMemory::read(collection)?));
    }
    Ok(Box::new(Coded::open(collection)?))
}

/// The file of codes beside a collection.
pub fn file_of(path: &Path) -> PathBuf {
    path.with_extension("codes")
}

/// What is to be said of the file of codes, which is never a fault.
pub(crate) fn check_file(collection: &Collection) -> Result<Option<String>, StoreError> {
    let about = collection.about();
    let read = Codes::read(&file_of(collection.path()), &about.uuid, about.generation, about.dimension);
    Ok(match read {
        Ok(_) | Err(CodeFileError::Absent) => None,
        Err(why) => Some(format!("the index is made again when it is needed: {why}")),
    })
}

/// Makes the file of codes, where there are enough vectors for one.
pub(crate) fn build(collection: &Collection) -> Result<(), StoreError> {
    let file = file_of(collection.path());
    if collection.count("SELECT count(*) FROM vectors")? <= SMALL {
        return match std::fs::remove_file(&file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(alike::files::FileError::writing(&file)(e).into())
            }
            _ => Ok(()),
        };
    }
    Coded::make(collection)?.save(collection)
}
