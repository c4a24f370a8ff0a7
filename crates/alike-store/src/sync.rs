//! A collection made equal to folders: what is new is embedded, what changed is embedded again, what moved is recognised by its content, and
//! what is not there any more is removed.
//!
//! Nothing is remembered between runs but the collection itself, and every step of it is a transaction: whenever a run ends, the next goes on. An
//! unchanged file costs a look at its size and times.

use crate::collection::Collection;
use crate::error::{StoreError, told};
use crate::extras::{exif_facts, thumbnail};
use crate::item::{NewItem, Occasion, Taken};
use alike::data::{
    Failure, FileStamp, Listing, OnError, Preparation, Progress, Unit, list_pictures, list_places,
    prepare_pictures,
};
use alike::encoder::Encoder;
use alike::images::Features;
use alike::names::shown;
use rayon::prelude::*;
use rusqlite::params;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// Pictures that are embedded and written down at once.
const AT_ONCE: usize = 256;
/// Numbers of changes of one transaction that only says where pictures lie.
const MOVES_AT_ONCE: usize = 4096;

/// What makes vectors of pictures for a collection.
pub struct Embedder<'a> {
    /// The encoder.
    pub encoder: &'a dyn Encoder,
    /// What is done to pictures before.
    pub preparation: Preparation,
    /// What is done about pictures that cannot be read.
    pub on_error: OnError,
    /// Whether a class is the whole path of a folder.
    pub nested: bool,
}

/// How a collection follows folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncOptions {
    /// Whether pictures stay whose files are not there any more.
    pub keep_missing: bool,
    /// Whether nothing is changed, only said.
    pub dry_run: bool,
}

/// What became of pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncAnswer {
    /// The collection.
    pub collection: PathBuf,
    /// New pictures.
    pub added: usize,
    /// Pictures whose content changed, embedded again.
    pub changed: usize,
    /// Pictures that lie elsewhere now.
    pub moved: usize,
    /// Pictures whose folder or table says another class than before.
    pub classes_changed: usize,
    /// Pictures that were removed, for their files are not there any more.
    pub removed: usize,
    /// Pictures that stay though their files are not there any more.
    pub missing: usize,
    /// Pictures that are as they were.
    pub unchanged: usize,
    /// New pictures whose content was there already, so that nothing was embedded.
    pub copies: usize,
    /// Pictures that cannot be read.
    pub failed: Vec<Failure>,
    /// Pictures that there are now.
    pub images: usize,
}

/// What is known of a picture that is there.
struct There {
    id: i64,
    stamp: FileStamp,
    hash: Option<u128>,
    class: Option<String>,
    by_hand: bool,
}

/// What is to be done with the pictures of folders.
#[derive(Default)]
struct Work {
    /// Entries to be embedded, new or changed.
    embed: Vec<usize>,
    /// Pictures that lie elsewhere, and where.
    moved: Vec<(i64, NewItem)>,
    /// Pictures whose files were touched, or whose folders say another class.
    seen: Vec<(i64, NewItem)>,
    /// Pictures that are nowhere.
    gone: Vec<i64>,
}

/// Adds pictures, all as one occasion; those that are there stay as they are.
///
/// # Errors
///
/// If a picture cannot be read and must be, or the collection cannot be written. What was added before stays.
pub fn add(
    collection: &mut Collection,
    by: &Embedder<'_>,
    paths: &[PathBuf],
    class: Option<&str>,
    taken: Taken,
    progress: &mut dyn Progress,
) -> Result<SyncAnswer, StoreError> {
    collection.check_encoder(by.encoder.facts())?;
    let (listing, _) = listed(paths, by)?;
    let what = paths.iter().map(shown).collect::<Vec<_>>().join(", ");
    let mut why = Occasion::new(if class.is_some() { "enroll" } else { "add" }, what.clone());
    let places = listing.places(&what);
    let stamps = listing.file_stamps();
    // Looked up one by one: of a million pictures, most are of no interest.
    let there = collection.ids_at(places.iter().map(|place| Some(place.as_str())))?;
    let mut answer = SyncAnswer { collection: collection.path().to_owned(), ..SyncAnswer::default() };
    let mut embed = Vec::new();
    let mut seen = HashSet::new();
    for (i, place) in places.iter().enumerate() {
        if !seen.insert(place.as_str()) {
            continue;
        }
        match (there[i], taken) {
            (None, _) | (Some(_), Taken::Replace) => embed.push(i),
            (Some(_), Taken::Keep) => answer.unchanged += 1,
            (Some(_), Taken::Refuse) => {
                return Err(StoreError::Twice { image: place.clone(), path: collection.path().to_owned() });
            }
        }
    }
    let source = Followed { listing: &listing, places: &places, stamps: &stamps, class };
    // All or none: who enrolls a person wants all pictures, or an error.
    if taken == Taken::Refuse {
        refuse_unreadable(&source, &embed, by)?;
    }
    embed_all(collection, by, &source, &embed, &mut why, &mut answer, progress)?;
    answer.images = collection.len()?;
    Ok(answer)
}

