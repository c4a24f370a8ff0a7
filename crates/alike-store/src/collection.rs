//! A collection: opened, made, and what it says of itself.

use crate::error::{StoreError, told};
use crate::schema;
use alike::encoder::EncoderFacts;
use alike::files;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How files of collections end.
pub const ENDING: &str = "alike";
/// How long is waited for another process that writes.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// What every SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Bytes of a page: vectors of a few hundred numbers fill it without much waste.
const PAGE: i64 = 8192;

/// What a collection is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Questions. A folder that cannot be written to will do.
    Read,
    /// Changes.
    Write,
}

/// Where a collection's encoder is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Address {
    /// A run's folder, an ONNX file or an encoder's name.
    pub model: PathBuf,
    /// Further ones beside it: an ensemble.
    pub with: Vec<PathBuf>,
    /// Whether each picture is embedded with its mirror image.
    pub flip: bool,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.model.display())?;
        self.with.iter().try_for_each(|with| write!(f, " --with {}", with.display()))?;
        f.write_str(if self.flip { " --flip" } else { "" })
    }
}

/// What a collection says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Tells it from every other.
    pub uuid: String,
    /// The encoder's fingerprint.
    pub fingerprint: String,
    /// Where the encoder was found.
    pub address: Address,
    /// How pictures are prepared.
    pub preparation: String,
    /// Numbers of a vector.
    pub dimension: usize,
    /// Seconds since 1970.
    pub created: i64,
    /// The longer side of the thumbnails that it keeps, in pixels; 0 if it keeps none.
    pub thumbnails: usize,
    /// Rises whenever indexes that were made before are worthless.
    pub generation: i64,
}

impl About {
    /// What a new collection says of the encoder that its vectors will come from.
    pub fn new(facts: &EncoderFacts, address: Address) -> About {
        About {
            uuid: String::new(),
            fingerprint: facts.fingerprint.clone(),
            address,
            preparation: facts.preparation.to_string(),
            dimension: facts.dimension,
            created: crate::time::now(),
            thumbnails: 0,
            generation: 1,
        }
    }

    pub(crate) fn rows(&self) -> [(&'static str, String); 9] {
        let address = serde_json::to_string(&self.address).unwrap_or_default();
        [
            ("uuid", self.uuid.clone()),
            ("fingerprint", self.fingerprint.clone()),
            ("address", address),
            ("preparation", self.preparation.clone()),
            ("dimension", self.dimension.to_string()),
            ("metric", METRIC.to_owned()),
            ("created", self.created.to_string()),
            ("thumbnails", self.thumbnails.to_string()),
            ("generation", self.generation.to_string()),
        ]
    }
}

/// How vectors are compared: the Euclidean distance.
pub const METRIC: &str = "euclidean";

/// Embeddings that live: a SQLite file of pictures and their vectors.
///
/// ```
/// use alike::data::Preparation;
/// use alike::encoder::EncoderFacts;
/// use alike::images::{Features, Shape};
/// use alike_store::{About, Access, Address, Collection, NewItem, Occasion, Taken};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("photos.alike");
/// // As an encoder says of itself: `encoder.facts()`.
/// let facts = EncoderFacts {
///     preparation: Preparation::exact(Shape { h: 8, w: 8, c: 1 }),
///     dimension: 2,
///     unit_length: false,
///     fingerprint: "an encoder".into(),
/// };
/// let mut photos = Collection::create(&path, About::new(&facts, Address::default()))?;
/// let cup = NewItem { place: "/photos/cup.jpg".into(), class: Some("cup".into()), ..NewItem::default() };
/// let why = &mut Occasion::new("add", "/photos");
/// photos.add(&[cup], &Features::new(2, vec![0.5, 1.0]), why, Taken::Refuse)?;
/// drop(photos);
/// let photos = Collection::open(&path, Access::Read)?;
/// let found = photos.items(Some(&"class = 'cup' and not path like '%.png'".parse()?), None, 10)?;
/// assert_eq!(found[0].path, "/photos/cup.jpg");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Collection {
    pub(crate) db: Connection,
    path: PathBuf,
    pub(crate) about: About,
}

/// Whether a file is a collection, as its first bytes and its ending tell.
pub fn is_collection(path: &Path) -> bool {
    let read = || -> Option<[u8; 72]> {
        let mut head = [0; 72];
        let (file, _) = files::open_sized(path).ok().filter(|_| path.is_file())?;
        files::read_at(&file, &mut head, 0).ok()?;
        Some(head)
    };
    // Bytes 68 to 71 are the application's number.
    read().is_some_and(|head| {
        head.starts_with(MAGIC) && head[68..72] == (schema::APPLICATION as u32).to_be_bytes()
    })
}

impl Collection {
    /// Makes a new collection.
    ///
    /// # Errors
    ///
    /// If there is a file already, or none can be made.
    pub fn create(path: &Path, about: About) -> Result<Collection, StoreError> {
        appear(path, |part| Collection::fill_new(part, about))?;
        Collection::open(path, Access::Write)
    }

    fn fill_new(part: &Path, about: About) -> Result<(), StoreError> {
        let attempt = || -> rusqlite::Result<()> {
            let mut db = Connection::open(part)?;
            db.pragma_update(None, "page_size", PAGE)?;
            let within = db.transaction()?;
            schema::create(&within)?;
            let uuid: String = within.query_row("SELECT lower(hex(randomblob(16)))", [], |r| r.get(0))?;
            for (key, value) in (About { uuid, ..about }).rows() {
                within.execute("INSERT INTO about(key, value) VALUES (?1, ?2)", [key, &value])?;
            }
            within.commit()?;
            // The mode is kept in the file.
            db.pragma_update(None, "journal_mode", "wal")?;
            db.close().map_err(|(_, e)| e)
        };
        attempt().map_err(|e| match e.sqlite_error_code() {
            Some(rusqlite::ErrorCode::CannotOpen) => StoreError::ReadOnly(part.with_extension("")),
            _ => told(part)(e),
        })
    }

    /// Opens a collection; whoever is waited for is given [`PATIENCE`].
    ///
    /// # Errors
    ///
    /// If there is none, or it is of a newer version, or damaged, or must be written and cannot be.
    pub fn open(path: &Path, access: Access) -> Result<Collection, StoreError> {
        Collection::open_patiently(path, access, PATIENCE)
    }

    /// Opens a collection, and waits so long for others that write.
    ///
    /// # Errors
    ///
    /// As [`Collection::open`].
    pub fn open_patiently(path: &Path, access: Access, wait: Duration) -> Result<Collection, StoreError> {
        recognise(path)?;
        let mut db = connect(path, access, wait)?;
        let found = schema::version(&db, path)?;
        if found < schema::SCHEMA_VERSION {
            if access == Access::Read {
                drop(db);
                db = connect(path, Access::Write, wait)?;
            }
            schema::migrate(&mut db, found, path)?;
        }
        let about = read_about(&db, path)?;
        Ok(Collection { db, path: path.to_owned(), about })
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the file have no more than so many pages, as a full disk would: for tests.
    #[doc(hidden)]
    pub fn limit_pages(&self, pages: i64) {
        let _ = self.db.pragma_update(None, "max_page_count", pages);
    }

    /// What it says of itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Reads again what it says of itself: another process may have changed it.
    pub(crate) fn refresh_about(&mut self) -> Result<(), StoreError> {
        self.about = read_about(&self.db, &self.path)?;
        Ok(())
    }

    /// Refuses an encoder whose embeddings cannot be compared with those that are here.
    ///
    /// # Errors
    ///
    /// If its fingerprint is another.
    pub fn check_encoder(&self, facts: &EncoderFacts) -> Result<(), StoreError> {
        if facts.fingerprint == self.about.fingerprint {
            return Ok(());
        }
        let address = self.about.address.to_string();
        Err(StoreError::Fingerprint { path: self.path.clone(), address })
    }

    /// How many pictures there are.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn len(&self) -> Result<usize, StoreError> {
        // Each picture has one, and the index of these is the smallest.
        self.count("SELECT count(*) FROM vectors")
    }

    /// Whether there is no picture.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.count("SELECT EXISTS (SELECT 1 FROM items)")? == 0)
    }

    /// How many classes there are.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn classes(&self) -> Result<usize, StoreError> {
        // From each class to the next by the index, rather than past all pictures.
        self.count(
            "WITH RECURSIVE each(class) AS (SELECT (SELECT min(class) FROM items WHERE class IS NOT NULL) UNION ALL \
             SELECT (SELECT min(class) FROM items WHERE class > each.class) FROM each WHERE each.class IS NOT NULL) \
             SELECT count(class) FROM each",
        )
    }

    pub(crate) fn count(&self, sql: &str) -> Result<usize, StoreError> {
        let n: i64 = self.db.query_row(sql, [], |row| row.get(0)).map_err(self.told())?;
        Ok(usize::try_from(n).unwrap_or(0))
    }

    /// Tells what SQLite says of this file.
    pub(crate) fn told(&self) -> impl Fn(rusqlite::Error) -> StoreError + use<> {
        told(&self.path)
    }

    /// Does all of something, or nothing.
    pub(crate) fn within<T>(
        &mut self,
        change: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let told = told(&self.path);
        let within = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&told)?;
        // Not what was read when it was opened: another process may have embedded all anew since.
        let now: String = within
            .query_row("SELECT value FROM about WHERE key = 'fingerprint'", [], |row| row.get(0))
            .map_err(&told)?;
        if now != self.about.fingerprint {
            let address = self.about.address.to_string();
            return Err(StoreError::Fingerprint { path: self.path.clone(), address });
        }
        let result = change(&within)?;
        within.commit().map_err(told)?;
        Ok(result)
    }
}