/// Makes a collection equal to folders or other sources.
///
/// # Errors
///
/// If a folder cannot be read, a picture cannot be read and must be, or the collection cannot be written. What was done before stays,
/// and the next run goes on from there.
pub fn sync(
    collection: &mut Collection,
    by: &Embedder<'_>,
    folders: &[PathBuf],
    options: SyncOptions,
    progress: &mut dyn Progress,
) -> Result<SyncAnswer, StoreError> {
    collection.check_encoder(by.encoder.facts())?;
    let (listing, roots) = listed(folders, by)?;
    let what = folders.iter().map(shown).collect::<Vec<_>>().join(", ");
    let places = listing.places(&what);
    let stamps = listing.file_stamps();
    let source = Followed { listing: &listing, places: &places, stamps: &stamps, class: None };
    let there = collection.there()?;
    let mut answer = SyncAnswer { collection: collection.path().to_owned(), ..SyncAnswer::default() };
    let work = compare(&source, &there, &roots, &mut answer);
    let gone = if options.keep_missing { Vec::new() } else { work.gone };
    answer.missing = if options.keep_missing { answer.removed } else { 0 };
    answer.removed = gone.len();
    if options.dry_run {
        let known = |i: &&usize| there.contains_key(&places[**i]);
        answer.changed = work.embed.iter().filter(known).count();
        answer.added = work.embed.len() - answer.changed;
        answer.images = collection.len()?;
        return Ok(answer);
    }
    // First what keeps most of what is known.
    for chunk in work.moved.chunks(MOVES_AT_ONCE) {
        collection.move_items(chunk)?;
    }
    for chunk in work.seen.chunks(MOVES_AT_ONCE) {
        collection.touch_items(chunk)?;
    }
    let mut why = Occasion::new("sync", what);
    embed_all(collection, by, &source, &work.embed, &mut why, &mut answer, progress)?;
    // Last, so that whoever kills it loses nothing.
    for chunk in gone.chunks(MOVES_AT_ONCE) {
        collection.remove(chunk)?;
    }
    answer.images = collection.len()?;
    Ok(answer)
}

/// Pictures that a collection follows.
struct Followed<'a> {
    listing: &'a Listing,
    places: &'a [String],
    stamps: &'a [FileStamp],
    /// The class of all, where one was given.
    class: Option<&'a str>,
}

impl Followed<'_> {
    fn new_item(&self, i: usize, hash: Option<u128>) -> NewItem {
        let entry = &self.listing.entries[i];
        let facts: Map<String, Value> =
            self.listing.facts(i).map(|(key, value)| (key.to_owned(), fact(value))).collect();
        NewItem {
            place: self.places[i].clone(),
            stamp: self.stamps[i],
            hash,
            class: self.class.map(str::to_owned).or_else(|| entry.class.clone()),
            group: entry.group.clone(),
            facts,
            thumbnail: None,
        }
    }
}

/// A cell of a table: a number where it is one that comes back as it was written, else a text.
fn fact(cell: &str) -> Value {
    let number = cell.parse::<i64>().ok().filter(|n| n.to_string() == cell).map(Value::from);
    number
        .or_else(|| {
            let real = cell.parse::<f64>().ok().filter(|n| n.is_finite() && cell.contains('.'))?;
            serde_json::Number::from_f64(real).map(Value::Number)
        })
        .unwrap_or_else(|| Value::from(cell))
}

/// The pictures of sources, and where those lie.
fn listed(paths: &[PathBuf], by: &Embedder<'_>) -> Result<(Listing, Vec<String>), StoreError> {
    let listing = list_pictures(paths, by.nested)?;
    let whole = |path: &PathBuf| shown(path.canonicalize().unwrap_or_else(|_| path.clone()));
    Ok((listing, paths.iter().map(whole).collect()))
}

/// Whether a place lies in one of these folders or archives, or is one of these files.
fn within(place: &str, roots: &[String]) -> bool {
    roots.iter().any(|root| {
        let rest = place.strip_prefix(root.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '#', '@']))
    })
}