/// Makes a new file: `fill` makes it under another name, so that it is never half there.
pub(crate) fn appear<T>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let exists = || StoreError::Exists(path.to_owned());
    if path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    files::create_dir(folder)?;
    // What SQLite left beside a file that somebody deleted would be read as the new one's.
    for ending in ["-wal", "-shm"] {
        let mut left = path.as_os_str().to_owned();
        left.push(ending);
        let _ = std::fs::remove_file(left);
    }
    let mut part = path.file_name().unwrap_or_default().to_owned();
    part.push(format!(".{}.alike.part", std::process::id()));
    let part = folder.join(part);
    let _ = std::fs::remove_file(&part);
    // A link refuses to replace, which a rename does not.
    let named = fill(&part).and_then(|made| match std::fs::hard_link(&part, path) {
        Ok(()) => Ok(made),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Err(exists()),
        Err(e) => Err(files::FileError::writing(path)(e).into()),
    });
    // Whatever happened, the other name goes.
    let _ = std::fs::remove_file(&part);
    named
}

/// Refuses what is no file of SQLite's before SQLite sees it: what it says of those is of no help.
fn recognise(path: &Path) -> Result<(), StoreError> {
    let not = |why: &str| StoreError::NotACollection { path: path.to_owned(), why: why.to_owned() };
    if path.is_dir() {
        return Err(not("it is a folder"));
    }
    if !path.exists() {
        return Err(StoreError::Missing { path: path.to_owned(), hint: String::new() });
    }
    let (file, len) = files::open_sized(path).map_err(files::FileError::reading(path))?;
    let mut head = [0; 16];
    if len < 512 || files::read_at(&file, &mut head, 0).is_err() || head != *MAGIC {
        return Err(not("it is no SQLite file"));
    }
    Ok(())
}

fn connect(path: &Path, access: Access, wait: Duration) -> Result<Connection, StoreError> {
    let told = told(path);
    let begin = |flags: OpenFlags, name: &Path| -> rusqlite::Result<Connection> {
        let db = Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        db.busy_timeout(wait)?;
        db.pragma_update(None, "foreign_keys", true)?;
        db.pragma_update(None, "cache_size", -16_384)?;
        db.set_prepared_statement_cache_capacity(64);
        // The first that reads the file.
        db.pragma_query_value(None, "user_version", |_| Ok(()))?;
        Ok(db)
    };
    match access {
        Access::Write => {
            let db = begin(OpenFlags::SQLITE_OPEN_READ_WRITE, path).map_err(|e| cannot_write(path, e))?;
            if db.is_readonly("main").map_err(&told)? || folder_is_closed(path) {
                return Err(StoreError::ReadOnly(path.to_owned()));
            }
            db.pragma_update(None, "synchronous", "full").map_err(told)?;
            Ok(db)
        }
        Access::Read => match begin(OpenFlags::SQLITE_OPEN_READ_ONLY, path) {
            Ok(db) => Ok(db),
            // A folder in which no files can be made: nobody writes there.
            Err(e) if is_closed(&e) => {
                let name = format!("file:{}?immutable=1", escaped(path));
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                begin(flags, Path::new(&name)).map_err(told)
            }
            Err(e) => Err(told(e)),
        },
    }
}

fn is_closed(e: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, PermissionDenied, ReadOnly};
    matches!(e.sqlite_error_code(), Some(CannotOpen | ReadOnly | PermissionDenied))
}

fn cannot_write(path: &Path, e: rusqlite::Error) -> StoreError {
    if is_closed(&e) { StoreError::ReadOnly(path.to_owned()) } else { told(path)(e) }
}

/// Whether no file can be made beside one.
fn folder_is_closed(path: &Path) -> bool {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::metadata(folder).is_ok_and(|m| m.permissions().readonly())
}

/// A path as a URI has it.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for byte in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => text.push(*byte as char),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

fn read_about(db: &Connection, path: &Path) -> Result<About, StoreError> {
    let value = |key: &str| -> Result<String, StoreError> {
        let sql = "SELECT value FROM about WHERE key = ?1";
        let found = db.query_row(sql, [key], |row| row.get(0)).optional().map_err(told(path))?;
        found.ok_or_else(|| StoreError::Damaged {
            path: path.to_owned(),
            why: format!("it does not say its {key}"),
        })
    };
    let number = |key: &str| -> Result<i64, StoreError> {
        value(key)?.parse().map_err(|_| StoreError::Damaged {
            path: path.to_owned(),
            why: format!("its {key} is no number"),
        })
    };
    let metric = value("metric")?;
    if metric != METRIC {
        let why = format!("its metric is '{metric}', and this version knows {METRIC} alone");
        return Err(StoreError::Damaged { path: path.to_owned(), why });
    }
    let dimension = usize::try_from(number("dimension")?).unwrap_or(0);
    if dimension == 0 {
        return Err(StoreError::Damaged { path: path.to_owned(), why: "its vectors have no numbers".into() });
    }
    Ok(About {
        uuid: value("uuid")?,
        fingerprint: value("fingerprint")?,
        address: serde_json::from_str(&value("address")?).unwrap_or_default(),
        preparation: value("preparation")?,
        dimension,
        created: number("created")?,
        // Collections that were made before have no word of it.
        thumbnails: number("thumbnails").ok().and_then(|side| usize::try_from(side).ok()).unwrap_or(0),
        generation: number("generation")?,
    })
}