/// Whether nothing is at a place any more.
fn is_gone(place: &str) -> bool {
    list_places(&[place.to_owned()]).is_ok_and(|(listing, _)| listing.is_empty())
}

/// What is to be done. Only files that seem to have changed or moved are read.
fn compare(
    source: &Followed<'_>,
    there: &HashMap<String, There>,
    roots: &[String],
    answer: &mut SyncAnswer,
) -> Work {
    let mut work = Work::default();
    let mut new = Vec::new();
    let mut found: HashSet<&str> = HashSet::new();
    for (i, place) in source.places.iter().enumerate() {
        if !found.insert(place) {
            continue;
        }
        let Some(known) = there.get(place) else {
            new.push(i);
            continue;
        };
        let stamp = source.stamps[i];
        // What has no stamp, as a row of an array, is looked at by its content alone, which it has none.
        let same_stamp = known.stamp == stamp;
        // A file that was written again, or that merely looks older, tells by its content.
        let hash = if same_stamp { None } else { source.listing.hash(i) };
        if !same_stamp && (hash.is_none() || hash != known.hash) {
            work.embed.push(i);
            continue;
        }
        let class = source.listing.entries[i].class.as_ref();
        let other_class = !known.by_hand && class != known.class.as_ref() && class.is_some();
        answer.classes_changed += usize::from(other_class);
        if other_class || !same_stamp {
            let mut item = source.new_item(i, hash);
            item.class = item.class.or_else(|| known.class.clone());
            work.seen.push((known.id, item));
        }
        answer.unchanged += usize::from(!other_class);
    }
    // Pictures that were below the folders and are not any more; and, where others are new, those elsewhere too, by size: what moved has the
    // size that it had.
    let mut lost: HashMap<Option<i64>, Vec<(&String, &There)>> = HashMap::new();
    let mut gone: HashSet<i64> = HashSet::new();
    for (place, known) in there.iter().filter(|(place, _)| !found.contains(place.as_str())) {
        if within(place, roots) {
            gone.insert(known.id);
        }
        if !new.is_empty() {
            lost.entry(known.stamp.size).or_default().push((place, known));
        }
    }
    lost.values_mut().for_each(|some| some.sort_by_key(|(_, known)| known.id));
    let mut taken: HashSet<i64> = HashSet::new();
    for i in new {
        let stamp = source.stamps[i];
        let candidates = lost.get(&stamp.size).filter(|_| stamp.size.is_some());
        let hash = candidates.and_then(|_| source.listing.hash(i));
        // One that lies elsewhere moved only if it is there no more: the folder itself may have got another name.
        let old = candidates.into_iter().flatten().find(|(place, known)| {
            hash.is_some()
                && known.hash == hash
                && !taken.contains(&known.id)
                && (gone.contains(&known.id) || is_gone(place))
        });
        match old {
            Some((_, known)) => {
                taken.insert(known.id);
                gone.remove(&known.id);
                let mut item = source.new_item(i, hash);
                item.class = item.class.or_else(|| known.class.clone());
                work.moved.push((known.id, item));
                answer.moved += 1;
            }
            None => work.embed.push(i),
        }
    }
    work.gone = gone.into_iter().collect();
    work.gone.sort_unstable();
    answer.removed = work.gone.len();
    work
}

/// Refuses pictures one of which cannot be read, before any is added.
fn refuse_unreadable(source: &Followed<'_>, rows: &[usize], by: &Embedder<'_>) -> Result<(), StoreError> {
    if by.on_error == OnError::Skip {
        return Ok(());
    }
    for chunk in rows.chunks(AT_ONCE) {
        let prepared = prepare_pictures(&source.listing.select(chunk), &by.preparation)?;
        fail_at(prepared.failures.first(), prepared.failures.len())?;
    }
    Ok(())
}

/// That a picture cannot be read.
fn fail_at(first: Option<&Failure>, count: usize) -> Result<(), StoreError> {
    let Some(first) = first else { return Ok(()) };
    let (first, why) = (first.name.clone(), first.why.clone());
    let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    Err(StoreError::Request(format!(
        "{first} cannot be used: {why}{more}; what was added before stays; give --on-error skip to leave such pictures out"
    )))
}

/// Embeds entries, some hundred at a time, and writes each of these down before the next.
fn embed_all(
    collection: &mut Collection,
    by: &Embedder<'_>,
    source: &Followed<'_>,
    rows: &[usize],
    why: &mut Occasion,
    answer: &mut SyncAnswer,
    progress: &mut dyn Progress,
) -> Result<(), StoreError> {
    progress.begin("embedding pictures", Some(rows.len() as u64), Unit::Images);
    for chunk in rows.chunks(AT_ONCE) {
        let prepared = prepare_pictures(&source.listing.select(chunk), &by.preparation)?;
        if by.on_error == OnError::Fail {
            fail_at(prepared.failures.first(), prepared.failures.len())?;
        }
        let failed: HashSet<usize> = prepared.failures.iter().map(|f| f.entry).collect();
        let kept: Vec<usize> = (0..chunk.len()).filter(|k| !failed.contains(k)).collect();
        answer.failed.extend(prepared.failures.into_iter().map(|f| Failure { entry: chunk[f.entry], ..f }));
        let hash = |k: usize| Some(prepared.hashes[k]).filter(|h| *h != 0);
        // What is there already under another path need not be embedded again: a copy has the same vector.
        let mut vectors = vec![None; kept.len()];
        for (n, k) in kept.iter().enumerate() {
            let plain = source.listing.entries[chunk[*k]].area.is_none()
                && source.listing.entries[chunk[*k]].quarters == 0;
            if let Some(hash) = hash(*k).filter(|_| plain) {
                vectors[n] = collection.vector_of(hash, source.stamps[chunk[*k]].size)?;
            }
        }
        let missing: Vec<usize> = (0..kept.len()).filter(|n| vectors[*n].is_none()).collect();
        let images: Vec<usize> = missing.iter().map(|n| kept[*n]).collect();
        answer.copies += kept.len() - missing.len();
        if !missing.is_empty() {
            let embedded = by.encoder.embed(&prepared.images.select(&images))?;
            for (row, n) in missing.iter().enumerate() {
                vectors[*n] = Some(embedded.row(row).to_vec());
            }
        }
        let data: Vec<f32> = vectors.into_iter().flatten().flatten().collect();
        let side = collection.about().thumbnails;
        let item = |k: &usize| {
            let i = chunk[*k];
            let mut item = source.new_item(i, hash(*k));
            // A table knows better than a camera.
            let mut facts = exif_facts(source.listing, i);
            facts.append(&mut item.facts);
            item.facts = facts;
            item.thumbnail = if side > 0 { thumbnail(source.listing, i, side) } else { None };
            item
        };
        let items: Vec<NewItem> = kept.par_iter().map(item).collect();
        let features = Features::new(collection.about().dimension, data);
        let added = collection.add(&items, &features, why, Taken::Replace)?;
        answer.added += added.added;
        answer.changed += added.replaced;
        progress.advance(chunk.len() as u64);
    }
    progress.end();
    Ok(())
}

impl Collection {
    /// What is known of all pictures, by place.
    fn there(&self) -> Result<HashMap<String, There>, StoreError> {
        let attempt = || -> rusqlite::Result<HashMap<String, There>> {
            let sql = "SELECT place, id, size, modified, changed, hash, class, by_hand FROM items";
            let mut statement = self.db.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let hash = row.get_ref(5)?.as_blob_or_null()?;
                let there = There {
                    id: row.get(1)?,
                    stamp: FileStamp { size: row.get(2)?, modified: row.get(3)?, changed: row.get(4)? },
                    hash: hash.and_then(|h| <[u8; 16]>::try_from(h).ok()).map(u128::from_le_bytes),
                    class: row.get(6)?,
                    by_hand: row.get(7)?,
                };
                Ok((row.get(0)?, there))
            })?;
            rows.collect()
        };
        attempt().map_err(self.told())
    }

    /// The vector of a whole picture of this content, if one is there.
    fn vector_of(&self, hash: u128, size: Option<i64>) -> Result<Option<Vec<f32>>, StoreError> {
        // Of a part of a picture the vector is another: those have a place that says so.
        let sql = "SELECT v.vector FROM items i JOIN vectors v ON v.item = i.id \
                   WHERE i.hash = ?1 AND i.size IS ?2 AND i.place NOT LIKE '%@90' AND i.place NOT LIKE '%@180' \
                   AND i.place NOT LIKE '%@270' AND i.place NOT LIKE '%@0' LIMIT 1";
        let attempt = || -> rusqlite::Result<Option<Vec<f32>>> {
            let mut statement = self.db.prepare_cached(sql)?;
            let mut rows = statement.query(params![hash.to_le_bytes(), size])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let mut vector = vec![0.0; self.about().dimension];
            let bytes = row.get_ref(0)?.as_blob().unwrap_or_default();
            Ok(crate::items::read_vector(bytes, &mut vector).map(|()| vector))
        };
        attempt().map_err(told(self.path()))
    }
}
